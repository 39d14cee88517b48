// Amounts of what tasks use up: cpus, memory and whatever a cluster calls its own. Exact to 1/10000, so that giving and
// taking never drifts.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace mobula {

/// In units of 1/10000 (a cpu is 10000). Value type; missing names count as zero and zeros are not stored.
struct Resources {
  std::map<std::string, std::int64_t> amounts;

  static constexpr std::int64_t unit = 10000;
  static Resources cpus(double cpus);

  std::int64_t amount(const std::string& name) const;
  void set(const std::string& name, std::int64_t units);
  bool covers(const Resources& demand) const;  // at least as much of everything
  bool empty() const { return amounts.empty(); }
  Resources& operator+=(const Resources& other);
  Resources& operator-=(const Resources& other);  // may go below zero: see Node, "oversubscribed"
  friend Resources operator-(Resources a, const Resources& b) { return a -= b; }
  friend bool operator==(const Resources&, const Resources&) = default;
  friend auto operator<=>(const Resources&, const Resources&) = default;
};

std::string to_string(const Resources& resources);  // "cpu 2, gpu 0.5, memory 4 GiB"; "nothing"

}  // namespace mobula
