#include <gtest/gtest.h>

#include "rl/algos/td3/gradient.h"
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
  spec.kind = nn::PolicySpec::Kind::deterministic;
  spec.observation_size = static_cast<int>(update.at("obs")[0].size());
  spec.hidden = golden::widths_of(actor_json);
  spec.action = {ActionSpace::Kind::box, {}, spec.hidden.back(), -1, 1};
  spec.hidden.pop_back();
  spec.activation = nn::Activation::relu;
  Td3Gradient<double> gradient(spec);

  const Tensors actor_tensors(actor_json, "actor", gradient.actor().layout());
  const Critics critic_tensors(document, "critic", gradient.critics().layout());
  nn::AlignedVector<double> actor(gradient.actor().size()), target_actor(actor.size());
  nn::AlignedVector<double> critics(gradient.critics().size()), targets(critics.size());
  actor_tensors.write(actor_json, actor);
  actor_tensors.write(document.at("target_actor"), target_actor);
  critic_tensors.write(document, "critic", critics);
  critic_tensors.write(document, "target", targets);

  const double lr = update.at("lr"), tau = update.at("tau");
  const golden::Transitions transitions(update);
  const auto batch = transitions.view();
  // Critics.
  const auto fit =
      gradient.fit(target_actor.data(), critics.data(), targets.data(), batch, numbers(update.at("clipped_noise")));
  expect_all_close(gradient.targets(), update.at("target"), "target");
  expect_close(fit.loss, update.at("critic_loss"), kTolerance, "critic_loss");
  critic_tensors.compare(update, "critic", "_gradient", gradient.critic_gradient());
  nn::Adam<double>(critics.size(), {}).step(critics.data(), gradient.critic_gradient().data(), 1, lr);
  critic_tensors.compare(update, "critic", "_after", critics);
  // Actor, with the new critics; then all targets.
  const double loss = gradient.policy(actor.data(), critics.data(), batch.observations);
  expect_close(loss, update.at("actor_loss"), kTolerance, "actor_loss");
  actor_tensors.compare(update.at("actor_gradient"), gradient.actor_gradient(), "actor gradient");
  nn::Adam<double>(actor.size(), {}).step(actor.data(), gradient.actor_gradient().data(), 1, lr);
  actor_tensors.compare(update.at("actor_after"), actor, "actor after");
  nn::follow<double>(actor, tau, target_actor);
  actor_tensors.compare(update.at("target_actor_after"), target_actor, "target actor after");
  nn::follow<double>(critics, tau, targets);
  critic_tensors.compare(update, "target", "_after", targets);
}

// Made by make_updates.py; TD3.train of Stable-Baselines3 gives the same parameters.
TEST(GoldenUpdateTd3, AWholeUpdateEqualsTorchTo1e10) {
  golden::for_each_case("rl", "update_td3", check_update);
}

}  // namespace
}  // namespace mobula::rl
