#include "rl/fairness/indices.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace mobula::rl {

double jain(std::span<const double> values) {
  double sum = 0, squares = 0;
  for (const double x : values) {
    sum += x;
    squares += x * x;
  }
  if (squares == 0) return std::numeric_limits<double>::quiet_NaN();
  return sum * sum / (static_cast<double>(values.size()) * squares);
}

double gini(std::span<const double> values) {
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  double sum = 0, weighted = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    sum += sorted[i];
    weighted += static_cast<double>(i + 1) * sorted[i];
  }
  if (sum == 0) return std::numeric_limits<double>::quiet_NaN();
  const double n = static_cast<double>(sorted.size());
  return 2 * weighted / (n * sum) - (n + 1) / n;
}

}  // namespace mobula::rl
