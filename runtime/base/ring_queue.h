// A double-ended queue that stops allocating once it has grown: for the queues on the path of a call.
#pragma once

#include <cassert>
#include <cstddef>
#include <utility>
#include <vector>

namespace mobula {

template <class T>
class RingQueue {
 public:
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }

  T& front() { return assert(size_ != 0), slots_[head_]; }
  T& back() { return assert(size_ != 0), slots_[wrap(head_ + size_ - 1)]; }
  /// The i-th from the front.
  T& operator[](std::size_t i) { return assert(i < size_), slots_[wrap(head_ + i)]; }
  const T& operator[](std::size_t i) const { return assert(i < size_), slots_[wrap(head_ + i)]; }

  void push_back(T value) {
    if (size_ == slots_.size()) grow();
    slots_[wrap(head_ + size_++)] = std::move(value);
  }
  void push_front(T value) {
    if (size_ == slots_.size()) grow();
    head_ = wrap(head_ + slots_.size() - 1);
    slots_[head_] = std::move(value);
    ++size_;
  }
  void pop_front() {
    assert(size_ != 0);
    head_ = wrap(head_ + 1);
    --size_;
  }
  void pop_back() {
    assert(size_ != 0);
    --size_;
  }
  void clear() { head_ = size_ = 0; }

 private:
  std::size_t wrap(std::size_t i) const { return i & (slots_.size() - 1); }  // a power of two of slots

  void grow() {
    std::vector<T> larger(slots_.empty() ? 16 : slots_.size() * 2);
    for (std::size_t i = 0; i < size_; ++i) larger[i] = std::move((*this)[i]);
    slots_ = std::move(larger);
    head_ = 0;
  }

  std::vector<T> slots_;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

}  // namespace mobula
