// Actor<T>: a handle on an object of a plain class T that lives in a worker process of its own and runs one call at a
// time, in the order in which each caller made them. Handles are copied and passed on freely; the actor ends when the
// last one has gone, by rt.kill(actor), or with the process that spawned it.
#pragma once

#include <utility>

#include "mobula/codec.h"
#include "mobula/detail/call.h"
#include "mobula/detail/core.h"

namespace mobula {
namespace detail {

class ActorBase {
 public:
  ActorBase() = default;
  ActorBase(Core* core, Slot slot) : core_(core), slot_(slot) {}  // takes over the caller's count
  ActorBase(const ActorBase& other) : core_(other.core_), slot_(other.slot_) {
    if (core_) core_->retain_actor(slot_);
  }
  ActorBase(ActorBase&& other) noexcept : core_(std::exchange(other.core_, nullptr)), slot_(other.slot_) {}
  ActorBase& operator=(ActorBase other) noexcept {
    std::swap(core_, other.core_);
    std::swap(slot_, other.slot_);
    return *this;
  }
  ~ActorBase() {
    if (core_) core_->release_actor(slot_);
  }

  explicit operator bool() const { return core_ != nullptr; }
  Core* core() const { return core_; }
  Slot slot() const { return slot_; }
  Core& checked_core() const;  // throws TaskError(invalid) for an empty handle

 private:
  Core* core_ = nullptr;
  Slot slot_;
};

}  // namespace detail

template <class T>
class Actor : private detail::ActorBase {
 public:
  Actor() = default;  // empty: refers to nothing
  Actor(detail::Core* core, detail::Slot slot) : ActorBase(core, slot) {}

  // Submits one call and returns at once. M is a method of T, or a function or captureless lambda whose first parameter
  // is a T&. What went wrong comes out of the Ref: an exception of the method, or ErrorCode::actor_died.
  template <auto M, class... A>
  auto call(A&&... args) const {
    return detail::submit_call<T, M>(checked_core(), slot(), std::forward<A>(args)...);
  }

  using ActorBase::operator bool;
  const detail::ActorBase& base() const { return *this; }
};

template <class T>
struct Codec<Actor<T>> {
  static void encode(Encoder& e, const Actor<T>& actor) { e.actor(actor.base()); }
  static Actor<T> decode(Decoder& d) {
    const detail::Slot slot = d.actor();
    return slot ? Actor<T>(d.core(), slot) : Actor<T>();
  }
};

}  // namespace mobula
