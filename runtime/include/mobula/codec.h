// How values travel. `Codec<T>` turns a T into bytes and back; it exists for
//   - trivially copyable types (one memcpy; pointers, views and spans are refused),
//   - standard containers, strings, pairs, tuples, optionals, variants of types that have one,
//   - types with `template <class A> void serialize(A& a) { a(x, y, z); }`, a member or a free `serialize(a, t)`,
//   - Ref<T>, Actor<T>, Array<T>, Function<...>; Eigen types with <mobula/codec/eigen.h>; everything that cereal can
//     archive (its std:: headers, save/load pairs, NVPs) with <mobula/codec/cereal.h>,
//   - whatever you specialise it for: static void encode(Encoder&, const T&) and static T decode(Decoder&).
// Both ends run the same build, so the bytes are the machine's own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "mobula/detail/core.h"

namespace mobula {

namespace detail {
class RefBase;
class ActorBase;
}  // namespace detail

template <class T>
struct Codec;

// Appends to a buffer of fixed size. What does not fit is only counted, so that one pass over a large value measures it
// and a second one writes it in place where it shall lie.
class Encoder {
 public:
  Encoder(std::byte* begin, std::size_t capacity, detail::Core* core, std::vector<detail::Slot>* refs,
          std::vector<detail::Slot>* actors)
      : base_(begin), cursor_(begin), end_(begin + capacity), core_(core), refs_(refs), actors_(actors) {}

  template <class... T>
  void operator()(const T&... values) {
    (Codec<T>::encode(*this, values), ...);
  }
  template <class T>
  Encoder& operator&(const T& value) {
    return (*this)(value), *this;
  }

  void raw(const void* data, std::size_t size) {
    if (static_cast<std::size_t>(end_ - cursor_) >= size) [[likely]] {
      if (size != 0) std::memcpy(cursor_, data, size);
      cursor_ += size;
    } else {
      overflow(size);
    }
  }
  void align(std::size_t to) {  // counted from the value's first byte
    static constexpr std::byte zeros[64]{};
    raw(zeros, (to - size() % to) % to);
  }
  // A trivially copyable run: count, then the elements, large ones at a multiple of 64 so that they can be read in
  // place.
  void block(const void* data, std::size_t count, std::size_t element) {
    const std::uint64_t n = count;
    raw(&n, sizeof n);
    if (count * element >= aligned_from) align(64);
    raw(data, count * element);
  }
  void ref(const detail::RefBase& ref);  // handles inside a value: they are kept alive by whatever holds its bytes
  void actor(const detail::ActorBase& actor);

  std::size_t size() const { return static_cast<std::size_t>(cursor_ - base_) + beyond_; }
  bool fits() const { return beyond_ == 0; }
  detail::Core* core() const { return core_; }

  static constexpr std::size_t aligned_from = 2048;  // bytes

 private:
  void overflow(std::size_t size) {
    end_ = cursor_;  // nothing is written from here on
    beyond_ += size;
  }
  std::byte* base_;
  std::byte* cursor_;
  std::byte* end_;
  std::size_t beyond_ = 0;
  detail::Core* core_;
  std::vector<detail::Slot>* refs_;
  std::vector<detail::Slot>* actors_;
};

// Reads what Encoder wrote. Every read is checked against the end; short bytes throw TaskError(bad_message).
class Decoder {
 public:
  explicit Decoder(std::span<const std::byte> bytes, detail::Core* core = nullptr,
                   std::shared_ptr<const void> keep = nullptr, detail::Slot cover = {})
      : base_(bytes.data()),
        cursor_(bytes.data()),
        end_(bytes.data() + bytes.size()),
        core_(core),
        keep_(std::move(keep)),
        cover_(cover) {}

  template <class T>
  T read() {
    return Codec<T>::decode(*this);
  }
  template <class... T>
  void operator()(T&... values) {
    ((values = Codec<T>::decode(*this)), ...);
  }
  template <class T>
  Decoder& operator&(T& value) {
    return (*this)(value), *this;
  }

  const std::byte* view(std::size_t size) {
    if (static_cast<std::size_t>(end_ - cursor_) < size) [[unlikely]]
      fail(size);
    return std::exchange(cursor_, cursor_ + size);
  }
  void raw(void* to, std::size_t size) {
    const std::byte* from = view(size);
    if (size != 0) std::memcpy(to, from, size);
  }
  void align(std::size_t to) { view((to - static_cast<std::size_t>(cursor_ - base_) % to) % to); }
  // A count of things that take at least `element` bytes each: checked against what is left, before anything is
  // reserved.
  std::size_t count(std::size_t element) {
    std::uint64_t n = 0;
    raw(&n, sizeof n);
    if (element != 0 && n > static_cast<std::size_t>(end_ - cursor_) / element) [[unlikely]]
      fail(n);
    return n;
  }
  std::span<const std::byte> block(std::size_t element) {
    const std::size_t n = count(element);
    if (n * element >= Encoder::aligned_from) align(64);
    return {view(n * element), n * element};
  }
  detail::Slot ref();  // an owned count; an empty slot for an empty handle
  detail::Slot actor();
  void restart_at_cursor() { base_ = cursor_; }  // the next value's alignment counts from here

