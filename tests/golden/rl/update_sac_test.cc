#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "rl/algos/sac/gradient.h"
#include "rl/nn/adam.h"
#include "rl/nn/polyak.h"
#include "tests/golden/rl/tensors.h"
#include "tests/support/golden.h"

namespace mobula::rl {
namespace {

using golden::Critics;
using golden::expect_all_close;
using golden::expect_close;
using golden::json;
using golden::kTolerance;
using golden::numbers;
using golden::Tensors;

void check_update(const json& document, const json& update) {
  const json& actor_json = document.at("actor");
  nn::PolicySpec spec;
  spec.kind = nn::PolicySpec::Kind::squashed_gaussian;
  spec.observation_size = static_cast<int>(update.at("obs")[0].size());
  spec.hidden = golden::widths_of(actor_json);
  spec.action = {ActionSpace::Kind::box, {}, spec.hidden.back() / 2, -1, 1};
  spec.hidden.pop_back();
  spec.activation = nn::Activation::relu;
  const bool exact = update.at("log_prob_correction").get<std::string>().starts_with("exact");
  SacGradient<double> gradient(spec, exact ? SquashCorrection::exact : SquashCorrection::epsilon);

  const Tensors actor_tensors(actor_json, "actor", gradient.actor().layout());
  const Critics critic_tensors(document, "critic", gradient.critics().layout());
  nn::AlignedVector<double> actor(gradient.actor().size()), critics(gradient.critics().size()), targets(critics.size());
  actor_tensors.write(actor_json, actor);
  critic_tensors.write(document, "critic", critics);
  critic_tensors.write(document, "target", targets);

  const double lr = update.at("lr");
  const golden::Transitions transitions(update);
  const auto batch = transitions.view();
  const auto noise = numbers(update.at("noise_obs")), next_noise = numbers(update.at("noise_next_obs"));
  // Alpha.
  gradient.act(actor.data(), batch.observations, noise);
  expect_all_close(gradient.actions(), update.at("pi_action"), "pi_action");
  expect_all_close(gradient.log_probs(), update.at("pi_log_prob"), "pi_log_prob");
  nn::AlignedVector<double> log_alpha(nn::kPadding), d_log_alpha(nn::kPadding);
  log_alpha[0] = update.at("log_alpha");
  const double alpha = std::exp(log_alpha[0]);
  const auto log_probs = gradient.log_probs();
  const double excess =
      std::accumulate(log_probs.begin(), log_probs.end(), 0.0) / static_cast<double>(log_probs.size()) +
      update.at("target_entropy").get<double>();
  expect_close(-log_alpha[0] * excess, update.at("alpha_loss"), kTolerance, "alpha_loss");
  d_log_alpha[0] = -excess;
  nn::Adam<double>(nn::kPadding, {}).step(log_alpha.data(), d_log_alpha.data(), 1, lr);
  expect_close(log_alpha[0], update.at("log_alpha_after")[0], kTolerance, "log_alpha_after");
  // Critics.
  const auto fit = gradient.fit(actor.data(), critics.data(), targets.data(), batch, next_noise, alpha);
  expect_all_close(gradient.targets(), update.at("target"), "target");
  expect_close(fit.loss, update.at("critic_loss"), kTolerance, "critic_loss");
  critic_tensors.compare(update, "critic", "_gradient", gradient.critic_gradient());
  nn::Adam<double>(critics.size(), {}).step(critics.data(), gradient.critic_gradient().data(), 1, lr);
  critic_tensors.compare(update, "critic", "_after", critics);
  // Actor, with the new critics.
  const double loss = gradient.policy(actor.data(), critics.data(), batch.observations, alpha);
  expect_close(loss, update.at("actor_loss"), kTolerance, "actor_loss");
  actor_tensors.compare(update.at("actor_gradient"), gradient.actor_gradient(), "actor gradient");
  nn::Adam<double>(actor.size(), {}).step(actor.data(), gradient.actor_gradient().data(), 1, lr);
  actor_tensors.compare(update.at("actor_after"), actor, "actor after");
  nn::follow<double>(critics, update.at("tau"), targets);
  critic_tensors.compare(update, "target", "_after", targets);
}

TEST(GoldenUpdateSac, WholeUpdatesEqualTorchTo1e10) {
  golden::for_each_case("rl", "update_sac", check_update);
}

}  // namespace
}  // namespace mobula::rl
