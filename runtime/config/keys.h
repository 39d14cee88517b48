// The help of described structs: what can be written, and what holds when it is not.
#pragma once

#include <mobula/fields.h>

#include <span>
#include <string>
#include <vector>

namespace mobula::config {

struct Key {
  std::string path;           // "network.hidden"; elements of a list of structs: "constraints[].metric"
  std::string type;           // "number", "integer", "true or false", "text", "list of integers"
  std::string default_value;  // as YAML; empty where the field is required
  std::string range;          // "[0, 3600]", "> 0", "one of a, b", or empty
  std::string unit;
  std::string help;
  bool required = false;

  bool operator==(const Key&) const = default;
};

std::vector<Key> describe_group(Fields::Group& group);

// One entry for each field, in the order of description, with the values of `defaults` as defaults.
template <Described T>
std::vector<Key> describe_keys(const T& defaults = {}) {
  T copy = defaults;
  fields_detail::GroupOf<T> group(copy);
  return describe_group(group);
}

// Two aligned lines a key, for a terminal; each line starts with `indent` spaces.
std::string format_keys(std::span<const Key> keys, int indent = 2);

// The allowed range of a field: "[0, 3600]", "> 0", "one of a, b", or empty.
std::string range_text(const FieldInfo& info);

}  // namespace mobula::config
