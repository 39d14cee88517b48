// Signal: what coroutine methods of one actor wait at until another of its calls lets them go on.
//
//   class Gate {                                              // an actor
//    public:
//     mobula::Task<bool> pass() {
//       while (!open_) {
//         const bool in_time = co_await changed_.wait(1s);    // other calls are let in here; false: a second passed
//         if (!in_time) co_return false;
//       }
//       co_return true;
//     }
//     void open() { open_ = true, changed_.notify_all(); }
//
//    private:
//     bool open_ = false;
//     mobula::Signal changed_;
//   };
//
// All calls that use one Signal run in the actor's one coroutine thread, so it needs no lock: neither it nor what it
// speaks of may be touched from threads of Options::max_concurrency. A wait that ends looks at its condition again:
// between the notification and the resumption others may have run. A call that is cancelled, or whose caller dies,
// ends its wait by TaskError(cancelled), and hands a notification that it was given on to the next.
//
// (Give what co_await returns a name: GCC 12 compiles `if (!co_await x) co_return false;` to code that ends at random.)
#pragma once

#include <chrono>
#include <coroutine>
#include <list>

#include "mobula/detail/core.h"

namespace mobula {

class Signal {
 public:
  class [[nodiscard]] Wait;

  Signal() = default;
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  // co_await gives true once notified, false when the time has passed. Only inside a coroutine that a worker runs:
  // elsewhere nothing could come meanwhile, and a wait ends at once, by false where it had a time-out and by
  // TaskError(would_deadlock) where it had none.
  Wait wait();
  Wait wait(std::chrono::nanoseconds timeout);

  void notify_one();  // the one that has waited longest
  void notify_all();

 private:
  struct Waiter {
    detail::Core* core = nullptr;
    void* call = nullptr;  // the core's name for the call that waits
    bool notified = false;
  };
  std::list<Waiter> waiting_;
  std::list<Waiter> notified_;  // and not yet resumed
};

class [[nodiscard]] Signal::Wait {
 public:
  Wait(Signal& signal, detail::Deadline deadline) : signal_(&signal), deadline_(deadline) {}

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiting);
  bool await_resume();

 private:
  Signal* signal_;
  detail::Deadline deadline_;
  bool waited_ = false;
  std::list<Waiter>::iterator place_{};
};

inline Signal::Wait Signal::wait() {
  return Wait(*this, detail::Deadline::max());
}
inline Signal::Wait Signal::wait(std::chrono::nanoseconds timeout) {
  return Wait(*this, detail::deadline_after(timeout));
}

}  // namespace mobula
