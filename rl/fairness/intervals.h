#pragma once

#include <cstdint>

namespace mobula::rl {

struct Interval {
  double low, high;
};

/// Wilson's score interval of the rate k / n of independent units, two-sided, without continuity correction (Wilson
/// 1927). [0, 1] for n = 0. 0 <= k <= n, 0 < confidence < 1.
Interval wilson(std::int64_t k, std::int64_t n, double confidence);

/// Newcombe's hybrid score interval of k1 / n1 - k2 / n2 of independent units (Newcombe 1998, method 10). n1, n2 > 0.
Interval newcombe(std::int64_t k1, std::int64_t n1, std::int64_t k2, std::int64_t n2, double confidence);

/// Quantile of Student's t: what a one-sided bound at this confidence multiplies the standard error with.
double student_t(double confidence, std::int64_t degrees_of_freedom);

}  // namespace mobula::rl
