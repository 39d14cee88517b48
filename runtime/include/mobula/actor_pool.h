// ActorPool<T, R>: a few actors that share work, each busy with one call at a time. What is submitted while all are
// busy waits here, in order.
//
//   mobula::ActorPool<Model, float> pool({rt.spawn<Model>(), rt.spawn<Model>()});
//   for (float score : pool.map<&Model::score>(rows)) use(score);        // in the order of the rows
//   pool.submit<&Model::score>(row);                                     // or one by one
//   while (pool.has_next()) use(pool.get_next());                        // in the order submitted
//
// R is what the methods return; different methods of one result type may be mixed. A call that fails throws its
// TaskError from the get_next() that would have returned its value; the pool goes on. An actor whose call ended in
// ErrorCode::actor_died leaves the pool (push() it again if it restarts); once none is left, what waits ends in
// actor_died too. Belongs to one thread at a time; does not move to other processes (its actors do).
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

#include "mobula/runtime.h"

namespace mobula {
namespace detail {
[[noreturn]] void pool_is_empty(bool work_waits);
[[noreturn]] void pool_has_nothing();
}  // namespace detail

template <class T, class R>
class ActorPool {
 public:
  ActorPool() = default;
  explicit ActorPool(std::vector<Actor<T>> actors) {
    for (Actor<T>& actor : actors) idle_.push_back(std::move(actor));
  }

  // One call, of the next actor that is free. Arguments are kept until then.
  template <auto M, class... A>
  void submit(A&&... args) {
    static_assert(std::is_same_v<decltype(std::declval<Actor<T>>().template call<M>(std::forward<A>(args)...)), Ref<R>>,
                  "mobula: the pool is one of ActorPool<T, R>: its methods return R");
    waiting_.push_back({submitted_++, [... kept = std::decay_t<A>(std::forward<A>(args))](const Actor<T>& actor) {
                          return actor.template call<M>(kept...);
                        }});
    hand_out();
  }

  bool has_next() const { return !waiting_.empty() || !running_.empty(); }
  // The result of the oldest submission that was not fetched yet. Throws its TaskError if it failed; with a time-out
  // timed_out (it can be asked for again); invalid if nothing was submitted.
  R get_next() { return fetch(detail::Deadline::max(), true); }
  R get_next(std::chrono::nanoseconds timeout) { return fetch(detail::deadline_after(timeout), true); }
  // The next one that is there, in any order.
  R get_next_unordered() { return fetch(detail::Deadline::max(), false); }
  R get_next_unordered(std::chrono::nanoseconds timeout) { return fetch(detail::deadline_after(timeout), false); }

  bool has_free() const { return !idle_.empty() && waiting_.empty(); }
  std::size_t size() const { return idle_.size() + busy(); }  // actors
  // Adds an actor that is not in it.
  void push(Actor<T> actor) {
    idle_.push_back(std::move(actor));
    hand_out();
  }
  // Takes out one that is idle, if there is one.
  std::optional<Actor<T>> pop_idle() {
    if (!has_free()) return std::nullopt;
    std::optional<Actor<T>> actor(std::move(idle_.front()));
    idle_.pop_front();
    return actor;
  }

  // M of every item, read as the range is walked: an input range, once. In the order of the items, or as they come.
  // Nothing else may be submitted meanwhile; what was before and not fetched comes out first.
  template <auto M, std::ranges::input_range Items>
  auto map(Items&& items) {
    return Mapped<M, std::views::all_t<Items>>(*this, std::views::all(std::forward<Items>(items)), true);
  }
  template <auto M, std::ranges::input_range Items>
  auto map_unordered(Items&& items) {
    return Mapped<M, std::views::all_t<Items>>(*this, std::views::all(std::forward<Items>(items)), false);
  }

  template <auto M, class View>
  class Mapped {
   public:
    Mapped(ActorPool& pool, View view, bool ordered) : pool_(&pool), view_(std::move(view)), ordered_(ordered) {}
    class Iterator {
     public:
      using value_type = R;
      using difference_type = std::ptrdiff_t;
      Iterator() = default;
      explicit Iterator(Mapped* from) : from_(from) {}
      R& operator*() const { return *from_->value_; }
      Iterator& operator++() {
        from_->read();
        return *this;
      }
      void operator++(int) { ++*this; }
      friend bool operator==(const Iterator& it, std::default_sentinel_t) { return it.done(); }

