#pragma once

#include <sys/types.h>

#include <functional>

namespace mobula::bench {

/// The process at the other end of a measurement: forked to run `serve`, killed with this object or with its parent.
class PeerProcess {
 public:
  explicit PeerProcess(const std::function<void()>& serve);
  ~PeerProcess();
  PeerProcess(const PeerProcess&) = delete;
  PeerProcess& operator=(const PeerProcess&) = delete;

  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
};

}  // namespace mobula::bench
