#include "rl/nn/distribution.h"

#include <gtest/gtest.h>
#include <mobula/random.h>

#include <cmath>
#include <functional>
#include <vector>

#include "rl/nn/squashed_gaussian.h"

namespace mobula::rl::nn {
namespace {

constexpr int L = kLanes<double>;

AlignedVector<double> random_table(int rows, Random& random) {
  AlignedVector<double> table(static_cast<std::size_t>(rows) * L);
  for (double& x : table) x = random.normal();
  return table;
}

// The slope of `loss` (its sum over the lanes) along every number of `table`.
void expect_gradient(AlignedVector<double>& table, const AlignedVector<double>& gradient,
                     const std::function<Doubles()>& loss, const char* what) {
  const auto total = [&] { return sum_lanes<double>(loss()); };
  for (std::size_t k = 0; k < table.size(); ++k) {
    const double keep = table[k], h = 1e-6;
    table[k] = keep + h;
    const double up = total();
    table[k] = keep - h;
    const double down = total();
    table[k] = keep;
    ASSERT_NEAR(gradient[k], (up - down) / (2 * h), 1e-7) << what << " " << k;
  }
}

TEST(Categorical, GradientsEqualFiniteDifferences) {
  const std::vector<int> sizes{3, 2, 4};
  Random random(1, Stream::user);
  auto logits = random_table(9, random);
  AlignedVector<double> actions(3 * L), gradient(logits.size());
  for (int g = 0; g < 3; ++g) {
    for (int k = 0; k < L; ++k) actions[g * L + k] = random.below(sizes[g]);
  }
  Categorical<double> distribution(sizes);
  const Doubles a = load(random_table(1, random).data()), b = load(random_table(1, random).data());
  distribution.assign(logits.data(), L);
  distribution.gradient(actions.data(), L, a, b, gradient.data(), L);
  expect_gradient(
      logits, gradient,
      [&] {
        distribution.assign(logits.data(), L);
        return a * distribution.log_prob_of(actions.data(), L) + b * distribution.entropy();
      },
      "logit");
}

template <class T>
void masked_actions_get_exactly_nothing() {
  const std::vector<int> sizes{4, 3};
  const std::vector<std::uint8_t> mask{1, 0, 1, 0, 0, 1, 1};
  constexpr int lanes = kLanes<T>;
  Random random(2, Stream::user);
  for (int round = 0; round < 200; ++round) {
    AlignedVector<T> logits(7 * lanes), actions(2 * lanes), gradient(7 * lanes, T(1)), uniform(2 * lanes);
    for (T& x : logits) x = static_cast<T>(random.normal() * 20);  // masked ones may well be the largest
    for (T& u : uniform) u = round == 0 ? T(0) : static_cast<T>(random.uniform_float());
    for (int lane = 0; lane < lanes; ++lane) mask_logits(logits.data() + lane, lanes, 1, 7, mask.data());
    Categorical<T> distribution(sizes);
    distribution.assign(logits.data(), lanes);
    distribution.sample(uniform.data(), actions.data(), lanes);
    distribution.gradient(actions.data(), lanes, splat(T(0.7)), splat(T(-0.3)), gradient.data(), lanes);
    AlignedVector<T> probe(2 * lanes);
    for (int lane = 0; lane < lanes; ++lane) {
      EXPECT_TRUE(mask[static_cast<int>(actions[lane])] && mask[4 + static_cast<int>(actions[lanes + lane])]);
      T total = 0;
      for (int c = 0; c < 7; ++c) {
        if (!mask[c]) {
          EXPECT_EQ(gradient[c * lanes + lane], T(0)) << "of logit " << c;
        }
        total += gradient[c * lanes + lane];
      }
      EXPECT_NEAR(total, 0, 1e-5);  // of a softmax: what one gains the others lose
    }
    for (int c = 0; c < 4; ++c) {
      for (int lane = 0; lane < lanes; ++lane) probe[lane] = static_cast<T>(c), probe[lanes + lane] = T(1);
      const auto p = exp(distribution.log_prob_of(probe.data(), lanes));
      if (!mask[c]) {
        EXPECT_EQ(p[0], T(0)) << "of action " << c;
      }
    }
    const auto entropy = distribution.entropy();
    for (int lane = 0; lane < lanes; ++lane) EXPECT_TRUE(entropy[lane] >= 0 && entropy[lane] <= std::log(4.0) + 1e-5);
  }
}

TEST(Categorical, MaskedActionsGetExactlyNoProbabilityAndNoGradient) {
  masked_actions_get_exactly_nothing<float>();
  masked_actions_get_exactly_nothing<double>();
}

class Squashed : public testing::TestWithParam<double> {};

TEST_P(Squashed, GradientsOfFixedActionsEqualFiniteDifferences) {
  Random random(3, Stream::user);
  auto mean = random_table(2, random), log_std = random_table(2, random);
  const auto u = random_table(2, random);
  AlignedVector<double> d_mean(mean.size()), d_log_std(mean.size());
  SquashedGaussian<double> distribution(2, GetParam());
  distribution.assign(mean.data(), L, log_std.data(), L);
  const Doubles a = load(random_table(1, random).data());
  distribution.gradient(u.data(), L, a, d_mean.data(), d_log_std.data(), L);
  const auto loss = [&] { return a * distribution.log_prob_of(u.data(), L); };
  expect_gradient(mean, d_mean, loss, "mean");
  expect_gradient(log_std, d_log_std, loss, "log_std");
}

TEST_P(Squashed, GradientsThroughTheSampleEqualFiniteDifferences) {
  Random random(4, Stream::user);
  auto mean = random_table(2, random), log_std = random_table(2, random);
  const auto normal = random_table(2, random), weight = random_table(2, random);
  // Away from the bounds: there 1 - y^2 + epsilon, and with it a finite difference, is all rounding.
  for (double& x : mean) x *= 0.5;
  for (double& x : log_std) x = 0.5 * x - 0.5;
  AlignedVector<double> u(mean.size()), y(mean.size()), d_mean(mean.size()), d_log_std(mean.size());
  SquashedGaussian<double> distribution(2, GetParam());
  distribution.assign(mean.data(), L, log_std.data(), L);
  const Doubles a = load(random_table(1, random).data());
  const auto loss = [&] {
    distribution.sample(normal.data(), u.data(), y.data(), L);
    Doubles sum = a * distribution.log_prob_of(u.data(), L);
    for (int d = 0; d < 2; ++d) sum += load(weight.data() + d * L) * load(y.data() + d * L);
    return sum;
  };
  loss();
  distribution.reparameterized_gradient(normal.data(), u.data(), weight.data(), L, a, d_mean.data(), d_log_std.data(),
                                        L);
  expect_gradient(mean, d_mean, loss, "mean");
  expect_gradient(log_std, d_log_std, loss, "log_std");
}

INSTANTIATE_TEST_SUITE_P(ExactAndWithEpsilon, Squashed, testing::Values(0.0, 1e-6, 1e-2));

// Where float tanh is exactly 1 the density must still be a number.
TEST(SquashedGaussian, StaysFiniteAtTheBounds) {
  constexpr int lanes = kLanes<float>;
  for (const float far : {12.0f, -12.0f, 30.0f, -80.0f}) {
    AlignedVector<float> mean(lanes, far), log_std(lanes, -1.0f), normal(lanes, 0.5f), u(lanes), y(lanes),
        d_y(lanes, 1.0f), d_mean(lanes), d_log_std(lanes);
    SquashedGaussian<float> distribution(1);
    distribution.assign(mean.data(), lanes, log_std.data(), lanes);
    distribution.sample(normal.data(), u.data(), y.data(), lanes);
    EXPECT_LE(std::abs(y[0]), 1.0f);
    const float log_prob = distribution.log_prob_of(u.data(), lanes)[0];
    const double raw = u[0], z = 0.5;
    const double slope = 2 * (std::log(2.0) - std::abs(raw) - std::log1p(std::exp(-2 * std::abs(raw))));
    EXPECT_NEAR(log_prob, -0.5 * z * z + 1 - 0.91893853 - slope, 1e-4 * std::abs(slope));
    distribution.reparameterized_gradient(normal.data(), u.data(), d_y.data(), lanes, splat(1.0f), d_mean.data(),
                                          d_log_std.data(), lanes);
    EXPECT_TRUE(std::isfinite(d_mean[0]) && std::isfinite(d_log_std[0]));
  }
}

}  // namespace
}  // namespace mobula::rl::nn