  std::size_t left() const { return static_cast<std::size_t>(end_ - cursor_); }
  detail::Core* core() const { return core_; }
  const std::shared_ptr<const void>& keep() const { return keep_; }  // null: the bytes may go after this call

 private:
  [[noreturn]] void fail(std::size_t wanted) const;
  const std::byte* base_;
  const std::byte* cursor_;
  const std::byte* end_;
  detail::Core* core_;
  std::shared_ptr<const void> keep_;
  detail::Slot cover_;
};

namespace detail {

template <class>
inline constexpr bool never = false;
template <class T>
concept MemberSerialize = requires(T& t, Encoder& e) {
  t.serialize(e);
};
template <class T>
concept FreeSerialize = requires(T& t, Encoder& e) {
  serialize(e, t);
};
template <class T>
concept Container = requires(T& t, const T& c, typename T::value_type v) {
  c.begin();
  c.end();
  c.size();
  requires requires {
    t.emplace_back(std::move(v));
  } || requires {
    t.insert(std::move(v));
  };
};
// Map entries are pair<const K, V>; they are decoded as pair<K, V>.
template <class T>
struct Element {
  using type = T;
};
template <class K, class V>
struct Element<std::pair<const K, V>> {
  using type = std::pair<K, V>;
};

}  // namespace detail

template <class T>
struct Codec {
  static_assert(!std::is_pointer_v<T> && !std::is_member_pointer_v<T>,
                "mobula: a pointer means nothing in another process; pass the value, a mobula::Ref, or a "
                "mobula::Function for code");

  static void encode(Encoder& e, const T& value) {
    if constexpr (std::is_trivially_copyable_v<T>) {
      e.raw(&value, sizeof value);
    } else if constexpr (detail::MemberSerialize<T>) {
      const_cast<T&>(value).serialize(e);  // one member for both directions, as in cereal: encoding does not change it
    } else if constexpr (detail::FreeSerialize<T>) {
      serialize(e, const_cast<T&>(value));
    } else if constexpr (detail::Container<T>) {
      const std::uint64_t n = value.size();
      e.raw(&n, sizeof n);
      for (const auto& element : value) {
        Codec<typename detail::Element<typename T::value_type>::type>::encode(e, element);
      }
    } else {
      explain();
    }
  }

  static T decode(Decoder& d) {
    if constexpr (std::is_trivially_copyable_v<T>) {
      // Through raw storage: T need not be default-constructible, and memcpy makes it an object.
      union Storage {
        Storage() {}
        T value;
      } storage;
      d.raw(static_cast<void*>(&storage.value), sizeof(T));
      return storage.value;
    } else if constexpr (detail::MemberSerialize<T> || detail::FreeSerialize<T>) {
      static_assert(std::is_default_constructible_v<T>,
                    "mobula: a type with serialize() is decoded into a default-constructed object; give it a default "
                    "constructor, or specialise mobula::Codec<T>");
      T value{};
      if constexpr (detail::MemberSerialize<T>) {
        value.serialize(d);
      } else {
        serialize(d, value);
      }
      return value;
    } else if constexpr (detail::Container<T>) {
      T value;
      using E = typename detail::Element<typename T::value_type>::type;
      for (std::size_t n = d.count(std::is_empty_v<E> ? 0 : 1); n > 0; --n) {
        if constexpr (requires { value.emplace_back(Codec<E>::decode(d)); }) {
          value.emplace_back(Codec<E>::decode(d));
        } else {
          value.insert(Codec<E>::decode(d));
        }
      }
      return value;
    } else {
      explain();
    }
  }

