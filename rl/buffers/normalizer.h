// Running statistics for the normalisation of observations and rewards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mobula::rl {

// Mean and variance of a stream of numbers, in double (Welford's recurrence; merged as in Chan, Golub, LeVeque 1979).
// Merging in a fixed order gives fixed bytes. Value type.
struct RunningMoments {
  double count = 0;
  double mean = 0;
  double squares = 0;  // sum of squared deviations from the mean

  void add(double x) {
    count += 1;
    const double delta = x - mean;
    mean += delta / count;
    squares += delta * (x - mean);
  }
  void merge(const RunningMoments& other) {
    if (other.count == 0) return;
    const double total = count + other.count;
    const double delta = other.mean - mean;
    mean += delta * (other.count / total);
    squares += other.squares + delta * delta * (count * (other.count / total));
    count = total;
  }
  // Of the population; 1 as long as fewer than two numbers were seen.
  double variance() const { return count < 2 ? 1.0 : squares / count; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(count, mean, squares);
  }
};

// Moments of each component of an observation. They are taken over whole fragments, environment by environment, so that
// they do not depend on who sampled which environment; between two updates they are frozen.
class ObservationNormalizer {
 public:
  explicit ObservationNormalizer(int size = 0) : moments_(size) {}
  // Table [steps][envs][size].
  void update(std::span<const float> observations, int steps, int envs);
  // What an observation is shifted and scaled by: mean and 1 / sqrt(variance + 1e-8), of size numbers each.
  void write(float* mean, float* scale) const;
  const std::vector<RunningMoments>& moments() const { return moments_; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(moments_);
  }

 private:
  std::vector<RunningMoments> moments_;
};

// Rewards divided by the standard deviation of the discounted return that leads up to them (Engstrom et al. 2020; as
// Stable-Baselines3's VecNormalize), clipped to +-10. The mean is left alone.
class RewardNormalizer {
 public:
  explicit RewardNormalizer(int envs = 0, double gamma = 0) : gamma_(gamma), running_(envs) {}
  // Moves on by a fragment and writes its rewards, scaled by the statistics that include it. Tables [steps][envs].
  void normalize(std::span<const float> rewards, std::span<const std::uint8_t> terminated,
                 std::span<const std::uint8_t> truncated, int steps, int envs, std::span<float> out);
  const RunningMoments& moments() const { return moments_; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(gamma_, running_, moments_);
  }

 private:
  double gamma_;
  std::vector<double> running_;  // the discounted sum of each environment's present episode
  RunningMoments moments_;
};

}  // namespace mobula::rl
