// A disk that is full, without one.
#pragma once

#include <signal.h>
#include <sys/resource.h>

namespace mobula::tests {

/// While it lives no file can grow beyond so many bytes: the kernel writes what fits and then refuses, as on a full
/// disk (EFBIG in place of ENOSPC).
class SmallDisk {
 public:
  explicit SmallDisk(rlim_t bytes) : handler_(::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit small = before_;
    small.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &small);
  }
  ~SmallDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, handler_);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

 private:
  rlimit before_{};
  sighandler_t handler_;
};

}  // namespace mobula::tests
