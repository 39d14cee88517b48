#include "rl/train/policy_average.h"

#include <cstddef>

namespace mobula::rl {

void PolicyAverage::begin(double step) {
  if (step == begin_) return;
  *this = {};
  begin_ = step;
}

void PolicyAverage::add(std::span<const float> parameters) {
  sums_.resize(parameters.size());
  for (std::size_t k = 0; k < sums_.size(); ++k) sums_[k] += static_cast<double>(parameters[k]);
  ++count_;
}

std::vector<float> PolicyAverage::mean() const {
  std::vector<float> mean(sums_.size());
  for (std::size_t k = 0; k < mean.size(); ++k) {
    mean[k] = static_cast<float>(sums_[k] / static_cast<double>(count_));
  }
  return mean;
}

}  // namespace mobula::rl
