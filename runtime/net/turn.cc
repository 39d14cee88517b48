#include "runtime/net/turn.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

namespace mobula::net {

void Turn::wake() {
  syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&number), FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

void Turn::sleep(std::uint32_t seen, std::chrono::steady_clock::time_point deadline) {
  const auto since_boot = deadline.time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_boot);
  timespec until{};
  until.tv_sec = seconds.count();
  until.tv_nsec = std::chrono::duration_cast<std::chrono::nanoseconds>(since_boot - seconds).count();
  sleepers.fetch_add(1, std::memory_order_seq_cst);
  if (number.load(std::memory_order_seq_cst) == seen) {
    syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&number), FUTEX_WAIT_BITSET, seen, &until, nullptr,
            FUTEX_BITSET_MATCH_ANY);
  }
  sleepers.fetch_sub(1, std::memory_order_seq_cst);
}

}  // namespace mobula::net
