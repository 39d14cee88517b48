// Writing described structs as YAML that reads back to equal values.
#pragma once

#include <mobula/fields.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mobula::config {

struct DumpOptions {
  std::string_view section = {};                                      // written above the fields, which are indented
  std::vector<std::pair<std::string_view, std::string_view>> also{};  // texts before the fields: {"name", "cartpole"}
};

std::string dump_group(Fields::Group& group, const DumpOptions& options);
// "0.001" or "{linear: [0.001, 0]}".
std::string dump_value(Fields::NumberOrGroup& value);

// Every field with its value, in the order of description, one a line, ending in a newline. Floating-point numbers have
// the fewest digits that read back to the same bits; absent optionals are written `~`. Sections are put together by
// concatenating their dumps.
template <Described T>
std::string dump(const T& source, const DumpOptions& options = {}) {
  T copy = source;
  fields_detail::GroupOf<T> group(copy);
  return dump_group(group, options);
}

// The text as a YAML scalar, quoted where it would otherwise be read as something else.
std::string yaml_scalar(std::string_view text);
// The fewest digits that read back to the same bits.
std::string number_text(double value);
std::string number_text(float value);

}  // namespace mobula::config
