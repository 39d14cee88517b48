// All parameters of a policy in one contiguous, aligned array, so that broadcast, checkpoint, clipping and the
// optimiser are one pass each. A layout names the pieces.
#pragma once

#include <cstddef>
#include <new>
#include <string>
#include <string_view>
#include <vector>

namespace mobula::rl::nn {

inline constexpr std::size_t kAlignment = 64;
// Rows are padded to whole groups of this many numbers; the padding is zero and its gradient is zero, so it stays so.
inline constexpr int kPadding = 16;

inline constexpr int padded(int n) {
  return (n + kPadding - 1) / kPadding * kPadding;
}

template <class T>
struct AlignedAllocator {
  using value_type = T;
  AlignedAllocator() = default;
  template <class U>
  AlignedAllocator(const AlignedAllocator<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new (n * sizeof(T), std::align_val_t{kAlignment})); }
  void deallocate(T* p, std::size_t) { ::operator delete (p, std::align_val_t{kAlignment}); }
  bool operator==(const AlignedAllocator&) const { return true; }
};
template <class T>
using AlignedVector = std::vector<T, AlignedAllocator<T>>;

// One piece: `rows` rows of `stride` numbers of which the first `columns` are used.
struct ParameterBlock {
  std::string name;  // "actor.0.weight"
  int rows = 0;
  int columns = 0;
  int stride = 0;
  std::size_t offset = 0;  // of the first number, in numbers
  bool operator==(const ParameterBlock&) const = default;
};

// Value type. Offsets are multiples of kPadding.
class ParameterLayout {
 public:
  // Appends a block and returns its offset.
  std::size_t add(std::string name, int rows, int columns);
  // The block of that name; throws std::out_of_range with the name.
  const ParameterBlock& block(std::string_view name) const;
  const std::vector<ParameterBlock>& blocks() const { return blocks_; }
  std::size_t size() const { return size_; }  // numbers, padding included
  bool operator==(const ParameterLayout&) const = default;

 private:
  std::vector<ParameterBlock> blocks_;
  std::size_t size_ = 0;
};

}  // namespace mobula::rl::nn
