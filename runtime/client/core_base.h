// What both cores share: the life of a core, which ends when the runtime and the last handle have gone, and what a
// shutdown means for handles that are used afterwards.
#pragma once

#include <atomic>
#include <cstdint>

#include <mobula/detail/core.h>

namespace mobula::client {

class CoreBase : public detail::Core {
 protected:
  // One for the runtime, one for each count that a public handle has on a slot.
  void hold() { handles_.fetch_add(1, std::memory_order_relaxed); }
  void drop() {
    if (handles_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  [[noreturn]] static void throw_closed(const char* tried);
  static Error closed(const char* tried);

 private:
  std::atomic<std::uint64_t> handles_{1};
};

}  // namespace mobula::client
