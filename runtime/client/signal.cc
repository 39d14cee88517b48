#include <mobula/signal.h>

#include <mobula/coroutine.h>

namespace mobula {

bool Signal::Wait::await_suspend(std::coroutine_handle<> waiting) {
  detail::Core* const core = detail::current_core_or_null();
  void* const call = core != nullptr ? core->suspend(waiting, deadline_) : nullptr;
  if (call == nullptr) return false;
  place_ = signal_->waiting_.insert(signal_->waiting_.end(), Waiter{core, call});
  waited_ = true;
  return true;
}

bool Signal::Wait::await_resume() {
  bool notified = false;
  if (waited_) {
    notified = place_->notified;
    (notified ? signal_->notified_ : signal_->waiting_).erase(place_);
  }
  if (detail::stop_requested_here()) {
    if (notified) signal_->notify_one();
    throw TaskError({.code = ErrorCode::cancelled, .message = "the call was cancelled while it waited at a Signal"});
  }
  if (!waited_ && deadline_ == detail::Deadline::max()) {
    throw TaskError({.code = ErrorCode::would_deadlock,
                     .message = "co_await signal.wait() waits for another call of the same actor, which can come only "
                                "while a coroutine method (mobula::Task<T>) waits in a worker process; here nothing "
                                "can come. Give the wait a time-out, or run with workers"});
  }
  return notified;
}

void Signal::notify_one() {
  if (waiting_.empty()) return;
  Waiter& first = waiting_.front();
  first.notified = true;
  notified_.splice(notified_.end(), waiting_, waiting_.begin());
  first.core->wake(first.call);
}

void Signal::notify_all() {
  while (!waiting_.empty()) notify_one();
}

}  // namespace mobula
