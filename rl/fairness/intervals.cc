#include "rl/fairness/intervals.h"

#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>

#include <algorithm>
#include <cmath>

namespace mobula::rl {

Interval wilson(std::int64_t k, std::int64_t n, double confidence) {
  if (n == 0) return {0, 1};
  const double z = boost::math::quantile(boost::math::normal(), 0.5 + confidence / 2);
  const double trials = static_cast<double>(n), p = static_cast<double>(k) / trials, zz = z * z;
  const double centre = (p + zz / (2 * trials)) / (1 + zz / trials);
  const double half = z / (1 + zz / trials) * std::sqrt(p * (1 - p) / trials + zz / (4 * trials * trials));
  // The ends are exact where rounding would leave a trace.
  return {k == 0 ? 0.0 : std::max(0.0, centre - half), k == n ? 1.0 : std::min(1.0, centre + half)};
}

Interval newcombe(std::int64_t k1, std::int64_t n1, std::int64_t k2, std::int64_t n2, double confidence) {
  const double p1 = static_cast<double>(k1) / static_cast<double>(n1);
  const double p2 = static_cast<double>(k2) / static_cast<double>(n2);
  const Interval a = wilson(k1, n1, confidence), b = wilson(k2, n2, confidence);
  return {p1 - p2 - std::hypot(p1 - a.low, b.high - p2), p1 - p2 + std::hypot(a.high - p1, p2 - b.low)};
}

double student_t(double confidence, std::int64_t degrees_of_freedom) {
  return boost::math::quantile(boost::math::students_t(static_cast<double>(degrees_of_freedom)), confidence);
}

}  // namespace mobula::rl
