// Task<T>: a coroutine as a task or as an actor's method. Where it waits, others run:
//
//   mobula::Task<double> mean_of(mobula::Ref<double> a, mobula::Ref<double> b) {
//     co_return (co_await a + co_await b) / 2;
//   }
//   double half = rt.remote<mean_of>(a, b).get();
//
// `co_await ref` is like ref.get(): the value, or TaskError. A task gives its cpu to others meanwhile; an actor takes
// its next call, so that thousands of calls can be on their way in its one thread. They take turns at co_await and
// nowhere else, so between two of them nothing that an actor holds changes under a method. Cancelling a call ends the
// co_await that it is in with ErrorCode::cancelled. A Task may co_await another one. References to parameters stay
// valid.
//
// A coroutine is run by the thread that started it. Called directly (outside of a runtime, or in a plain function) a
// Task does nothing until its get(), which runs it to its end, blocking where it waits.
#pragma once

#include <chrono>
#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "mobula/ref.h"

namespace mobula {

template <class T = void>
class [[nodiscard]] Task;

namespace detail {

// True once the call that this thread runs was cancelled; see StopToken.
bool stop_requested_here();

struct TaskPromiseBase {
  std::coroutine_handle<> awaited_by;
  std::exception_ptr failure;

  struct Final {
    bool await_ready() const noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> ended) const noexcept {
      const std::coroutine_handle<> next = ended.promise().awaited_by;
      return next ? next : std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };
  std::suspend_always initial_suspend() const noexcept { return {}; }
  Final final_suspend() const noexcept { return {}; }
  void unhandled_exception() { failure = std::current_exception(); }
};

template <class T>
struct TaskPromise : TaskPromiseBase {
  std::optional<T> value;
  Task<T> get_return_object();
  template <class U>
  requires std::is_convertible_v<U&&, T>
  void return_value(U&& given) { value.emplace(std::forward<U>(given)); }
  T take() {
    if (failure) std::rethrow_exception(failure);
    return *std::move(value);
  }
};
template <>
struct TaskPromise<void> : TaskPromiseBase {
  Task<void> get_return_object();
  void return_void() const noexcept {}
  void take() const {
    if (failure) std::rethrow_exception(failure);
  }
};

template <class T>
class RefAwaiter {
 public:
  explicit RefAwaiter(Ref<T> ref) : ref_(std::move(ref)) {}
  bool await_ready() const { return false; }
  bool await_suspend(std::coroutine_handle<> waiting) const {
    return ref_.base().checked_core().resume_when_ready(ref_.base().slot(), waiting);
  }
  T await_resume() const {
    if (!stop_requested_here()) return ref_.get();
    Result<T> now = ref_.try_get(std::chrono::nanoseconds(0));
    if (now.ok() || now.error().code != ErrorCode::timed_out) return std::move(now).value();
    throw TaskError({.code = ErrorCode::cancelled, .message = "the call was cancelled while it waited in co_await"});
  }

 private:
  Ref<T> ref_;
};

}  // namespace detail

template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::TaskPromise<T>;
  using value_type = T;
  explicit Task(std::coroutine_handle<promise_type> coroutine) : coroutine_(coroutine) {}
  Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  Task& operator=(Task other) noexcept {
    std::swap(coroutine_, other.coroutine_);
    return *this;
  }
  ~Task() {
    if (coroutine_) coroutine_.destroy();
  }

  // Runs it to its end and returns its value, or throws what left it. Once.
  T get() && {
    start();
    return coroutine_.promise().take();
  }

  void start() { coroutine_.resume(); }
  bool done() const { return coroutine_.done(); }
  promise_type& promise() { return coroutine_.promise(); }

  auto operator co_await() && {
    struct Awaiter {
      std::coroutine_handle<promise_type> coroutine;
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiting) const noexcept {
        coroutine.promise().awaited_by = waiting;
        return coroutine;
      }
      T await_resume() const { return coroutine.promise().take(); }
    };
    return Awaiter{coroutine_};
  }

 private:
  std::coroutine_handle<promise_type> coroutine_;
};

template <class T>
detail::RefAwaiter<T> operator co_await(Ref<T> ref) {
  return detail::RefAwaiter<T>(std::move(ref));
}

namespace detail {

template <class T>
Task<T> TaskPromise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}

}  // namespace detail
}  // namespace mobula
