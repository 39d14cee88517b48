#pragma once

#include <algorithm>

namespace mobula::net {

/// A short wait that leaves the core's resources to others, but does not give the core away: on recent kernels a thread
/// that calls sched_yield() beside other runnable ones forfeits its time slice, and comes back milliseconds later.
inline void pause() {
  for (int i = 0; i < 4; ++i) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }
}

/// Whether to spin before sleeping, learnt from what came of it.
///
/// Spinning wins when the answer comes from another core within microseconds. It loses when the other side needs this
/// very core, or computes for long; then each try costs its whole time, so tries become rarer, from one wait in 32 to
/// one in 1024. That a sleeper is woken soon says nothing: two processes that share a core wake each other quickly, and
/// spinning would keep them from it.
class SpinPolicy {
 public:
  explicit SpinPolicy(bool possible) : possible_(possible) {}

  bool worth_trying() {
    if (!possible_) return false;
    if (score_ > 0) return true;
    if (++waits_since_try_ < try_every_) return false;
    waits_since_try_ = 0;
    return true;
  }
  void succeeded() {
    score_ = std::min(score_ + 2, most);
    try_every_ = first_interval;
  }
  void failed() {
    if (score_ > 0) {
      --score_;
    } else {
      try_every_ = std::min(2 * try_every_, last_interval);
    }
  }

 private:
  static constexpr int most = 16, first_interval = 32, last_interval = 1024;
  bool possible_;
  int score_ = most;
  int try_every_ = first_interval;
  int waits_since_try_ = 0;
};

}  // namespace mobula::net
