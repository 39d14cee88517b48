#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <vector>

#include "rl/algos/actor_critic/gradient.h"
#include "rl/nn/adam.h"
#include "tests/golden/rl/tensors.h"
#include "tests/support/golden.h"

namespace mobula::rl {
namespace {

using golden::expect_close;
using golden::json;
using golden::numbers;

using golden::kTolerance;
using golden::Tensors;

nn::PolicySpec spec_of(const json& actor, const json& update) {
  nn::PolicySpec spec;
  spec.observation_size = static_cast<int>(update.at("obs")[0].size());
  spec.hidden = golden::widths_of(actor);
  const int outputs = spec.hidden.back();
  spec.hidden.pop_back();
  if (update.at("distribution") == "categorical") {
    spec.action = {ActionSpace::Kind::discrete, {outputs}, 1, 0, 0};
  } else {
    spec.action = {ActionSpace::Kind::box, {}, outputs, -1, 1};
  }
  return spec;
}

void check_update(const json& document, const json& update) {
  const json& actor = update.contains("actor") ? update.at("actor") : document.at("actor");
  const json& critic = update.contains("critic") ? update.at("critic") : document.at("critic");
  const nn::Policy<double> policy(spec_of(actor, update));
  const Tensors actor_tensors(actor, "actor", policy.layout()), critic_tensors(critic, "critic", policy.layout());
  nn::AlignedVector<double> parameters(policy.size());
  actor_tensors.write(actor, parameters);
  critic_tensors.write(critic, parameters);
  const auto log_std = [&](std::span<const double> flat, double factor, const std::string& key) {
    const auto expected = numbers(update.at(key));
    for (std::size_t k = 0; k < expected.size(); ++k) {
      expect_close(factor * flat[policy.log_std_offset() + k], expected[k], kTolerance, key);
    }
  };
  if (policy.continuous()) {
    const auto values = numbers(update.at("log_std"));
    std::copy(values.begin(), values.end(), parameters.begin() + static_cast<std::ptrdiff_t>(policy.log_std_offset()));
  }

  const auto observations = numbers(update.at("obs")), actions = numbers(update.at("action"));
  const auto log_probs = numbers(update.at("old_log_prob")), values = numbers(update.at("old_value"));
  const auto advantages = numbers(update.at("advantage")), returns = numbers(update.at("return"));
  const PpoBatch<double> batch{observations, actions, log_probs, values, advantages, returns, {}};
  std::vector<std::uint32_t> rows(log_probs.size());
  std::iota(rows.begin(), rows.end(), 0u);

  PpoLoss loss{.clip_range = update.at("clip"),
               .clip_range_vf = {},
               .ent_coef = update.at("ent_coef"),
               .vf_coef = update.at("vf_coef"),
               .normalize_advantage = update.at("normalize_advantage")};
  PpoGradient<double> gradient(policy);
  const bool clips = update.at("value_clip");
  loss.clip_range_vf = clips ? std::nullopt : std::optional<double>(loss.clip_range);
  const auto other = gradient.compute(parameters.data(), batch, rows, loss);
  loss.clip_range_vf = clips ? std::optional<double>(loss.clip_range) : std::nullopt;
  const auto stats = gradient.compute(parameters.data(), batch, rows, loss);
  const double norm = nn::norm<double>(gradient.gradient());

  expect_close(stats.policy_loss, update.at("policy_loss"), kTolerance, "policy_loss");
  expect_close(clips ? other.value_loss : stats.value_loss, update.at("value_loss_unclipped"), kTolerance,
               "value_loss_unclipped");
  expect_close(clips ? stats.value_loss : other.value_loss, update.at("value_loss_clipped"), kTolerance,
               "value_loss_clipped");
  expect_close(stats.entropy, update.at("entropy"), kTolerance, "entropy");
  expect_close(stats.loss, update.at("loss"), kTolerance, "loss");
  expect_close(stats.approx_kl, update.at("approx_kl_k3"), kTolerance, "approx_kl_k3");
  expect_close(stats.clip_fraction, update.at("clipfrac"), kTolerance, "clipfrac");
  expect_close(norm, update.at("grad_norm_before_clip"), kTolerance, "grad_norm_before_clip");
  actor_tensors.compare(update.at("actor_gradient_before_clip"), gradient.gradient(), "actor gradient");
  critic_tensors.compare(update.at("critic_gradient_before_clip"), gradient.gradient(), "critic gradient");
  // Unlike those of the networks, this gradient was recorded after clipping.
  const double factor = nn::clip_factor(norm, update.at("max_grad_norm"));
  if (policy.continuous()) log_std(gradient.gradient(), factor, "log_std_gradient");

  nn::Adam<double> adam(policy.trainable(), {.eps = update.at("adam_eps")});
  adam.step(parameters.data(), gradient.gradient().data(), factor, update.at("lr"));
  actor_tensors.compare(update.at("actor_after"), parameters, "actor after");
  critic_tensors.compare(update.at("critic_after"), parameters, "critic after");
  if (policy.continuous()) log_std(parameters, 1.0, "log_std_after");
}

TEST(GoldenUpdatePpo, WholeUpdatesEqualTorchTo1e10) {
  golden::for_each_case("rl", "update_ppo", check_update);
}

}  // namespace
}  // namespace mobula::rl
