// What all cores share: the life of a core, which ends when the runtime and the last handle have gone, and what a
// shutdown or a fork of the user's code means for handles that are used afterwards.
#pragma once

#include <atomic>
#include <cstdint>

#include <mobula/detail/core.h>

namespace mobula::client {

class CoreBase : public detail::Core {
 public:
  // Around a fork() of the user's code. The child has a copy of the core, but the lanes and the arena stay its
  // parent's: there, what the core is asked for fails.
  virtual void before_fork() {}
  virtual void after_fork_in_parent() {}
  virtual void after_fork_in_child() {}
  bool forked() const { return forked_; }

 protected:
  // One for the runtime, one for each count that a public handle has on a slot.
  void hold() { handles_.fetch_add(1, std::memory_order_relaxed); }
  void drop() {
    if (handles_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  [[noreturn]] void throw_closed(const char* tried) const;
  Error closed(const char* tried) const;

  bool forked_ = false;  // this is the copy in a child of the process that the core was made for

 private:
  std::atomic<std::uint64_t> handles_{1};
};

}  // namespace mobula::client
