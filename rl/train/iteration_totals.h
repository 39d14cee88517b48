#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "rl/algos/learner.h"

namespace mobula::rl {

/// The rounds of one iteration, summed up. Of each statistic the mean over the rounds in which it is a number: before
/// learning has begun, losses are not.
class IterationTotals {
 public:
  void add(Statistics statistics) {
    if (sums_.empty()) {
      sums_ = std::move(statistics);
      for (auto& [name, value] : sums_) {
        counts_.push_back(!std::isnan(value));
      }
      return;
    }
    for (std::size_t k = 0; k < sums_.size(); ++k) {
      const double value = statistics[k].second;
      if (std::isnan(value)) continue;
      sums_[k].second = counts_[k]++ == 0 ? value : sums_[k].second + value;
    }
  }
  Statistics means() const {
    Statistics means = sums_;
    for (std::size_t k = 0; k < means.size(); ++k) {
      if (counts_[k] > 1) means[k].second /= static_cast<double>(counts_[k]);
    }
    return means;
  }

  double update_seconds = 0;

 private:
  Statistics sums_;
  std::vector<std::int64_t> counts_;
};

}  // namespace mobula::rl
