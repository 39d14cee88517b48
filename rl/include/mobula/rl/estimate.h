#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mobula::rl {

/// A number and how well it is known.
struct Estimate {
  double value = std::numeric_limits<double>::quiet_NaN();
  double low = std::numeric_limits<double>::quiet_NaN();  ///< 95 % interval; NaN where n does not allow one
  double high = std::numeric_limits<double>::quiet_NaN();
  std::int64_t n = 0;        ///< independent units behind it: episodes
  std::int64_t samples = 0;  ///< what was pooled within them (vehicles); n where nothing was
};

/// Metric -> estimate in a fixed order: `return` and `episode_length`, then what the environment reports. A metric of
/// samples such as `wait` gives `mean_wait`, `p95_wait` and `max_wait`; one of a group is written `mean_wait/side`.
/// How the intervals are made is told in rl/train/statistics.h and in docs/guide/training.md.
using Metrics = std::vector<std::pair<std::string, Estimate>>;

/// The estimate with this name, or null.
const Estimate* find(const Metrics& metrics, std::string_view name);

}  // namespace mobula::rl
