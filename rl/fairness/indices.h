#pragma once

#include <cstdint>
#include <span>

namespace mobula::rl {

/// Jain's index (sum x)^2 / (n sum x^2): 1 if all are equal, 1/n if one has all. NaN for no values or only zeros.
double jain(std::span<const double> values);

/// Gini's coefficient 2 sum i x_(i) / (n sum x) - (n + 1) / n of the ascending values: 0 if all are equal. NaN for no
/// values or only zeros.
double gini(std::span<const double> values);

}  // namespace mobula::rl
