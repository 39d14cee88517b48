#include "rl/train/matrix_rate.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include <Eigen/Core>

namespace mobula::rl {
namespace {

double measure() {
  constexpr int kSize = 512, kTrials = 3;
  using Clock = std::chrono::steady_clock;
  const Eigen::MatrixXf a = Eigen::MatrixXf::Constant(kSize, kSize, 0.5f);
  const Eigen::MatrixXf b = Eigen::MatrixXf::Constant(kSize, kSize, 2.0f);
  Eigen::MatrixXf product(kSize, kSize);
  double best = std::numeric_limits<double>::infinity();
  for (int trial = 0; trial < kTrials; ++trial) {
    const auto began = Clock::now();
    product.noalias() = a * b;
    best = std::min(best, std::chrono::duration<double>(Clock::now() - began).count());
  }
  return 2.0 * kSize * kSize * kSize / best;
}

}  // namespace

double matrix_rate() {
  static const double rate = measure();
  return rate;
}

}  // namespace mobula::rl
