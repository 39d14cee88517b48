// A table whose handles are positions: insert, find and erase cost a few nanoseconds at a million entries, and a handle
// to an erased entry is recognised by its generation.
#pragma once

#include <cassert>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace mobula {

struct SlabHandle {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;  // 0: no handle
  explicit operator bool() const { return generation != 0; }
  auto operator<=>(const SlabHandle&) const = default;
};

/// Entries keep their address until they are erased (they lie in chunks of 256). Not synchronised.
/// An index is reused last-in first-out, with the next generation; generations start at 1 and skip 0 when they wrap.
template <class T>
class Slab {
  static constexpr std::uint32_t chunk_bits = 8;
  static constexpr std::uint32_t chunk_size = 1u << chunk_bits;

  struct Slot {
    alignas(T) std::byte storage[sizeof(T)];
    std::uint32_t generation = 1;
    std::uint32_t next_free = 0;
    bool live = false;
    T* get() { return std::launder(reinterpret_cast<T*>(storage)); }
  };

 public:
  Slab() = default;
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() { clear(); }

  template <class... Args>
  SlabHandle emplace(Args&&... args) {
    if (free_ == none) grow();
    const std::uint32_t index = free_;
    Slot& slot = at(index);
    new (slot.storage) T{std::forward<Args>(args)...};
    free_ = slot.next_free;
    slot.live = true;
    ++size_;
    return {index, slot.generation};
  }

  /// The entry, or nullptr if it was erased or never existed.
  T* find(SlabHandle handle) {
    if (handle.index >= capacity_) return nullptr;
    Slot& slot = at(handle.index);
    return slot.live && slot.generation == handle.generation ? slot.get() : nullptr;
  }
  const T* find(SlabHandle handle) const { return const_cast<Slab*>(this)->find(handle); }

  /// For handles that are known to be valid.
  T& operator[](SlabHandle handle) {
    assert(find(handle) != nullptr);
    return *at(handle.index).get();
  }
  const T& operator[](SlabHandle handle) const { return const_cast<Slab&>(*this)[handle]; }

  void erase(SlabHandle handle) {
    assert(find(handle) != nullptr);
    Slot& slot = at(handle.index);
    slot.get()->~T();
    slot.live = false;
    if (++slot.generation == 0) slot.generation = 1;
    slot.next_free = free_;
    free_ = handle.index;
    --size_;
  }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  /// Visits every live entry as visit(handle, entry); the visitor may erase the entry it is given.
  template <class F>
  void for_each(F&& visit) {
    for (std::uint32_t i = 0; i < capacity_; ++i) {
      if (Slot& slot = at(i); slot.live) visit(SlabHandle{i, slot.generation}, *slot.get());
    }
  }
  template <class F>
  void for_each(F&& visit) const {
    const_cast<Slab*>(this)->for_each([&](SlabHandle handle, const T& entry) { visit(handle, entry); });
  }

  void clear() {
    for_each([this](SlabHandle handle, T&) { erase(handle); });
  }

 private:
  static constexpr std::uint32_t none = UINT32_MAX;

  Slot& at(std::uint32_t index) { return chunks_[index >> chunk_bits][index & (chunk_size - 1)]; }

  void grow() {
    chunks_.push_back(std::make_unique<Slot[]>(chunk_size));
    for (std::uint32_t i = chunk_size; i-- > 0;) {
      chunks_.back()[i].next_free = free_;
      free_ = capacity_ + i;
    }
    capacity_ += chunk_size;
  }

  std::vector<std::unique_ptr<Slot[]>> chunks_;
  std::uint32_t free_ = none;
  std::uint32_t capacity_ = 0;
  std::size_t size_ = 0;
};

}  // namespace mobula
