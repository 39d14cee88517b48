#pragma once

#include <cereal/cereal.hpp>
#include <cereal/types/array.hpp>
#include <cereal/types/deque.hpp>
#include <cereal/types/optional.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/utility.hpp>
#include <cereal/types/vector.hpp>

#include <cstddef>
#include <cstring>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

namespace mobula::rl {

// The state of environments and learners as bytes, for exact resume. Machine byte order, no field names and no
// versions: read by the same build that wrote it. What outlives a build is written in other formats.

namespace snapshot_detail {

inline void append(std::vector<std::byte>& bytes, const void* data, std::size_t size) {
  if (size == 0) return;
  const std::size_t old_size = bytes.size();
  bytes.resize(old_size + size);
  std::memcpy(bytes.data() + old_size, data, size);
}

inline void take(std::span<const std::byte>& bytes, void* data, std::size_t size) {
  if (size > bytes.size()) {
    throw std::runtime_error(
        "Reading a snapshot: it ends before the state is complete. It is damaged, or was written by another build or "
        "another configuration; start from a checkpoint of this one.");
  }
  if (size == 0) return;
  std::memcpy(data, bytes.data(), size);
  bytes = bytes.subspan(size);
}

// Cereal archives that append to a vector and take from a span, without streams.
class Writer : public cereal::OutputArchive<Writer, cereal::AllowEmptyClassElision> {
 public:
  explicit Writer(std::vector<std::byte>& bytes) : OutputArchive(this), bytes_(bytes) {}
  void append(const void* data, std::size_t size) { snapshot_detail::append(bytes_, data, size); }

 private:
  std::vector<std::byte>& bytes_;
};

class Reader : public cereal::InputArchive<Reader, cereal::AllowEmptyClassElision> {
 public:
  explicit Reader(std::span<const std::byte>& bytes) : InputArchive(this), bytes_(bytes) {}
  void take(void* data, std::size_t size) { snapshot_detail::take(bytes_, data, size); }

 private:
  std::span<const std::byte>& bytes_;
};

template <class T>
requires std::is_arithmetic_v<T>
void CEREAL_SAVE_FUNCTION_NAME(Writer& writer, const T& value) {
  writer.append(&value, sizeof value);
}
template <class T>
requires std::is_arithmetic_v<T>
void CEREAL_LOAD_FUNCTION_NAME(Reader& reader, T& value) {
  reader.take(&value, sizeof value);
}
template <class T>
void CEREAL_SAVE_FUNCTION_NAME(Writer& writer, const cereal::BinaryData<T>& data) {
  writer.append(data.data, data.size);
}
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(Reader& reader, cereal::BinaryData<T>& data) {
  reader.take(data.data, data.size);
}
template <class Archive, class T>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, cereal::NameValuePair<T>& pair) {
  archive(pair.value);
}
template <class Archive, class T>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, cereal::SizeTag<T>& tag) {
  archive(tag.size);
}

template <class T>
concept Serializable = requires(T& value, Writer& writer) {
  value.serialize(writer);
};

}  // namespace snapshot_detail

// Types whose state can be taken: a cereal-style `serialize` member, else trivially copyable.
template <class T>
concept Snapshotable = std::is_trivially_copyable_v<T> || snapshot_detail::Serializable<T>;

// Appends the state of `value`.
template <class T>
void append_snapshot(std::vector<std::byte>& bytes, const T& value) {
  static_assert(Snapshotable<T> || cereal::traits::is_output_serializable<T, snapshot_detail::Writer>::value,
                "This type has no codec: make it trivially copyable, or add a member "
                "`template <class A> void serialize(A& a) { a(first_member, second_member); }`.");
  if constexpr (std::is_trivially_copyable_v<T> && !snapshot_detail::Serializable<T>) {
    snapshot_detail::append(bytes, &value, sizeof value);
  } else {
    snapshot_detail::Writer writer(bytes);
    writer(value);
  }
}

// Reads what append_snapshot wrote and moves `bytes` past it. Throws std::runtime_error when the bytes end too early;
// `value` is then unspecified.
template <class T>
void take_snapshot(std::span<const std::byte>& bytes, T& value) {
  if constexpr (std::is_trivially_copyable_v<T> && !snapshot_detail::Serializable<T>) {
    snapshot_detail::take(bytes, &value, sizeof value);
  } else {
    snapshot_detail::Reader reader(bytes);
    reader(value);
  }
}

// Row i of a table with `width` columns.
template <class T>
void append_row(std::vector<std::byte>& bytes, const std::vector<T>& table, int i, int width) {
  const std::size_t row = static_cast<std::size_t>(width);
  snapshot_detail::append(bytes, table.data() + static_cast<std::size_t>(i) * row, row * sizeof(T));
}
template <class T>
void take_row(std::span<const std::byte>& bytes, std::vector<T>& table, int i, int width) {
  const std::size_t row = static_cast<std::size_t>(width);
  snapshot_detail::take(bytes, table.data() + static_cast<std::size_t>(i) * row, row * sizeof(T));
}

}  // namespace mobula::rl

CEREAL_REGISTER_ARCHIVE(mobula::rl::snapshot_detail::Writer)
CEREAL_REGISTER_ARCHIVE(mobula::rl::snapshot_detail::Reader)
CEREAL_SETUP_ARCHIVE_TRAITS(mobula::rl::snapshot_detail::Reader, mobula::rl::snapshot_detail::Writer)
