// Streams: a task (or an actor's call) whose results are items, read while it still runs.
//
//   mobula::Generator<int> count(int n) {                       // a coroutine that yields them,
//     for (int i = 0; i < n; ++i) co_yield i;
//   }
//   void squares(mobula::Writer<int>& out, int n) {             // or a function with a writer as its first parameter
//     for (int i = 0; i < n; ++i) out.write(i * i);
//   }
//   for (int i : rt.stream<count>(1000)) use(i);
//
// The maker is at most Options::max_unread_items ahead of its reader; then it waits and gives its cpu to others. When
// its worker dies the call runs again and items that have arrived are skipped: the reader sees each item once, given
// that the code yields the same ones again. An exception comes out of the reader after the items before it. A reader
// that goes away cancels the call.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "mobula/codec.h"
#include "mobula/detail/core.h"
#include "mobula/ref.h"

namespace mobula {
namespace detail {
struct Invocation;
// Hands one encoded item on, waiting for room. False: nobody reads any more.
bool give_item(Invocation& in, const Encoded& item);
Encoded encode_item(Invocation& in, const void* value, void (*encode)(Encoder&, const void*));
[[noreturn]] void nobody_reads();
}  // namespace detail

// What a coroutine that makes a stream returns. Can also be walked directly, without a runtime.
template <class T>
class [[nodiscard]] Generator {
 public:
  using value_type = T;
  struct promise_type {
    const T* current = nullptr;
    std::exception_ptr failure;
    Generator get_return_object() { return Generator(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    std::suspend_always yield_value(const T& value) noexcept {
      current = std::addressof(value);
      return {};
    }
    void return_void() const noexcept {}
    void unhandled_exception() { failure = std::current_exception(); }
    template <class A>
    void await_transform(A&&) = delete;  // a generator waits with get(); a Task<T> may co_await
  };
  explicit Generator(std::coroutine_handle<promise_type> coroutine) : coroutine_(coroutine) {}
  Generator(Generator&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  Generator& operator=(Generator other) noexcept {
    std::swap(coroutine_, other.coroutine_);
    return *this;
  }
  ~Generator() {
    if (coroutine_) coroutine_.destroy();
  }

  // The next item, valid until the next call; null after the last one. Throws what left the coroutine.
  const T* next() {
    if (coroutine_.done()) return nullptr;
    coroutine_.resume();
    if (coroutine_.promise().failure) std::rethrow_exception(std::exchange(coroutine_.promise().failure, nullptr));
    return coroutine_.done() ? nullptr : coroutine_.promise().current;
  }

  class Iterator {
   public:
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    Iterator() = default;
    explicit Iterator(Generator* from) : from_(from), item_(from->next()) {}
    const T& operator*() const { return *item_; }
    Iterator& operator++() {
      item_ = from_->next();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const Iterator& it, std::default_sentinel_t) { return it.item_ == nullptr; }

   private:
    Generator* from_ = nullptr;
    const T* item_ = nullptr;
  };
  Iterator begin() { return Iterator(this); }
  std::default_sentinel_t end() const { return {}; }

 private:
  std::coroutine_handle<promise_type> coroutine_;
};

// The other end of a stream, given to a function that makes one.
template <class T>
class Writer {
 public:
  using value_type = T;
  explicit Writer(detail::Invocation& in) : in_(&in) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  // Waits while the reader is too far behind. Throws TaskError(cancelled) once nobody reads any more.
  void write(const T& item) {
    const detail::Encoded encoded = detail::encode_item(*in_, std::addressof(item), [](Encoder& e, const void* value) {
      Codec<T>::encode(e, *static_cast<const T*>(value));
    });
    if (!detail::give_item(*in_, encoded)) detail::nobody_reads();
  }

 private:
  detail::Invocation* in_;
};

// The reader's end, of rt.stream<f>(...) or actor.stream<&T::method>(...). An input range, to be walked once, by one
// thread at a time. Moves; going away it closes the stream and cancels the call.
template <class T>
class Items {
 public:
  using value_type = T;
  Items(detail::Core* core, detail::Slot slot) : ref_(core, slot) {}
  Items(Items&&) noexcept = default;
  Items& operator=(Items&&) noexcept = default;

  // The next item as a Ref, to be passed on without reading it; nothing after the last one. Waits for it. Throws
  // TaskError: what ended the stream, or, with a timeout, timed_out (the stream goes on).
  std::optional<Ref<T>> next() { return next_until(detail::Deadline::max()); }
  std::optional<Ref<T>> next(std::chrono::nanoseconds timeout) { return next_until(detail::deadline_after(timeout)); }

  // The call itself: its failure is the stream's. For rt.cancel(stream.call()) and for waiting for its end.
  const Ref<void>& call() const { return ref_; }

  class Iterator {
   public:
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    Iterator() = default;
    explicit Iterator(Items* from) : from_(from) {}
    T& operator*() const { return *from_->item_; }
    T* operator->() const { return &*from_->item_; }
    Iterator& operator++() {
      from_->read();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const Iterator& it, std::default_sentinel_t) { return it.done(); }

   private:
    bool done() const { return !from_->item_; }
    Items* from_ = nullptr;
  };
  Iterator begin() {
    read();
    return Iterator(this);
  }
  std::default_sentinel_t end() const { return {}; }

 private:
  std::optional<Ref<T>> next_until(detail::Deadline deadline) {
    detail::Core& core = ref_.base().checked_core();
    const detail::Slot slot = core.stream_next(ref_.base().slot(), deadline).value();
    if (!slot) return std::nullopt;
    return Ref<T>(&core, slot);
  }
  void read() {
    item_.reset();
    if (const std::optional<Ref<T>> ref = next()) item_.emplace(ref->get());
  }
  Ref<void> ref_;
  std::optional<T> item_;
};

}  // namespace mobula