     private:
      bool done() const { return !from_->value_; }
      Mapped* from_ = nullptr;
    };
    Iterator begin() {
      next_.emplace(std::ranges::begin(view_));
      read();
      return Iterator(this);
    }
    std::default_sentinel_t end() const { return {}; }

   private:
    void read() {
      // Two for each actor: one that runs, and one that it finds when it has done.
      while (*next_ != std::ranges::end(view_) && pool_->waiting_.size() + pool_->running_.size() < 2 * pool_->size()) {
        pool_->template submit<M>(**next_);
        ++*next_;
      }
      if (pool_->size() == 0 && *next_ != std::ranges::end(view_)) detail::pool_is_empty(true);
      value_.reset();
      if (pool_->has_next()) value_.emplace(ordered_ ? pool_->get_next() : pool_->get_next_unordered());
    }
    ActorPool* pool_;
    View view_;
    bool ordered_;
    std::optional<std::ranges::iterator_t<View>> next_;
    std::optional<R> value_;
  };

 private:
  struct Waiting {
    std::uint64_t number;
    std::function<Ref<R>(const Actor<T>&)> call;
  };
  struct Running {
    Ref<R> ref;
    std::optional<Actor<T>> actor;  // until its call has ended
  };
  std::size_t busy() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(running_, [](const auto& one) { return one.second.actor.has_value(); }));
  }

  void hand_out() {
    while (!waiting_.empty() && !idle_.empty()) {
      Waiting next = std::move(waiting_.front());
      waiting_.pop_front();
      Actor<T> actor = std::move(idle_.front());
      idle_.pop_front();
      Ref<R> ref = next.call(actor);
      running_.emplace(next.number, Running{std::move(ref), std::move(actor)});
    }
  }

  // Gives back the actors of calls that have ended; waits for one, at most to the deadline. False: none did.
  bool collect(detail::Deadline deadline) {
    std::vector<detail::Slot> slots;
    std::vector<Running*> of;
    for (auto& [number, one] : running_) {
      if (!one.actor) continue;
      slots.push_back(one.ref.base().slot());
      of.push_back(&one);
    }
    if (slots.empty()) return false;
    std::vector<bool> ready(slots.size());
    of.front()->ref.base().checked_core().wait(slots, 1, deadline, ready);
    bool any = false;
    for (std::size_t i = 0; i < of.size(); ++i) {
      if (!ready[i]) continue;
      any = true;
      const Result<detail::Bytes> result = of[i]->ref.base().checked_core().get(slots[i], detail::Clock::now());
      if (result.ok() || result.error().code != ErrorCode::actor_died) idle_.push_back(*std::move(of[i]->actor));
      of[i]->actor.reset();
    }
    hand_out();
    return any;
  }

  R fetch(detail::Deadline deadline, bool in_order) {
    if (!has_next()) detail::pool_has_nothing();
    for (;;) {
      auto found = running_.begin();
      if (in_order) {
        const bool oldest_runs = !running_.empty() && (waiting_.empty() || found->first < waiting_.front().number);
        if (!oldest_runs || found->second.actor) found = running_.end();
      } else {
        found = std::ranges::find_if(running_, [](const auto& one) { return !one.second.actor; });
      }
      if (found != running_.end()) {
        const Ref<R> ref = std::move(found->second.ref);
        running_.erase(found);
        return ref.get();
      }
      if (size() == 0) {
        waiting_.pop_front();
        detail::pool_is_empty(true);
      }
      if (!collect(deadline) && detail::Clock::now() >= deadline) {
        throw TaskError({.code = ErrorCode::timed_out,
                         .message = "no result of the pool was there within the time given; its calls go on"});
      }
    }
  }

  std::deque<Actor<T>> idle_;
  std::deque<Waiting> waiting_;
  std::map<std::uint64_t, Running> running_;  // by number; with those that ended and were not fetched
  std::uint64_t submitted_ = 0;
};

}  // namespace mobula
