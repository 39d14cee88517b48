#pragma once

#include <compare>
#include <string>

namespace mobula::wire {

/// The program whose functions are to be called: a node starts workers from this file, if its build-id is this one.
struct Program {
  std::string path;
  std::string build_id;  // hexadecimal
  auto operator<=>(const Program&) const = default;
};

}  // namespace mobula::wire
