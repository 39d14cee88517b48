#include "runtime/daemon/output_writer.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace mobula::daemon {
namespace {

bool is_regular_file(int fd) {
  struct stat status {};
  return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

}  // namespace

OutputWriter::OutputWriter(int fd) : fd_(fd), is_file_(is_regular_file(fd)) {}

void OutputWriter::flush() {
  std::size_t done = 0;
  while (done < waiting_.size()) {
    // The descriptor is the program's own and must not be made non-blocking. A pipe that polls as writable takes
    // PIPE_BUF bytes without waiting.
    pollfd ready{fd_, POLLOUT, 0};
    if (!is_file_ && poll(&ready, 1, 0) == 0) break;
    const std::size_t most = is_file_ ? waiting_.size() : PIPE_BUF;
    const ssize_t written = ::write(fd_, waiting_.data() + done, std::min(most, waiting_.size() - done));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      // Nobody reads (SIGPIPE is blocked on this thread), or the stream was closed: the lines are for nobody.
      done = waiting_.size();
      break;
    }
    done += static_cast<std::size_t>(written);
  }
  waiting_.erase(0, done);
}

void OutputWriter::drain(Duration patience) {
  const Time end = steady_now() + patience;
  for (flush(); !waiting_.empty() && steady_now() < end; flush()) {
    pollfd ready{fd_, POLLOUT, 0};
    poll(&ready, 1, 10);
  }
}

}  // namespace mobula::daemon
