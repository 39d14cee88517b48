#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "rl/records/file_error.h"

namespace mobula::rl {

/// The whole file; throws FileError naming it and the reason.
std::string read_file(const std::filesystem::path& file);

/// Written beside the target, flushed to the disk and renamed over it. Throws FileError.
void write_file(const std::filesystem::path& file, std::string_view content);

/// An exclusive lock on a file, held until destruction or the end of the process, however it ends.
class FileLock {
 public:
  /// Creates the file if needed. Throws std::runtime_error, with `busy` in front and who holds it, if another process
  /// does.
  FileLock(const std::filesystem::path& file, std::string_view busy);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace mobula::rl
