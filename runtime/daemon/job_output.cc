#include "runtime/daemon/job_output.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "runtime/process/fd.h"

namespace mobula::daemon {
namespace {

constexpr std::uint64_t least = std::uint64_t{128} << 10;

void read_some(const std::filesystem::path& file, std::uint64_t offset, std::uint64_t bytes, std::string& text) {
  const process::Fd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  const std::size_t before = text.size();
  text.resize(before + bytes);
  const ssize_t size = fd.valid() ? pread(fd.get(), text.data() + before, bytes, static_cast<off_t>(offset)) : 0;
  text.resize(before + (size > 0 ? static_cast<std::size_t>(size) : 0));
}

}  // namespace

JobOutput::JobOutput(std::filesystem::path file, std::uint64_t most)
    : file_(std::move(file)), old_(file_.string() + ".old"), most_of_one_(std::max(most, least) / 2) {}

void JobOutput::append(std::string_view text) {
  while (!text.empty()) {
    if (end_ - middle_ == most_of_one_) {
      if (rename(file_.c_str(), old_.c_str()) != 0) {
        lose_all();
      } else {
        begin_ = std::exchange(middle_, end_);
      }
    }
    const std::string_view fits = text.substr(0, most_of_one_ - (end_ - middle_));
    const bool written = write(fits);
    end_ += fits.size();
    if (!written) lose_all();
    text.remove_prefix(fits.size());
  }
}

// Opened for each: a job that prints little shall not hold a descriptor for it.
bool JobOutput::write(std::string_view text) const {
  const process::Fd fd(open(file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  while (fd.valid() && !text.empty()) {
    const ssize_t size = ::write(fd.get(), text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(size));
  }
  return fd.valid();
}

void JobOutput::lose_all() {
  std::error_code none;
  std::filesystem::remove(file_, none);
  std::filesystem::remove(old_, none);
  begin_ = middle_ = end_;
}

JobOutput::Part JobOutput::read(std::uint64_t offset, std::size_t most) const {
  Part part{std::clamp(offset, begin_, end_), {}};
  if (part.from < middle_) {
    read_some(old_, part.from - begin_, std::min<std::uint64_t>(most, middle_ - part.from), part.text);
  }
  const std::uint64_t reached = part.from + part.text.size();
  if (reached >= middle_) {
    read_some(file_, reached - middle_, std::min<std::uint64_t>(most - part.text.size(), end_ - reached), part.text);
  }
  return part;
}

}  // namespace mobula::daemon
