// Guessing which name was meant.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace mobula::config {

// The name nearest to `word` by edit distance (insert, delete, replace, swap of neighbours; case is free), if one is
// near enough to be worth saying: at most a third of its letters, and at least one, differ. Ties go to the first name.
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> names);

// "; did you mean 'b'?", or nothing where no name is near.
std::string did_you_mean(std::string_view word, std::span<const std::string> names);

// "; expected one of a, b, c" and, where one is near, "; did you mean 'b'?".
std::string expected_one_of(std::string_view word, std::span<const std::string> names);

}  // namespace mobula::config
