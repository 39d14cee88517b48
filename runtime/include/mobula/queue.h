// Queue<T>: a queue between any tasks and actors, on any node. Handles are copied and passed on freely, inside values
// too.
//
//   mobula::Queue<Job> jobs(rt, 100);                  // holds at most 100; without a number as many as come
//   rt.remote<produce>(jobs);                          // void produce(mobula::Queue<Job> to) { to.put(...); }
//   while (std::optional<Job> job = jobs.next()) run(*job);      // until it is closed and empty
//
// First in, first out; each item goes to one taker. Items of one producer keep their order. They lie in an actor, which
// ends with the last handle or with the process that made the queue (unless its options say otherwise), and with it the
// queue: then calls, also those that wait, throw ErrorCode::actor_died. An item that was handed to a process which dies
// before it has read it is gone with that process; a taker that died while it waited takes nothing. Large values are
// copied at each step: let a queue carry Ref<T> for them.
//
// Threads: all methods may be called from any thread. Inside a task a wait lends its cpu to others. In a coroutine use
// the await_... forms, which let other calls in. In-process (workers = 0) nothing can come while one waits, so a wait
// ends at once: with a time-out as if it had passed, else by ErrorCode::would_deadlock.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mobula/runtime.h"
#include "mobula/signal.h"

namespace mobula {
namespace detail {

[[noreturn]] void queue_closed(const char* tried);
// The options that the actor of a queue needs.
Options queue_options(Options options);
// What came from the queue's actor. A TaskError that left it is its answer.
[[noreturn]] void queue_failed(const Error& error);

struct QueuePut {
  std::uint64_t accepted = 0;
  bool closed = false;
};
template <class T>
struct QueueTake {
  std::vector<T> items;
  bool closed = false;
  template <class A>
  void serialize(A& a) {
    a(items, closed);
  }
};

// All methods are coroutines, also those that never wait: so they run in one thread.
template <class T>
class QueueActor {
 public:
  explicit QueueActor(std::uint64_t capacity) : capacity_(capacity) {}

  Task<QueuePut> put(std::vector<T> items, std::chrono::nanoseconds timeout) {
    const Deadline deadline = deadline_after(timeout);
    QueuePut put;
    for (T& item : items) {
      while (full() && !closed_) {
        if (timeout.count() <= 0) co_return put;
        const bool in_time = co_await room_.wait(time_left(deadline));
        if (!in_time && full()) co_return put;
      }
      put.closed = closed_;
      if (closed_) co_return put;
      items_.push_back(std::move(item));
      ++put.accepted;
      arrived_.notify_one();
    }
    co_return put;
  }
  Task<QueuePut> put_whole(std::vector<T> items) {
    if (closed_) co_return QueuePut{0, true};
    if (capacity_ != 0 && items_.size() + items.size() > capacity_) co_return QueuePut{};
    for (T& item : items) {
      items_.push_back(std::move(item));
      arrived_.notify_one();
    }
    co_return QueuePut{items.size(), false};
  }
  Task<QueueTake<T>> take(std::uint64_t least, std::uint64_t most, std::chrono::nanoseconds timeout) {
    const Deadline deadline = deadline_after(timeout);
    QueueTake<T> taken;
    while (items_.size() < least) {
      taken.closed = closed_;
      if (closed_ || timeout.count() <= 0) co_return taken;
      const bool in_time = co_await arrived_.wait(time_left(deadline));
      if (!in_time && items_.size() < least) {
        taken.closed = closed_;
        co_return taken;
      }
    }
    while (!items_.empty() && taken.items.size() < most) {
      taken.items.push_back(std::move(items_.front()));
      items_.pop_front();
      room_.notify_one();
    }
    if (!items_.empty()) arrived_.notify_one();
    co_return taken;
  }
  Task<std::uint64_t> size() { co_return items_.size(); }
  Task<std::uint64_t> capacity() { co_return capacity_; }
  Task<void> close() {
    closed_ = true;
    arrived_.notify_all();
    room_.notify_all();
    co_return;
  }

 private:
  bool full() const { return capacity_ != 0 && items_.size() >= capacity_; }
  const std::uint64_t capacity_;  // 0: no limit
  std::deque<T> items_;
  bool closed_ = false;
  Signal arrived_, room_;
};

}  // namespace detail

template <class T>
class Queue {
  using Home = detail::QueueActor<T>;
  static constexpr std::chrono::nanoseconds forever = std::chrono::nanoseconds::max();
  static constexpr std::chrono::nanoseconds at_once{0};

 public:
  using value_type = T;
  Queue() = default;  // empty: refers to nothing
  // `capacity` 0: no limit. Options are those of its actor: a name, a placement, detached.
  explicit Queue(const Runtime& rt, std::size_t capacity = 0, const Options& options = {})
      : actor_(rt.with(detail::queue_options(options)).template spawn<Home>(std::uint64_t{capacity})) {}
  // The one that was made with this Options::name, by whatever process of the job.
  static Queue named(const Runtime& rt, std::string_view name, std::string_view name_space = {}) {
    Queue queue;
    queue.actor_ = rt.get_actor<Home>(name, name_space);
    return queue;
  }

