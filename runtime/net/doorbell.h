#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace mobula::net {

/// How the processes of a node wake each other; lives in shared memory, one for each process.
///
/// The protocol is publish, then test: a writer first publishes its frame and then looks at `state`; a reader that
/// wants to sleep first sets `state` and then looks at the lanes once more. All four accesses are sequentially
/// consistent, so at least one of the two sees the other, and no wake-up is lost. A reader that is awake costs the
/// writer one load.
///
/// Who rings takes the state back to awake before it wakes, so that of many writers one pays for the system call. A
/// writer killed between the two would leave the reader asleep; that is why the node, when it marks a process dead,
/// wakes everyone without looking at the state (wake_regardless).
struct Doorbell {
  enum State : std::uint32_t { awake = 0, in_futex = 1, in_epoll = 2 };

  std::atomic<std::uint32_t> state;
  std::atomic<std::uint32_t> attention;  ///< something other than a lane wants the reader: room, a local wake()
  std::atomic<std::uint32_t> announced;  ///< lanes opened to this process so far

  /// Wakes the reader if it sleeps. `event_fd` is the process's eventfd, or -1 where it has none.
  void ring(int event_fd) {
    if (state.load(std::memory_order_seq_cst) != awake) ring_sleeper(event_fd);
  }
  void ring_sleeper(int event_fd);
  void wake_regardless(int event_fd);

  /// Sleeps while the state is in_futex, until `deadline` at most. May return early.
  void sleep(std::chrono::steady_clock::time_point deadline);
};

}  // namespace mobula::net
