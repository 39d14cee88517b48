#include "tune/study/journal.h"

#include <fcntl.h>
#include <mobula/tune/space.h>
#include <sys/file.h>
#include <unistd.h>

#include <boost/crc.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace mobula::tune {
namespace {

constexpr std::size_t kPrefix = 9;  // eight digits and a space

std::string checksum(std::string_view record) {
  boost::crc_32_type crc;
  crc.process_bytes(record.data(), record.size());
  char text[kPrefix];
  std::snprintf(text, sizeof text, "%08x", crc.checksum());
  return text;
}

bool sound(std::string_view line) {
  return line.size() >= kPrefix && line[kPrefix - 1] == ' ' &&
         line.substr(0, kPrefix - 1) == checksum(line.substr(kPrefix));
}

}  // namespace

Journal::Journal(const std::filesystem::path& file, Sync sync) : file_(file), sync_(sync) {
  const auto fail = [&](const std::string& what) {
    const std::string reason = std::strerror(errno);
    if (descriptor_ >= 0) ::close(descriptor_);
    throw TuneError("cannot " + what + " the journal " + file_.string() + ": " + reason);
  };
  descriptor_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail("open");
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) fail("lock");
    ::close(descriptor_);
    throw TuneError("the journal " + file.string() + " is in use by another process; wait until that study ends");
  }
  try {
    read();
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

void Journal::read() {
  std::string content;
  char chunk[1 << 16];
  for (off_t at = 0;;) {
    const ssize_t n = ::pread(descriptor_, chunk, sizeof chunk, at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw TuneError("cannot read the journal " + file_.string() + ": " + std::strerror(errno));
    if (n == 0) break;
    content.append(chunk, static_cast<std::size_t>(n));
    at += n;
  }
  std::size_t good = 0, bad_line = 0, line_number = 0;
  for (std::size_t begin = 0; begin < content.size();) {
    const std::size_t end = content.find('\n', begin);
    const bool whole = end != std::string::npos;
    const std::string_view line = std::string_view(content).substr(begin, whole ? end - begin : end);
    ++line_number;
    if (whole && sound(line)) {
      if (bad_line != 0) {
        throw TuneError(file_.string() + ":" + std::to_string(bad_line) +
                        ": the journal is damaged here (the checksum is wrong, and sound lines follow); restore it "
                        "from a copy, or begin a new study");
      }
      records_.emplace_back(line.substr(kPrefix));
      good = end + 1;
    } else if (bad_line == 0) {
      bad_line = line_number;
    }
    if (!whole) break;
    begin = end + 1;
  }
  if (good < content.size() && ::ftruncate(descriptor_, static_cast<off_t>(good)) != 0) {
    throw TuneError("cannot cut the unfinished line off the journal " + file_.string() + ": " + std::strerror(errno));
  }
}

Journal::~Journal() {
  try {
    flush();
  } catch (const TuneError&) {
    // Nobody is left to tell; what is missing will be decided again, in the same way.
  }
  if (unsynced_ && sync_ != Sync::never) ::fdatasync(descriptor_);
  ::close(descriptor_);
}

void Journal::append(std::string_view record) {
  buffer_ += checksum(record);
  buffer_ += ' ';
  buffer_ += record;
  buffer_ += '\n';
}

void Journal::flush() {
  if (buffer_.empty()) return;
  const off_t before = ::lseek(descriptor_, 0, SEEK_END);
  std::string_view rest = buffer_;
  while (!rest.empty()) {
    const ssize_t n = ::write(descriptor_, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const std::string reason = std::strerror(errno);
      // What did fit is half a line; later ones must not come to stand behind it.
      if (before >= 0) static_cast<void>(::ftruncate(descriptor_, before) == 0);
      throw TuneError("cannot write to the journal " + file_.string() + ": " + reason +
                      "; nothing that was decided is lost, and the study can be resumed");
    }
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  buffer_.clear();
  unsynced_ = true;
  const auto now = Clock::now();
  if (sync_ == Sync::never || (sync_ == Sync::interval && now - synced_ < std::chrono::milliseconds(100))) return;
  if (::fdatasync(descriptor_) != 0) {
    throw TuneError("cannot flush the journal " + file_.string() + ": " + std::strerror(errno));
  }
  unsynced_ = false;
  synced_ = now;
}

}  // namespace mobula::tune