 private:
  static constexpr void explain() {
    static_assert(
        detail::never<T>,
        "mobula: no codec for this type, so it cannot be an argument or a result. Make it trivially copyable, "
        "or add a member `template <class A> void serialize(A& a) { a(x, y, z); }` that names its fields, or "
        "specialise mobula::Codec<T>, or include <mobula/codec/cereal.h> or <mobula/codec/eigen.h>");
  }
};

// Reading a bool of any other byte is undefined, and the byte may come from elsewhere. (One inside a trivially copyable
// struct is copied with it, unseen; give a struct whose bytes are not trusted a serialize().)
template <>
struct Codec<bool> {
  static void encode(Encoder& e, bool value) { e.raw(&value, 1); }
  static bool decode(Decoder& d) {
    const auto byte = d.read<std::uint8_t>();
    if (byte > 1) [[unlikely]]
      throw TaskError({.code = ErrorCode::bad_message, .message = "decoding a bool: neither 0 nor 1"});
    return byte != 0;
  }
};

template <class C>
struct Codec<std::basic_string_view<C>> {
  static_assert(detail::never<C>, "mobula: a string_view does not own its text; use std::string inside values");
};
template <class T, std::size_t N>
struct Codec<std::span<T, N>> {
  static_assert(detail::never<T>,
                "mobula: a span does not own its elements; use std::vector or mobula::Array inside values");
};

template <class C, class R>
struct Codec<std::basic_string<C, R>> {
  static void encode(Encoder& e, const std::basic_string<C, R>& s) { e.block(s.data(), s.size(), sizeof(C)); }
  static std::basic_string<C, R> decode(Decoder& d) {
    const auto bytes = d.block(sizeof(C));
    std::basic_string<C, R> s(bytes.size() / sizeof(C), C{});
    std::memcpy(s.data(), bytes.data(), bytes.size());
    return s;
  }
};

template <class T, class A>
struct Codec<std::vector<T, A>> {
  static constexpr bool is_block = std::is_trivially_copyable_v<T> && std::is_default_constructible_v<T> &&
                                   !std::is_same_v<T, bool> && !std::is_pointer_v<T>;
  static void encode(Encoder& e, const std::vector<T, A>& v) {
    if constexpr (is_block) {
      e.block(v.data(), v.size(), sizeof(T));
    } else {
      const std::uint64_t n = v.size();
      e.raw(&n, sizeof n);
      for (const auto& element : v) Codec<T>::encode(e, element);
    }
  }
  static std::vector<T, A> decode(Decoder& d) {
    if constexpr (is_block) {
      const auto bytes = d.block(sizeof(T));
      std::vector<T, A> v(bytes.size() / sizeof(T));
      if (!bytes.empty()) std::memcpy(static_cast<void*>(v.data()), bytes.data(), bytes.size());
      return v;
    } else {
      const std::size_t n = d.count(std::is_empty_v<T> ? 0 : 1);
      std::vector<T, A> v;
      v.reserve(n);
      for (std::size_t i = 0; i < n; ++i) v.push_back(Codec<T>::decode(d));
      return v;
    }
  }
};

template <class T, std::size_t N>
requires(!std::is_trivially_copyable_v<T>) struct Codec<std::array<T, N>> {
  static void encode(Encoder& e, const std::array<T, N>& a) {
    for (const T& element : a) e(element);
  }
  static std::array<T, N> decode(Decoder& d) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return std::array<T, N>{((void)I, Codec<T>::decode(d))...};
    }
    (std::make_index_sequence<N>{});
  }
};

template <class A, class B>
struct Codec<std::pair<A, B>> {
  template <class P>  // also pair<const A, B>, a map's entry
  static void encode(Encoder& e, const P& p) {
    Codec<A>::encode(e, p.first);
    Codec<B>::encode(e, p.second);
  }
  static std::pair<A, B> decode(Decoder& d) {
    A first = Codec<A>::decode(d);
    return {std::move(first), Codec<B>::decode(d)};
  }
};

template <class... T>
struct Codec<std::tuple<T...>> {
  static void encode(Encoder& e, const std::tuple<T...>& t) {
    std::apply([&](const T&... values) { (Codec<T>::encode(e, values), ...); }, t);
  }
  static std::tuple<T...> decode(Decoder& d) { return std::tuple<T...>{Codec<T>::decode(d)...}; }
};

template <class T>
struct Codec<std::optional<T>> {
  static void encode(Encoder& e, const std::optional<T>& o) {
    e(o.has_value());
    if (o) e(*o);
  }
  static std::optional<T> decode(Decoder& d) {
    if (d.read<std::uint8_t>() == 0) return std::nullopt;
    return d.read<T>();
  }
};

template <>
struct Codec<std::monostate> {
  static void encode(Encoder&, const std::monostate&) {}
  static std::monostate decode(Decoder&) { return {}; }
};

template <class... T>
struct Codec<std::variant<T...>> {
  static void encode(Encoder& e, const std::variant<T...>& v) {
    e(static_cast<std::uint8_t>(v.index()));
    std::visit([&](const auto& value) { e(value); }, v);
  }
  static std::variant<T...> decode(Decoder& d) {
    const std::size_t index = d.read<std::uint8_t>();
    std::optional<std::variant<T...>> v;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      ((index == I
            ? (void)v.emplace(std::in_place_index<I>, d.read<std::variant_alternative_t<I, std::variant<T...>>>())
            : (void)0),
       ...);
    }
    (std::make_index_sequence<sizeof...(T)>{});
    if (!v) throw TaskError({.code = ErrorCode::bad_message, .message = "decoding a variant: no such alternative"});
    return *std::move(v);
  }
};

// The bytes of one value by itself: for checkpoints, tests and comparisons. References inside it are refused (invalid).
template <class T>
std::vector<std::byte> encode_to_bytes(const T& value) {
  std::vector<std::byte> bytes(256);
  for (;;) {
    Encoder e(bytes.data(), bytes.size(), nullptr, nullptr, nullptr);
    e(value);
    const bool done = e.fits();
    bytes.resize(e.size());
    if (done) return bytes;
  }
}
template <class T>
T decode_from_bytes(std::span<const std::byte> bytes) {
  Decoder d(bytes);
  return d.read<T>();
}

}  // namespace mobula
