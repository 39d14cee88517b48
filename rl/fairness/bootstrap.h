#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "rl/fairness/intervals.h"

namespace mobula::rl {

/// Resamples of whole episodes: how often each occurs in each (Efron and Tibshirani 1993, chapter 13). What lies within
/// an episode may depend on each other as it likes. Keyed by `seed` and Stream::bootstrap alone, so every metric of the
/// same number of episodes sees the same resamples.
class Resamples {
 public:
  static constexpr int count = 2000;
  Resamples(std::size_t episodes, std::uint64_t seed);
  /// Of each episode in resample b.
  const std::uint32_t* operator[](int b) const { return &times_[static_cast<std::size_t>(b) * episodes_]; }
  std::size_t episodes() const { return episodes_; }

 private:
  std::size_t episodes_;
  std::vector<std::uint32_t> times_;
};

/// The fewest episodes of which such an interval can be what it says. The widest that n independent values can give,
/// from the least to the largest, holds their median with probability 1 - 2^(1 - n), so below 6 episodes none has 95 %.
std::int64_t fewest_episodes(double confidence);

/// The percentile interval of the values of the resamples, which must not be empty; sorts them.
Interval percentiles(std::vector<double>& values, double confidence);

}  // namespace mobula::rl
