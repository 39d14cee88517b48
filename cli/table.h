#pragma once

#include <mobula/rl/estimate.h>

#include <span>
#include <string>

namespace mobula::cli {

/// Policies by metrics, each number with its 95 % interval and, below, the number of episodes:
///
///   policy         mean_wait              p95_wait
///   trained        7.41 [7.30, 7.52]      24.5 [24.0, 25.0]
///
/// Metrics of groups stand in further tables, one a group. Ends in a newline.
std::string metrics_table(std::span<const rl::PolicyMetrics> policies);

/// Four significant digits: "7.412", "0.0812", "1532".
std::string short_number(double value);

}  // namespace mobula::cli
