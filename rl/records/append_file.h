#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "rl/records/file_error.h"

namespace mobula::rl {

/// A file that one process adds to at its end. What append() adds is there as a whole or, where the disk is full, not
/// at all; only a process that dies within the call can leave a part, so readers drop an unfinished last record.
class AppendFile {
 public:
  /// Created if it is not there. Throws FileError naming the file and the reason, as all of this does.
  explicit AppendFile(const std::filesystem::path& file);
  ~AppendFile();
  AppendFile(AppendFile&& other) noexcept;
  AppendFile& operator=(AppendFile&& other) noexcept;

  /// It outlives the process from here on, though not yet the machine.
  void append(std::string_view bytes);
  /// It outlives the machine.
  void sync();

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace mobula::rl
