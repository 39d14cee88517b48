#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace mobula::net {

/// A number in shared memory that only goes up (and wraps), and whoever waits for that: all are woken by one call of
/// the system, and none is made while nobody sleeps.
///
/// Who wants to sleep says so and then looks at the number once more; who raises it does that first and then looks for
/// sleepers. All are sequentially consistent, so no wake-up is lost. A sleeper that is killed stays counted: that costs
/// needless wake-ups.
struct Turn {
  std::atomic<std::uint32_t> number;
  std::atomic<std::uint32_t> sleepers;

  bool reached(std::uint32_t wanted) const {
    return static_cast<std::int32_t>(number.load(std::memory_order_seq_cst) - wanted) >= 0;
  }
  void raise_to(std::uint32_t to) {
    number.store(to, std::memory_order_seq_cst);
    if (sleepers.load(std::memory_order_seq_cst) != 0) wake();
  }
  void wake();
  /// Sleeps until it is raised beyond `seen`, or until `deadline`. May return early.
  void sleep(std::uint32_t seen, std::chrono::steady_clock::time_point deadline);
};

}  // namespace mobula::net
