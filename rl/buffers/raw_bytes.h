// Large tables in a snapshot: copied as they lie in memory, not number by number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <vector>

namespace mobula::rl {

// The number of elements, then their bytes.
template <class T>
void append_raw(std::vector<std::byte>& bytes, std::span<const T> table) {
  static_assert(std::is_trivially_copyable_v<T>);
  const std::uint64_t count = table.size();
  const auto at = bytes.size();
  bytes.resize(at + sizeof count + table.size_bytes());
  std::memcpy(bytes.data() + at, &count, sizeof count);
  if (count > 0) std::memcpy(bytes.data() + at + sizeof count, table.data(), table.size_bytes());
}

// Takes what append_raw() wrote from the front. Throws std::runtime_error if it is not there.
template <class Table>
void take_raw(std::span<const std::byte>& bytes, Table& table) {
  using T = typename Table::value_type;
  std::uint64_t count = 0;
  if (bytes.size() < sizeof count) throw std::runtime_error("Reading a table: the state ends too early.");
  std::memcpy(&count, bytes.data(), sizeof count);
  bytes = bytes.subspan(sizeof count);
  if (count > bytes.size() / sizeof(T)) throw std::runtime_error("Reading a table: the state ends too early.");
  table.resize(count);
  if (count > 0) std::memcpy(table.data(), bytes.data(), count * sizeof(T));
  bytes = bytes.subspan(count * sizeof(T));
}

}  // namespace mobula::rl