  // Waits while it is full. False: the time passed, and the item is not in it. Throws TaskError(unavailable) once it
  // was closed.
  void put(const T& item) const { put_many({item}, forever, "putting an item"); }
  bool put(const T& item, std::chrono::nanoseconds timeout) const {
    return put_many({item}, timeout, "putting an item") == 1;
  }
  bool try_put(const T& item) const { return put_many({item}, at_once, "putting an item") == 1; }
  // In order, waiting for room where there is none; items of others may come in between. How many went in before the
  // time had passed: the first so many.
  void put_batch(const std::vector<T>& items) const { put_many(items, forever, "putting a batch"); }
  std::size_t put_batch(const std::vector<T>& items, std::chrono::nanoseconds timeout) const {
    return put_many(items, timeout, "putting a batch");
  }
  // All of them next to each other, or, where there is no room for all, none.
  bool try_put_batch(const std::vector<T>& items) const {
    const detail::QueuePut put = got(actor_.template call<&Home::put_whole>(items));
    if (put.closed) detail::queue_closed("putting a batch");
    return put.accepted == items.size();
  }

  // Waits for an item. Throws TaskError(unavailable) once the queue is closed and empty; next() then gives nothing.
  T get() const {
    std::optional<T> item = next();
    if (!item) detail::queue_closed("taking an item");
    return *std::move(item);
  }
  std::optional<T> next() const { return first(take(1, 1, forever)); }
  // Nothing: the time passed. Throws TaskError(unavailable) once the queue is closed and empty.
  std::optional<T> get(std::chrono::nanoseconds timeout) const { return first(open(take(1, 1, timeout))); }
  std::optional<T> try_get() const { return get(at_once); }
  // What is there, but at most `most`; waits for the first one. Empty: the time passed, or the queue is closed.
  std::vector<T> get_batch(std::size_t most) const { return take(1, most, forever).items; }
  std::vector<T> get_batch(std::size_t most, std::chrono::nanoseconds timeout) const {
    return take(1, most, timeout).items;
  }
  // Exactly `count`, or, where there are fewer, none.
  std::optional<std::vector<T>> try_get_batch(std::size_t count) const {
    detail::QueueTake<T> taken = take(count, count, at_once);
    if (taken.items.size() != count) return std::nullopt;
    return std::move(taken.items);
  }

  // For coroutines: co_await queue.await_next(). Nothing: the time passed, or the queue is closed and empty.
  Task<std::optional<T>> await_next(std::chrono::nanoseconds timeout = forever) const {
    return awaited(actor_.template call<&Home::take>(std::uint64_t{1}, std::uint64_t{1}, timeout));
  }
  // False: the time passed, or the queue is closed.
  Task<bool> await_put(const T& item, std::chrono::nanoseconds timeout = forever) const {
    return awaited_put(actor_.template call<&Home::put>(std::vector<T>{item}, timeout));
  }

  // As it was when the question arrived; others go on meanwhile.
  std::size_t size() const { return got(actor_.template call<&Home::size>()); }
  bool empty() const { return size() == 0; }
  bool full() const { return capacity() != 0 && size() >= capacity(); }
  std::size_t capacity() const { return got(actor_.template call<&Home::capacity>()); }  // 0: no limit

  // Nothing more goes in; what is in it can still be taken. Who waits for room, or for an item that cannot come, is
  // told. Returns when that has happened.
  void close() const { got(actor_.template call<&Home::close>()); }
  // Ends it with what is in it; calls that wait and later ones throw ErrorCode::actor_died.
  void shutdown() const {
    if (actor_) actor_.base().core()->kill(actor_.base().slot());
  }

  explicit operator bool() const { return static_cast<bool>(actor_); }
  template <class A>
  void serialize(A& a) {
    a(actor_);
  }

 private:
  template <class V>
  static V got(const Ref<V>& ref) {
    Result<V> result = ref.try_get();
    if (!result) detail::queue_failed(result.error());
    if constexpr (!std::is_void_v<V>) return *std::move(result);
  }
  std::size_t put_many(const std::vector<T>& items, std::chrono::nanoseconds timeout, const char* tried) const {
    const detail::QueuePut put = got(actor_.template call<&Home::put>(items, timeout));
    if (put.closed) detail::queue_closed(tried);
    return put.accepted;
  }
  detail::QueueTake<T> take(std::size_t least, std::size_t most, std::chrono::nanoseconds timeout) const {
    return got(actor_.template call<&Home::take>(std::uint64_t{least}, std::uint64_t{most}, timeout));
  }
  static detail::QueueTake<T> open(detail::QueueTake<T> taken) {
    if (taken.items.empty() && taken.closed) detail::queue_closed("taking an item");
    return taken;
  }
  static std::optional<T> first(detail::QueueTake<T> taken) {
    if (taken.items.empty()) return std::nullopt;
    return std::move(taken.items.front());
  }
  static Task<std::optional<T>> awaited(Ref<detail::QueueTake<T>> taken) { co_return first(co_await taken); }
  static Task<bool> awaited_put(Ref<detail::QueuePut> call) {
    const detail::QueuePut put = co_await call;
    co_return put.accepted == 1;
  }

  Actor<Home> actor_;
};

}  // namespace mobula
