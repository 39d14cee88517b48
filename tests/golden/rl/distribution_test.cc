#include <gtest/gtest.h>

#include <vector>

#include "rl/nn/distribution.h"
#include "rl/nn/squashed_gaussian.h"
#include "tests/support/golden.h"

namespace mobula::rl::nn {
namespace {

using golden::json;
using golden::numbers;

constexpr int L = kLanes<double>;
constexpr double kTolerance = 1e-10;

// Component-major, the same sample in every lane.
AlignedVector<double> lanes_of(const std::vector<double>& row) {
  AlignedVector<double> table(row.size() * L);
  for (std::size_t c = 0; c < row.size(); ++c) std::fill_n(table.data() + c * L, L, row[c]);
  return table;
}

template <class Distribution>
void compare(const json& row, const Distribution& distribution, const Distribution& other) {
  const auto action = lanes_of(numbers(row.at("action")));
  for (int lane = 0; lane < L; ++lane) {
    golden::expect_close(distribution.log_prob_of(action.data(), L)[lane], row.at("log_prob"), kTolerance, "log_prob");
    golden::expect_close(distribution.entropy()[lane], row.at("entropy"), kTolerance, "entropy");
    golden::expect_close(distribution.kl(other)[lane], row.at("kl_to_other"), kTolerance, "kl_to_other");
  }
}

void compare_categorical(const json& row, const std::vector<int>& sizes, const std::vector<std::uint8_t>& mask) {
  auto logits = lanes_of(numbers(row.at("logits"))), other_logits = lanes_of(numbers(row.at("other_logits")));
  if (!mask.empty()) {
    for (int lane = 0; lane < L; ++lane) {
      mask_logits(logits.data() + lane, L, 1, static_cast<int>(mask.size()), mask.data());
      mask_logits(other_logits.data() + lane, L, 1, static_cast<int>(mask.size()), mask.data());
    }
  }
  Categorical<double> distribution(sizes), other(sizes);
  distribution.assign(logits.data(), L);
  other.assign(other_logits.data(), L);
  compare(row, distribution, other);
}

TEST(GoldenDistributions, CategoricalEqualsTorchTo1e10) {
  golden::for_each_case("rl", "dist_categorical", [](const json&, const json& row) {
    compare_categorical(row, {static_cast<int>(row.at("logits").size())}, {});
  });
}

TEST(GoldenDistributions, MaskedCategoricalEqualsTheReferenceTo1e10) {
  golden::for_each_case("rl", "dist_masked_categorical", [](const json&, const json& row) {
    compare_categorical(row, {static_cast<int>(row.at("logits").size())}, numbers<std::uint8_t>(row.at("mask")));
  });
}

TEST(GoldenDistributions, MultiCategoricalEqualsTheReferenceTo1e10) {
  golden::for_each_case("rl", "dist_multicategorical", [](const json&, const json& row) {
    compare_categorical(row, numbers<int>(row.at("dims")), {});
  });
}

TEST(GoldenDistributions, DiagonalGaussianEqualsTorchTo1e10) {
  golden::for_each_case("rl", "dist_diag_gaussian", [](const json&, const json& row) {
    const auto mean = lanes_of(numbers(row.at("mean"))), other_mean = lanes_of(numbers(row.at("other_mean")));
    const auto log_std = numbers(row.at("log_std")), other_log_std = numbers(row.at("other_log_std"));
    DiagonalGaussian<double> distribution(static_cast<int>(log_std.size())), other(static_cast<int>(log_std.size()));
    distribution.set_log_std(log_std.data());
    other.set_log_std(other_log_std.data());
    distribution.assign(mean.data(), L);
    other.assign(other_mean.data(), L);
    compare(row, distribution, other);
  });
}

TEST(GoldenDistributions, SquashedGaussianEqualsTheReferenceTo1e10) {
  golden::for_each_case("rl", "dist_tanh_gaussian", [](const json&, const json& row) {
    const auto mean = lanes_of(numbers(row.at("mean"))), other_mean = lanes_of(numbers(row.at("other_mean")));
    const auto log_std = lanes_of(numbers(row.at("log_std")));
    const auto other_log_std = lanes_of(numbers(row.at("other_log_std")));
    const auto u = lanes_of(numbers(row.at("pre_tanh"))), action = lanes_of(numbers(row.at("action")));
    const int size = static_cast<int>(row.at("mean").size());
    SquashedGaussian<double> exact(size), other(size), with_epsilon(size, 1e-6);
    exact.assign(mean.data(), L, log_std.data(), L);
    with_epsilon.assign(mean.data(), L, log_std.data(), L);
    other.assign(other_mean.data(), L, other_log_std.data(), L);
    // The normal numbers that lead to the recorded action.
    AlignedVector<double> normal(u.size()), raw(u.size()), squashed(u.size());
    for (std::size_t k = 0; k < u.size(); ++k) normal[k] = (u[k] - mean[k]) / std::exp(log_std[k]);
    exact.sample(normal.data(), raw.data(), squashed.data(), L);
    for (std::size_t k = 0; k < u.size(); ++k) golden::expect_close(squashed[k], action[k], kTolerance, "action");
    for (int lane = 0; lane < L; ++lane) {
      golden::expect_close(exact.log_prob_of(u.data(), L)[lane], row.at("log_prob"), kTolerance, "log_prob");
      golden::expect_close(with_epsilon.log_prob_of(u.data(), L)[lane], row.at("log_prob_sb3_eps1e-6"), kTolerance,
                           "log_prob_sb3_eps1e-6");
      golden::expect_close(exact.base_entropy()[lane], row.at("base_entropy"), kTolerance, "base_entropy");
      golden::expect_close(exact.kl(other)[lane], row.at("kl_to_other"), kTolerance, "kl_to_other");
    }
  });
}

}  // namespace
}  // namespace mobula::rl::nn
