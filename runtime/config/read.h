// Reading described structs out of a document.
#pragma once

#include <mobula/fields.h>

#include <initializer_list>
#include <string_view>
#include <utility>

#include "runtime/config/document.h"

namespace mobula::config {

// Fills the fields behind `group` from the mapping at the path; what read() does for a struct.
void read_group(const Document& document, std::string_view path, Fields::Group& group,
                std::initializer_list<std::string_view> also);

// Reads the mapping at `path` (empty: the whole document) into `target`; fields that are not written keep their values.
// Throws ConfigError on the first mistake: a key that the struct does not describe, a wrong type, a number out of range
// or not finite, a text that is no choice, a missing required field, or what the struct's problem() says. `target` is
// then as it was. `also` names keys of the mapping that the caller reads by itself, such as the `name:` of an
// environment.
template <Described T>
void read(const Document& document, std::string_view path, T& target,
          std::initializer_list<std::string_view> also = {}) {
  T filled = target;
  fields_detail::GroupOf<T> group(filled);
  read_group(document, path, group, also);
  target = std::move(filled);
}

}  // namespace mobula::config
