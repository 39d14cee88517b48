#include "rl/buffers/normalizer.h"

#include <algorithm>
#include <cmath>

namespace mobula::rl {
namespace {

constexpr double kEpsilon = 1e-8;
constexpr double kRewardClip = 10.0;

}  // namespace

void ObservationNormalizer::update(std::span<const float> observations, int steps, int envs) {
  const std::size_t size = moments_.size();
  for (int n = 0; n < envs; ++n) {
    for (std::size_t k = 0; k < size; ++k) {
      RunningMoments seen;
      for (int t = 0; t < steps; ++t) seen.add(observations[(static_cast<std::size_t>(t) * envs + n) * size + k]);
      moments_[k].merge(seen);
    }
  }
}

void ObservationNormalizer::write(float* mean, float* scale) const {
  for (std::size_t k = 0; k < moments_.size(); ++k) {
    mean[k] = static_cast<float>(moments_[k].mean);
    scale[k] = static_cast<float>(1.0 / std::sqrt(moments_[k].variance() + kEpsilon));
  }
}

void RewardNormalizer::normalize(std::span<const float> rewards, std::span<const std::uint8_t> terminated,
                                 std::span<const std::uint8_t> truncated, int steps, int envs, std::span<float> out) {
  for (int n = 0; n < envs; ++n) {
    RunningMoments seen;
    for (int t = 0; t < steps; ++t) {
      const std::size_t k = static_cast<std::size_t>(t) * envs + n;
      running_[n] = running_[n] * gamma_ + rewards[k];
      seen.add(running_[n]);
      if (terminated[k] || truncated[k]) running_[n] = 0;
    }
    moments_.merge(seen);
  }
  const double scale = 1.0 / std::sqrt(moments_.variance() + kEpsilon);
  for (std::size_t k = 0; k < out.size(); ++k) {
    out[k] = static_cast<float>(std::clamp(rewards[k] * scale, -kRewardClip, kRewardClip));
  }
}

}  // namespace mobula::rl
