// Real processes for the tests of shared memory: forked, killed at marked points, reaped.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "runtime/base/fault_point.h"

namespace mobula::tests {

/// Runs `body` in a forked child. The child ends with status 0 when body returns, without destructors of the parent's
/// objects.
inline pid_t fork_child(const std::function<void()>& body) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  alarm(60);  // no child outlives a hung test
  try {
    body();
  } catch (...) {
    _exit(3);
  }
  _exit(0);
}

/// Waits for the child; its exit status, or minus the signal that killed it.
inline int reap(pid_t pid) {
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/// From now on this process kills itself when it comes to `point` for the `count`-th time.
inline void die_at(const char* point, int count = 1) {
  static std::string wanted;
  static int left = 0;
  wanted = point;
  left = count;
  fault_hook = [](const char* here) {
    if (wanted == here && --left == 0) kill(getpid(), SIGKILL);
  };
}

}  // namespace mobula::tests
