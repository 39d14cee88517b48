// A file in memory, filled anew for each input: for decoders that want a path.
#pragma once

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "tests/fuzz/target.h"

namespace mobula::fuzz {

class InputFile {
 public:
  InputFile() : fd_(memfd_create("input", MFD_CLOEXEC)), path_("/proc/self/fd/" + std::to_string(fd_)) {
    require(fd_ >= 0 && fchmod(fd_, 0600) == 0);
  }
  ~InputFile() { close(fd_); }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  // Its path, with these bytes in it.
  const std::string& hold(std::span<const std::byte> bytes) const {
    require(ftruncate(fd_, 0) == 0);
    for (std::size_t at = 0; at < bytes.size();) {
      const ssize_t written = pwrite(fd_, bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
      require(written > 0);
      at += static_cast<std::size_t>(written);
    }
    return path_;
  }
  std::string text() const {
    struct stat status {};
    require(fstat(fd_, &status) == 0);
    std::string text(static_cast<std::size_t>(status.st_size), '\0');
    require(pread(fd_, text.data(), text.size(), 0) == status.st_size);
    return text;
  }

 private:
  const int fd_;
  const std::string path_;
};

inline Input bytes_of(std::string_view text) {
  return copy_of(std::as_bytes(std::span(text.data(), text.size())));
}
inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace mobula::fuzz
