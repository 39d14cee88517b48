#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace mobula::rl {

// (Multiply-adds are written out: the bits must not depend on what a compiler makes of them.)

// Running mean and variance of the components of rows, by Welford's method. `Storage` is a std::array or std::vector of
// doubles of the row's length. Before the first row the mean is 0 and the deviation 1.
template <class Storage>
struct Moments {
  double count = 0;
  Storage mean{}, squares{};  // squares: sum of squared distances from the mean

  void add(const float* row) {
    count += 1;
    for (std::size_t k = 0; k < mean.size(); ++k) {
      const double distance = row[k] - mean[k];
      mean[k] += distance / count;
      squares[k] = std::fma(distance, row[k] - mean[k], squares[k]);
    }
  }
  double deviation(std::size_t k) const { return count < 2 ? 1.0 : std::sqrt(squares[k] / count + 1e-8); }
  // (row - mean) / deviation.
  void normalize(const float* row, float* out) const {
    for (std::size_t k = 0; k < mean.size(); ++k) out[k] = static_cast<float>((row[k] - mean[k]) / deviation(k));
  }
  template <class A>
  void serialize(A& archive) {
    archive(count, mean, squares);
  }
};

// Scales rewards by the running deviation of the discounted return, as Gymnasium's NormalizeReward.
struct RewardScale {
  double gamma = 0.99;
  double discounted = 0;
  double count = 0, mean = 0, squares = 0;

  double scale(double reward, bool end) {
    discounted = std::fma(discounted, gamma, reward);
    count += 1;
    const double distance = discounted - mean;
    mean += distance / count;
    squares = std::fma(distance, discounted - mean, squares);
    if (end) discounted = 0;
    return count < 2 ? reward : reward / std::sqrt(squares / count + 1e-8);
  }
  template <class A>
  void serialize(A& archive) {
    archive(discounted, count, mean, squares);
  }
};

}  // namespace mobula::rl
