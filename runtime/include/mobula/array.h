// Array<T>: an immutable run of numbers (any trivially copyable T) whose bytes may lie in the node's shared object
// arena. Reading a large one that another process made is a pointer, not a copy; the memory stays as long as any copy
// of the Array does. ArrayBuilder<T> writes in place where the array is going to live:
//
//   mobula::ArrayBuilder<float> rows(n);            // in the arena when it is large, else on the heap
//   fill(rows.span());
//   return std::move(rows).finish();                // as a task's result or in put(): nothing is copied
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "mobula/codec.h"
#include "mobula/detail/core.h"

namespace mobula {

template <class T>
class ArrayBuilder;

template <class T>
class Array {
  static_assert(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> && alignof(T) <= 64,
                "mobula::Array holds trivially copyable values; use std::vector for others");

 public:
  using value_type = T;
  Array() = default;
  explicit Array(std::span<const T> values);  // copies
  explicit Array(const std::vector<T>& values) : Array(std::span<const T>(values)) {}
  Array(std::initializer_list<T> values) : Array(std::span<const T>(values.begin(), values.size())) {}
  // A view of memory that `keep` keeps alive.
  Array(const T* data, std::size_t size, std::shared_ptr<const void> keep)
      : data_(data), size_(size), keep_(std::move(keep)) {}

  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  std::span<const T> span() const { return {data_, size_}; }
  operator std::span<const T>() const { return span(); }
  friend bool operator==(const Array& a, const Array& b) {
    return a.size_ == b.size_ && std::equal(a.begin(), a.end(), b.begin());
  }

  // The arena object that holds exactly this array, if this process wrote it and nobody has taken it over yet.
  const std::shared_ptr<detail::Object>& object() const { return object_; }

 private:
  friend class ArrayBuilder<T>;
  const T* data_ = nullptr;
  std::size_t size_ = 0;
  std::shared_ptr<const void> keep_;
  std::shared_ptr<detail::Object> object_;
};

template <class T>
class ArrayBuilder {
 public:
  struct OnHeap {};
  // The elements start with unspecified values. Where the arena is full others leave it for the disk first; throws
  // TaskError if that makes no room: out_of_memory, or disk_full.
  explicit ArrayBuilder(std::size_t size) : size_(size) {
    const std::size_t bytes = header + size * sizeof(T);
    detail::Core* core = bytes > detail::inline_limit ? detail::current_core_or_null() : nullptr;
    if (core == nullptr) {
      use_heap();
      return;
    }
    object_ = core->allocate(bytes);
    // Laid out as Encoder::block writes it, so that the object is the encoded value.
    std::memset(object_->data(), 0, header);
    const std::uint64_t n = size;
    std::memcpy(object_->data(), &n, sizeof n);
    data_ = reinterpret_cast<T*>(object_->data() + header);
  }
  ArrayBuilder(std::size_t size, OnHeap) : size_(size) { use_heap(); }

  T* data() { return data_; }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) { return data_[i]; }
  std::span<T> span() { return {data_, size_}; }

  Array<T> finish() && {
    Array<T> array(data_, size_, object_ ? std::shared_ptr<const void>(object_) : std::move(heap_));
    array.object_ = std::move(object_);
    data_ = nullptr;
    return array;
  }

 private:
  static constexpr std::align_val_t alignment{64};
  void use_heap() {
    heap_ = std::shared_ptr<std::byte[]>(static_cast<std::byte*>(::operator new[](size_ * sizeof(T), alignment)),
                                         [](std::byte* p) { ::operator delete[](p, alignment); });
    data_ = reinterpret_cast<T*>(heap_.get());
  }
  static constexpr std::size_t header = 64;
  std::size_t size_;
  T* data_ = nullptr;
  std::shared_ptr<detail::Object> object_;
  std::shared_ptr<std::byte[]> heap_;
};

template <class T>
Array<T>::Array(std::span<const T> values) {
  ArrayBuilder<T> builder(values.size());
  if (!values.empty()) std::memcpy(static_cast<void*>(builder.data()), values.data(), values.size_bytes());
  *this = std::move(builder).finish();
}

// The same bytes as a std::vector<T>: a Ref to either can be read as the other.
template <class T>
struct Codec<Array<T>> {
  static void encode(Encoder& e, const Array<T>& a) { e.block(a.data(), a.size(), sizeof(T)); }
  static Array<T> decode(Decoder& d) {
    const auto bytes = d.block(sizeof(T));
    const auto* data = reinterpret_cast<const T*>(bytes.data());
    const std::size_t n = bytes.size() / sizeof(T);
    if (d.keep() && reinterpret_cast<std::uintptr_t>(data) % alignof(T) == 0) return Array<T>(data, n, d.keep());
    ArrayBuilder<T> builder(n, typename ArrayBuilder<T>::OnHeap{});
    if (n != 0) std::memcpy(static_cast<void*>(builder.data()), bytes.data(), bytes.size());
    return std::move(builder).finish();
  }
};

}  // namespace mobula
