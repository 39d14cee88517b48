#pragma once

#include <mobula/rl/verdict.h>

#include <span>
#include <string>
#include <vector>

namespace mobula::cli {

/// Left-aligned columns, two spaces apart, a line a row.
std::string aligned(const std::vector<std::vector<std::string>>& rows);

/// The same, taken apart into tables that are at most so wide and begin with the first column each.
std::string fitted(const std::vector<std::vector<std::string>>& rows, int width);

/// A sentence broken between words, with further lines indented.
std::string wrapped(const std::string& text, int width);

/// Policies by metrics, each number with its 95 % interval:
///
///   policy         return                   mean_wait
///   trained        -220.4 [-226.8, -213.9]  5.115 [4.982, 5.238]
///
/// Of what is measured per group only the first metric is shown, groups side by side; result.json has all. Ends in a
/// line that says the number of episodes.
std::string metrics_table(std::span<const rl::PolicyMetrics> policies, int width);

/// Efficiency against fairness, a row a policy: mean, p95 and maximum of what the groups are compared by, the gap
/// between their means, the share of long ones, throughput, the indices of Jain and Gini, and the verdict on the
/// constraints. Empty where nothing is compared.
std::string fairness_table(std::span<const rl::PolicyMetrics> policies, int width);

/// A sentence for each: limit, verdict and reason.
std::string constraint_lines(std::span<const rl::ConstraintResult> constraints, int width);

/// Four significant digits: "7.412", "0.0812", "1532".
std::string short_number(double value);

}  // namespace mobula::cli
