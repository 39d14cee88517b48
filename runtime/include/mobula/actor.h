// Actor<T>: a handle on an object of a plain class T that lives in a worker process of its own and runs one call at a
// time, in the order in which each caller made them (Options::max_concurrency, unordered and coroutine methods change
// that). Handles are copied and passed on freely; the actor ends when the last one has gone, by rt.kill(actor), by
// exit_actor() in one of its methods, or with the process that spawned it.
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

// In a method of an actor: the actor ends once its running calls have, this one included, whose result still arrives.
// Later calls end in ErrorCode::actor_died; it does not restart. Elsewhere it throws TaskError(invalid).
void exit_actor();

template <class T>
class Actor : private detail::ActorBase {
 public:
  Actor() = default;  // empty: refers to nothing
  Actor(detail::Core* core, detail::Slot slot) : ActorBase(core, slot) {}

  // Submits one call and returns at once. M is a method of T, or a function or captureless lambda whose first parameter
  // is a T&. What went wrong comes out of the Ref: an exception of the method, or ErrorCode::actor_died.
  template <auto M, class... A>
  auto call(A&&... args) const {
    return detail::submit_call<T, M>(checked_core(), slot(), nullptr, std::forward<A>(args)...);
  }
  // The same of a method that makes a stream (see mobula/stream.h).
  template <auto M, class... A>
  auto stream(A&&... args) const {
    using Entry = detail::MethodStreamEntry<T, M>;
    return detail::submit_stream<typename Entry::Shape>(checked_core(), slot(), Entry::entry, nullptr,
                                                        std::forward<A>(args)...);
  }

  // The actor with options for calls: actor.with({.name = "probe", .group = "io"}).template call<&T::method>(...).
  // Keeps the actor alive; may be kept and reused.
  class Configured {
   public:
    Configured(Actor actor, Options options) : actor_(std::move(actor)), options_(std::move(options)) {}
    template <auto M, class... A>
    auto call(A&&... args) const {
      return detail::submit_call<T, M>(actor_.checked_core(), actor_.slot(), &options_, std::forward<A>(args)...);
    }
    template <auto M, class... A>
    auto stream(A&&... args) const {
      using Entry = detail::MethodStreamEntry<T, M>;
      return detail::submit_stream<typename Entry::Shape>(actor_.checked_core(), actor_.slot(), Entry::entry, &options_,
                                                          std::forward<A>(args)...);
    }

   private:
    Actor actor_;
    Options options_;
  };
  Configured with(Options options) const { return Configured(*this, std::move(options)); }

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
