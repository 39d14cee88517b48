// How things fail. An `Error` is a value that crosses processes unharmed: what was tried, where, and what it was caused
// by. `Result<T>` is a value or an Error; `TaskError` is the one exception type that `Ref::get()` throws.
#pragma once

#include <cassert>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace mobula {

// The numbers travel on the wire: only append.
enum class ErrorCode : std::uint8_t {
  none = 0,
  exception,       // the user's function threw
  worker_died,     // the process that ran the task ended before the result arrived (and no retry was left)
  actor_died,      // the actor's process ended with the call in flight, or the actor is gone for good
  node_died,       // the machine's node was declared dead
  owner_died,      // the process that owned the reference ended
  object_lost,     // the object's bytes are gone and cannot be rebuilt
  cancelled,       // cancelled by the caller
  timed_out,       // the time given to get() or wait() passed; the task goes on
  build_mismatch,  // the other side runs another build, or does not have the function
  infeasible,      // no node can ever satisfy the resources asked for
  out_of_memory,   // no room in the object arena, or the node killed the task before its memory ran out
  bad_message,     // bytes that could not be decoded
  unavailable,     // the runtime is not started, is shutting down, or a peer cannot be reached
  would_deadlock,  // waiting for something that can only come after the wait has ended; the message names the cycle
  invalid,         // wrong use: what and how to do it right is in the message
  too_many_calls,  // the actor's max_pending_calls were waiting already
  // A member of a Collective died or left, or did not come in time: the message says which.
  collective_broken,
  disk_full,  // objects could not be written to the node's spill directory
};
std::string_view to_string(ErrorCode code);  // "worker_died"

struct Error {
  ErrorCode code = ErrorCode::none;
  std::string message{};        // what was tried, what was found, what to do next; one or a few sentences
  std::string task{};           // name of the task, or "Counter::add" of the actor call; empty if none
  std::string node{};           // name of the machine's node; empty if unknown
  std::int32_t pid = 0;         // process in which it happened; 0 if unknown
  std::int32_t attempt = 0;     // 1 for the first; 0 if it never ran
  std::int32_t signal = 0;      // signal that ended the process; 0 if none
  std::string backtrace{};      // one frame a line, symbolised; empty if there is none
  std::vector<Error> causes{};  // what this one was caused by, nearest first

  // The whole chain, indented, several lines: for people. Ends without a newline.
  std::string describe() const;
  friend bool operator==(const Error&, const Error&) = default;
};

// Thrown by Ref::get() and by calls on a runtime that cannot be carried out. what() is error().describe().
class TaskError : public std::runtime_error {
 public:
  explicit TaskError(Error error);
  const Error& error() const noexcept { return error_; }
  ErrorCode code() const noexcept { return error_.code; }

 private:
  Error error_;
};

// A value or an Error. Asking for the value of an error throws TaskError.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  const T& value() const& { return check(), std::get<0>(state_); }
  T& value() & { return check(), std::get<0>(state_); }
  T&& value() && { return check(), std::get<0>(std::move(state_)); }
  const T& operator*() const& { return value(); }
  T& operator*() & { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  const T* operator->() const { return &value(); }
  T* operator->() { return &value(); }
  template <class U>
  T value_or(U&& other) const& {
    return ok() ? std::get<0>(state_) : static_cast<T>(std::forward<U>(other));
  }

  const Error& error() const& { return assert(!ok()), std::get<1>(state_); }
  Error&& error() && { return assert(!ok()), std::get<1>(std::move(state_)); }

 private:
  void check() const {
    if (!ok()) throw TaskError(std::get<1>(state_));
  }
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), ok_(false) {}

  bool ok() const noexcept { return ok_; }
  explicit operator bool() const noexcept { return ok_; }
  void value() const {
    if (!ok_) throw TaskError(error_);
  }
  void operator*() const { value(); }
  const Error& error() const& { return assert(!ok_), error_; }
  Error&& error() && { return assert(!ok_), std::move(error_); }

 private:
  Error error_;
  bool ok_ = true;
};

}  // namespace mobula
