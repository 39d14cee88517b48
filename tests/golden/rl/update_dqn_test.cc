#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "rl/algos/dqn/gradient.h"
#include "rl/nn/adam.h"
#include "tests/golden/rl/tensors.h"
#include "tests/support/golden.h"

namespace mobula::rl {
namespace {

using golden::expect_close;
using golden::json;
using golden::kTolerance;
using golden::numbers;
using golden::Tensors;

void check_update(const json& document, const json& update) {
  const json& q = document.at("q");
  nn::PolicySpec spec;
  spec.kind = nn::PolicySpec::Kind::action_values;
  spec.observation_size = static_cast<int>(update.at("obs")[0].size());
  spec.hidden = golden::widths_of(q);
  spec.action = {ActionSpace::Kind::discrete, {spec.hidden.back()}, 1, 0, 0};
  spec.hidden.pop_back();
  spec.activation = nn::Activation::relu;
  const nn::ActionValues<double> values(spec);
  const Tensors tensors(q, "q", values.layout());
  nn::AlignedVector<double> online(values.size()), target(values.size());
  tensors.write(q, online);
  tensors.write(document.at("target_q"), target);

  const double gamma = update.at("gamma");
  std::vector<double> discounts;
  for (const bool terminated : update.at("terminated")) discounts.push_back(terminated ? 0 : gamma);
  const auto observations = numbers(update.at("obs")), next_observations = numbers(update.at("next_obs"));
  const auto actions = numbers(update.at("action")), rewards = numbers(update.at("reward"));
  const auto weights = numbers(update.at("weight")), errors = numbers(update.at("td_error"));
  const TransitionBatch<double> batch{.observations = observations,
                                      .actions = actions,
                                      .rewards = rewards,
                                      .discounts = discounts,
                                      .next_observations = next_observations,
                                      .weights = weights};
  DqnGradient<double> gradient(values);
  const auto stats = gradient.compute(online.data(), target.data(), batch, {.double_q = update.at("double")});
  expect_close(stats.loss, update.at("loss"), kTolerance, "loss");
  for (std::size_t r = 0; r < errors.size(); ++r) {
    EXPECT_FLOAT_EQ(gradient.errors()[r], static_cast<float>(std::abs(errors[r]))) << r;
  }
  const double norm = nn::norm<double>(gradient.gradient());
  expect_close(norm, update.at("grad_norm_before_clip"), kTolerance, "grad_norm_before_clip");
  tensors.compare(update.at("gradient_before_clip"), gradient.gradient(), "gradient");
  nn::Adam<double> adam(values.size(), {.eps = update.at("adam_eps")});
  adam.step(online.data(), gradient.gradient().data(), nn::clip_factor(norm, update.at("max_grad_norm")),
            update.at("lr"));
  tensors.compare(update.at("q_after"), online, "after");
}

TEST(GoldenUpdateDqn, WholeUpdatesEqualTorchTo1e10) {
  golden::for_each_case("rl", "update_dqn", check_update);
}

}  // namespace
}  // namespace mobula::rl
