// Ref<T>: a handle on the result of a task, an actor call or a put, which may not exist yet. Copies share it; the value
// lives until the last handle in any process has gone. Cheap to copy and to pass to tasks: where a function takes a T a
// Ref<T> fits (the function runs when the value is there), and inside containers or as a parameter of type Ref<T> it
// travels as a handle. Handles may be used from any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include "mobula/codec.h"
#include "mobula/detail/core.h"

namespace mobula {
namespace detail {

// The untyped part: one count on a slot of a core's table.
class RefBase {
 public:
  RefBase() = default;
  RefBase(Core* core, Slot slot) : core_(core), slot_(slot) {}  // takes over the caller's count
  RefBase(const RefBase& other) : core_(other.core_), slot_(other.slot_) {
    if (core_) core_->retain(slot_);
  }
  RefBase(RefBase&& other) noexcept : core_(std::exchange(other.core_, nullptr)), slot_(other.slot_) {}
  RefBase& operator=(RefBase other) noexcept {
    std::swap(core_, other.core_);
    std::swap(slot_, other.slot_);
    return *this;
  }
  ~RefBase() {
    if (core_) core_->release(slot_);
  }

  explicit operator bool() const { return core_ != nullptr; }
  friend bool operator==(const RefBase& a, const RefBase& b) { return a.core_ == b.core_ && a.slot_ == b.slot_; }

  Core* core() const { return core_; }
  Slot slot() const { return slot_; }
  Core& checked_core() const;  // throws TaskError(invalid) for an empty handle

 private:
  Core* core_ = nullptr;
  Slot slot_;
};

template <class T>
T decode_value(Core& core, const Bytes& bytes) {
  Decoder d(bytes.span, &core, bytes.keep, bytes.cover);
  return d.read<T>();
}

}  // namespace detail

template <class T>
class Ref : private detail::RefBase {
 public:
  using value_type = T;
  Ref() = default;  // empty: refers to nothing
  Ref(detail::Core* core, detail::Slot slot) : RefBase(core, slot) {}

  // Waits for the value and returns it. Throws TaskError with what went wrong; inside a task its cpu is given to others
  // meanwhile. With a timeout: ErrorCode::timed_out when it passes (the task goes on). May be called again and again.
  T get() const { return try_get_until(detail::Deadline::max()).value(); }
  T get(std::chrono::nanoseconds timeout) const { return try_get_until(detail::deadline_after(timeout)).value(); }
  // The same, with failure as a value.
  Result<T> try_get() const { return try_get_until(detail::Deadline::max()); }
  Result<T> try_get(std::chrono::nanoseconds timeout) const { return try_get_until(detail::deadline_after(timeout)); }

  using RefBase::operator bool;
  friend bool operator==(const Ref& a, const Ref& b) {
    return static_cast<const RefBase&>(a) == static_cast<const RefBase&>(b);
  }
  const detail::RefBase& base() const { return *this; }

 private:
  Result<T> try_get_until(detail::Deadline deadline) const {
    detail::Core& core = checked_core();
    Result<detail::Bytes> bytes = core.get(slot(), deadline);
    if (!bytes) return std::move(bytes).error();
    if constexpr (std::is_void_v<T>) {
      return {};
    } else {
      return detail::decode_value<T>(core, *bytes);
    }
  }
};

// What a task that returns a std::tuple gives: each element is a value of its own, read, passed on and freed by itself.
//   auto [quotient, remainder] = rt.remote<divide>(7, 2);
template <class... T>
using Refs = std::tuple<Ref<T>...>;

template <class T>
struct Codec<Ref<T>> {
  static void encode(Encoder& e, const Ref<T>& ref) { e.ref(ref.base()); }
  static Ref<T> decode(Decoder& d) {
    const detail::Slot slot = d.ref();
    return slot ? Ref<T>(d.core(), slot) : Ref<T>();
  }
};

}  // namespace mobula
