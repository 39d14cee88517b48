#include "runtime/config/nearest.h"

#include <algorithm>
#include <cctype>
#include <vector>

namespace mobula::config {

namespace {

bool same(char a, char b) {
  return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
}

// Optimal string alignment distance: Levenshtein's with swaps of neighbours.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same(a[i - 1], b[j - 1]) ? 0 : 1)});
      if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1])) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::optional<std::string> nearest(std::string_view word, std::span<const std::string> names) {
  if (word.size() > 200) return std::nullopt;  // nobody's typing error, and the distance would take its time
  const std::string* best = nullptr;
  std::size_t best_distance = 0;
  for (const auto& name : names) {
    const std::size_t d = distance(word, name);
    if (d <= std::max<std::size_t>(1, std::max(name.size(), word.size()) / 3) &&
        d < std::max(name.size(), word.size()) && (best == nullptr || d < best_distance)) {
      best = &name;
      best_distance = d;
    }
  }
  return best == nullptr ? std::nullopt : std::optional(*best);
}

std::string did_you_mean(std::string_view word, std::span<const std::string> names) {
  const auto meant = nearest(word, names);
  return meant ? "; did you mean '" + *meant + "'?" : "";
}

std::string expected_one_of(std::string_view word, std::span<const std::string> names) {
  std::string text;
  if (names.size() == 1) {
    text = "; expected '" + names[0] + "'";
  } else if (!names.empty()) {
    text = "; expected one of ";
    for (std::size_t i = 0; i < names.size(); ++i) text += (i == 0 ? "" : ", ") + names[i];
  }
  return text + did_you_mean(word, names);
}

}  // namespace mobula::config
