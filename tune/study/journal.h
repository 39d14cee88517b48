#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace mobula::tune {

/// An append-only file of records, one a line: the CRC-32 of the record as eight hexadecimal digits, a space, the
/// record (JSON in one line). Locked against other processes while this object lives. Failures are TuneError.
///
/// A process that dies leaves at most one unfinished line at the end; it is cut off at the next opening. A damaged line
/// with sound ones behind it is no torn tail but a broken file, and is refused.
class Journal {
 public:
  enum class Sync { always, interval, never };
  /// Makes the file if there is none.
  Journal(const std::filesystem::path& file, Sync sync);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// What was in the file when it was opened.
  const std::vector<std::string>& records() const { return records_; }
  const std::filesystem::path& file() const { return file_; }

  void append(std::string_view record);
  /// Hands what was appended to the kernel in one write, after which the death of this process no longer loses it; and
  /// to the disk as `sync` says (interval: when the last time was 0.1 s ago).
  void flush();

 private:
  using Clock = std::chrono::steady_clock;
  void read();

  const std::filesystem::path file_;
  const Sync sync_;
  int descriptor_ = -1;
  std::vector<std::string> records_;
  std::string buffer_;
  bool unsynced_ = false;
  Clock::time_point synced_{};
};

}  // namespace mobula::tune
