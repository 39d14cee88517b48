#include "runtime/net/doorbell.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

#include "runtime/base/fault_point.h"

namespace mobula::net {

namespace {

void futex_wake(std::atomic<std::uint32_t>& word) {
  syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

void signal_event(int event_fd) {
  if (event_fd < 0) return;
  const std::uint64_t one = 1;
  // The only failure is a counter at its limit, and then the reader is awake already.
  [[maybe_unused]] const auto written = write(event_fd, &one, sizeof(one));
}

}  // namespace

void Doorbell::ring_sleeper(int event_fd) {
  const std::uint32_t before = state.exchange(awake, std::memory_order_seq_cst);
  fault_point("doorbell.exchanged");
  if (before == in_futex) futex_wake(state);
  if (before == in_epoll) signal_event(event_fd);
}

void Doorbell::wake_regardless(int event_fd) {
  attention.store(1, std::memory_order_seq_cst);
  futex_wake(state);
  if (state.exchange(awake, std::memory_order_seq_cst) != awake) futex_wake(state);
  signal_event(event_fd);
}

void Doorbell::sleep(std::chrono::steady_clock::time_point deadline) {
  const auto since_boot = deadline.time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_boot);
  timespec until{};
  until.tv_sec = seconds.count();
  until.tv_nsec = std::chrono::duration_cast<std::chrono::nanoseconds>(since_boot - seconds).count();
  const bool forever = deadline == std::chrono::steady_clock::time_point::max();
  syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&state), FUTEX_WAIT_BITSET, in_futex, forever ? nullptr : &until,
          nullptr, FUTEX_BITSET_MATCH_ANY);
}

}  // namespace mobula::net
