// Integers in JSON that may come from anywhere. nlohmann::json makes an integer of 1.5 and of 1e30, the latter as the
// processor likes; here both are errors of its own kind, so that whoever catches those need not know.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace mobula {

template <std::integral T = std::int64_t, class Json>
T json_integer(const Json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.template get<std::uint64_t>();
    if (std::in_range<T>(number)) return static_cast<T>(number);
  } else if (value.is_number_integer()) {
    const auto number = value.template get<std::int64_t>();
    if (std::in_range<T>(number)) return static_cast<T>(number);
  }
  const std::string what = value.is_number() ? value.dump() : "a " + std::string(value.type_name());
  throw Json::out_of_range::create(406, what + " is not an integer that can be here", &value);
}

/// `otherwise` where there is no such key.
template <std::integral T, class Json>
T json_integer(const Json& object, const char* key, T otherwise) {
  return object.contains(key) ? json_integer<T>(object.at(key)) : otherwise;
}

template <std::integral T, class Json>
std::vector<T> json_integers(const Json& array) {
  std::vector<T> all;
  for (const Json& value : array) all.push_back(json_integer<T>(value));
  return all;
}

}  // namespace mobula
