#include "rl/train/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace mobula::rl {
namespace {

[[noreturn]] void fail(const std::string& what, const std::filesystem::path& file) {
  throw FileError("cannot " + what + " " + file.string() + ": " + std::strerror(errno));
}

struct Descriptor {
  int value;
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
};

void write_all(int descriptor, std::string_view content, const std::filesystem::path& file) {
  while (!content.empty()) {
    const ssize_t written = ::write(descriptor, content.data(), content.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      fail("write", file);
    }
    content.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

std::string read_file(const std::filesystem::path& file) {
  const Descriptor in{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
  if (in.value < 0) fail("open", file);
  std::string content;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t n = ::read(in.value, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("read", file);
    if (n == 0) return content;
    content.append(buffer, static_cast<std::size_t>(n));
  }
}

void write_file(const std::filesystem::path& file, std::string_view content) {
  const std::filesystem::path aside = file.string() + ".new";
  {
    const Descriptor out{::open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
    if (out.value < 0) fail("create", aside);
    try {
      write_all(out.value, content, aside);
      if (::fsync(out.value) != 0) fail("flush", aside);
      if (::rename(aside.c_str(), file.c_str()) != 0) fail("rename " + aside.string() + " to", file);
    } catch (...) {
      ::unlink(aside.c_str());  // half a file helps nobody on a disk that is full
      throw;
    }
  }
  // The rename itself is durable once the folder is flushed.
  const auto parent = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  const Descriptor folder{::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (folder.value >= 0) ::fsync(folder.value);
}

FileLock::FileLock(const std::filesystem::path& file, std::string_view busy) {
  descriptor_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail("create", file);
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    const bool held = errno == EWOULDBLOCK;
    std::string holder;
    if (held) {
      char text[64];
      const ssize_t n = ::pread(descriptor_, text, sizeof text, 0);
      if (n > 0) holder.assign(text, static_cast<std::size_t>(n));
      while (!holder.empty() && holder.back() == '\n') holder.pop_back();
    }
    const int saved = errno;
    ::close(descriptor_);
    errno = saved;
    if (!held) fail("lock", file);
    throw std::runtime_error(std::string(busy) + (holder.empty() ? "" : " (" + holder + ")"));
  }
  const std::string who = "process " + std::to_string(::getpid()) + "\n";
  if (::ftruncate(descriptor_, 0) != 0) fail("write", file);
  write_all(descriptor_, who, file);
}

FileLock::~FileLock() {
  // Closing releases the lock; the file stays, so that nobody can lock a name that was just removed.
  ::close(descriptor_);
}

}  // namespace mobula::rl
