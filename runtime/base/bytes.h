// Bytes of an argument list or a result: short ones (most of them) lie in place, so that a call allocates nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

namespace mobula {

/// An owned, immutable-size byte string; up to `in_place` bytes without allocation. Aligned for any scalar.
class Bytes {
 public:
  static constexpr std::size_t in_place = 48;

  Bytes() = default;
  explicit Bytes(std::span<const std::byte> from) { assign(from); }
  Bytes(const Bytes& other) { assign(other.span()); }
  Bytes(Bytes&& other) noexcept { take(other); }
  Bytes& operator=(const Bytes& other) {
    if (this != &other) assign(other.span());
    return *this;
  }
  Bytes& operator=(Bytes&& other) noexcept {
    if (this != &other) {
      clear();
      take(other);
    }
    return *this;
  }
  ~Bytes() { clear(); }

  void assign(std::span<const std::byte> from) {
    std::byte* to = resize_for_overwrite(from.size());
    if (!from.empty()) std::memcpy(to, from.data(), from.size());
  }
  /// Room for `size` bytes whose content is not defined yet; what was there is gone.
  std::byte* resize_for_overwrite(std::size_t size) {
    clear();
    if (size > in_place) heap_ = new std::byte[size];
    size_ = static_cast<std::uint32_t>(size);
    return data();
  }
  void clear() {
    if (size_ > in_place) delete[] heap_;
    size_ = 0;
  }

  std::byte* data() { return size_ > in_place ? heap_ : small_; }
  const std::byte* data() const { return size_ > in_place ? heap_ : small_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::span<const std::byte> span() const { return {data(), size_}; }
  operator std::span<const std::byte>() const { return span(); }
  friend bool operator==(const Bytes& a, const Bytes& b) {
    return a.size_ == b.size_ && (a.size_ == 0 || std::memcmp(a.data(), b.data(), a.size_) == 0);
  }

 private:
  void take(Bytes& other) {
    size_ = other.size_;
    if (size_ > in_place) {
      heap_ = other.heap_;
    } else if (size_ != 0) {
      std::memcpy(small_, other.small_, size_);
    }
    other.size_ = 0;
  }

  union {
    alignas(8) std::byte small_[in_place];
    std::byte* heap_;
  };
  std::uint32_t size_ = 0;
};

}  // namespace mobula
