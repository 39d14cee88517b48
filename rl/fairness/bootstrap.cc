#include "rl/fairness/bootstrap.h"

#include <mobula/random.h>

#include <algorithm>
#include <cmath>

namespace mobula::rl {

Resamples::Resamples(std::size_t episodes, std::uint64_t seed) : episodes_(episodes), times_(count * episodes) {
  for (int b = 0; b < count; ++b) {
    Random random(seed, Stream::bootstrap, static_cast<std::uint32_t>(b));
    for (std::size_t e = 0; e < episodes; ++e) {
      ++times_[static_cast<std::size_t>(b) * episodes + random.below(static_cast<std::uint32_t>(episodes))];
    }
  }
}

std::int64_t fewest_episodes(double confidence) {
  std::int64_t n = 2;
  while (std::ldexp(1.0, static_cast<int>(1 - n)) > 1 - confidence && n < 60) ++n;
  return n;
}

Interval percentiles(std::vector<double>& values, double confidence) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double p) {
    return values[std::min(values.size() - 1, static_cast<std::size_t>(p * static_cast<double>(values.size())))];
  };
  const double tail = (1 - confidence) / 2;
  // Written so that 0.95 gives the ranks of 0.025 and 0.975 exactly.
  return {at(std::max(tail, 0.0) + 1e-12), at(1 - tail + 1e-12)};
}

}  // namespace mobula::rl
