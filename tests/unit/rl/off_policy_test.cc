#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mobula/rl/vec_env.h>

#include <cmath>
#include <vector>

#include "rl/algos/dqn/dqn.h"
#include "rl/algos/dqn/gradient.h"
#include "rl/algos/sac/sac.h"
#include "rl/algos/td3/td3.h"
#include "rl/envs/identity.h"
#include "tests/unit/rl/environments.h"
#include "tests/unit/rl/identity_options.h"
#include "tests/unit/rl/in_process.h"
#include "tests/unit/rl/transitions.h"

namespace mobula::rl {
namespace {

using test::Everything;
using test::expect_gradient;
using test::identity_dqn;
using test::learns;
using test::Rows;
using test::Training;

nn::PolicySpec spec_of(nn::PolicySpec::Kind kind, ActionSpace action) {
  nn::PolicySpec spec;
  spec.kind = kind;
  spec.observation_size = 3;
  spec.hidden = {7, 5};
  spec.action = std::move(action);
  return spec;  // tanh, so that differences are smooth
}
const ActionSpace kThree{ActionSpace::Kind::discrete, {3}, 1, 0, 0};
const ActionSpace kPlane{ActionSpace::Kind::box, {}, 2, -1, 1};

TEST(DqnGradient, EqualsDifferencesOfTheLossForEveryHead) {
  for (const bool dueling : {false, true}) {
    for (const int head : {0, 1, 2}) {
      SCOPED_TRACE(testing::Message() << "dueling " << dueling << ", head " << head);
      nn::PolicySpec spec = spec_of(nn::PolicySpec::Kind::action_values, kThree);
      spec.dueling = dueling;
      spec.atoms = head == 0 ? 1 : 5;
      if (head == 2) spec.v_min = -2, spec.v_max = 2;
      const nn::ActionValues<double> values(spec);
      auto online = values.initial_parameters(1);
      const auto target = values.initial_parameters(2);
      const Rows rows(70, 3, 1, 3);
      DqnGradient<double> gradient(values);
      // Without double_q: the choice of the next action must not move with the online network.
      const DqnLoss loss{.double_q = false};
      const auto value = [&] { return gradient.compute(online.data(), target.data(), rows.view(), loss).loss; };
      value();
      const std::vector<double> found(gradient.gradient().begin(), gradient.gradient().end());
      expect_gradient(online, found, values.layout(), value);
    }
  }
}

TEST(Td3Gradient, EqualsDifferencesOfTheLosses) {
  Td3Gradient<double> gradient(spec_of(nn::PolicySpec::Kind::deterministic, kPlane));
  Random random(1, Stream::parameters);
  auto actor = gradient.actor().initial_parameters(random);
  auto critics = gradient.critics().initial_parameters(random);
  const auto target_actor = gradient.actor().initial_parameters(random);
  const auto target_critics = gradient.critics().initial_parameters(random);
  const Rows rows(70, 3, 2, 0);
  std::vector<double> noise(140);
  for (double& x : noise) x = random.uniform(-0.5, 0.5);
  const auto fit = [&] {
    return gradient.fit(target_actor.data(), critics.data(), target_critics.data(), rows.view(), noise).loss;
  };
  fit();
  expect_gradient(critics, gradient.critic_gradient(), gradient.critics().layout(), fit);
  const auto policy = [&] { return gradient.policy(actor.data(), critics.data(), rows.observations); };
  policy();
  expect_gradient(actor, gradient.actor_gradient(), gradient.actor().layout(), policy);
}

TEST(DiscreteSacGradient, EqualsDifferencesOfTheLosses) {
  DiscreteSacGradient<double> gradient(spec_of(nn::PolicySpec::Kind::categorical, kThree));
  Random random(1, Stream::parameters);
  auto actor = gradient.actor().initial_parameters(random);
  auto critics = gradient.critics().initial_parameters(random);
  const auto targets = gradient.critics().initial_parameters(random);
  const Rows rows(70, 3, 1, 3);
  const auto fit = [&] { return gradient.fit(actor.data(), critics.data(), targets.data(), rows.view(), 0.3).loss; };
  fit();
  expect_gradient(critics, gradient.critic_gradient(), gradient.critics().layout(), fit);
  const auto policy = [&] { return gradient.policy(actor.data(), critics.data(), rows.observations, 0.3).loss; };
  policy();
  expect_gradient(actor, gradient.actor_gradient(), gradient.actor().layout(), policy);
}

DqnOptions rainbow() {
  return {.lr = 1e-3,
          .n_envs = 4,
          .train_freq = 2,
          .batch_size = 32,
          .buffer_size = 600,
          .learning_starts = 40,
          .n_steps = 3,
          .target_update_interval = 50,
          .double_q = true,
          .dueling = true,
          .prioritized = true,
          .value_head = "quantile",
          .atoms = 8,
          .hidden = {32, 32}};
}
SacOptions small_sac() {
  return {.n_envs = 4, .train_freq = 2, .batch_size = 70, .buffer_size = 600, .hidden = {32, 32}};
}
Td3Options small_td3() {
  return {.n_envs = 4, .train_freq = 2, .batch_size = 70, .buffer_size = 600, .hidden = {32, 32}};
}

SacOptions state_noise_sac() {
  SacOptions options = small_sac();
  options.train_freq = 5;
  options.use_sde = true;
  options.sde_sample_freq = 3;
  return options;
}
DqnOptions parameter_noise_dqn() {
  DqnOptions options = rainbow();
  options.gradient_steps = 5;  // so that the noise is adapted
  options.exploration = "parameter";
  return options;
}

template <class L, class Options>
void check_repeats(VecEnvFactory factory, const Options& options) {
  const auto run = [&](std::uint64_t seed, int split) {
    Training<L> training(factory, options, seed, 5'000, split);
    for (int k = 0; k < 100; ++k) training.iterate();
    return training.parameters();
  };
  const auto parameters = run(1, 1);
  EXPECT_EQ(run(1, 2), parameters);
  EXPECT_EQ(run(1, 4), parameters);
  EXPECT_NE(run(2, 1), parameters);

  // From a saved state.
  Training<L> whole(factory, options, 1, 5'000);
  for (int k = 0; k < 60; ++k) whole.iterate();
  const auto bytes = whole.learner.save();
  const auto envs = whole.envs[0]->snapshot();
  Training<L> resumed(factory, options, 1, 5'000);
  resumed.learner.load(bytes);
  resumed.envs[0]->restore(envs);
  for (int k = 0; k < 40; ++k) resumed.iterate();
  EXPECT_EQ(resumed.parameters(), parameters);

  Options wider = options;
  wider.hidden = {16};
  Training<L> other(factory, wider, 1, 5'000);
  const auto before = other.parameters();
  EXPECT_THROW(other.learner.load(bytes), std::runtime_error);
  EXPECT_THROW(resumed.learner.load(std::span(bytes).first(bytes.size() / 2)), std::runtime_error);
  EXPECT_EQ(other.parameters(), before);
  EXPECT_EQ(resumed.parameters(), parameters);
}

TEST(OffPolicy, TheSameSeedGivesTheSameBitsHoweverEnvironmentsAreSplitAndFromASavedState) {
  check_repeats<DqnLearner>(&make_vec_env<Everything>, rainbow());
  check_repeats<DqnLearner>(&make_vec_env<Everything>, parameter_noise_dqn());
  check_repeats<SacLearner>(&make_vec_env<IdentityBox<2>>, small_sac());
  check_repeats<SacLearner>(&make_vec_env<IdentityBox<2>>, state_noise_sac());
  check_repeats<DiscreteSacLearner>(&make_vec_env<IdentityDiscrete<3>>, small_sac());
  check_repeats<Td3Learner>(&make_vec_env<IdentityBox<2>>, small_td3());
}

// Until the mean return of 100 episodes is good enough.
TEST(OffPolicyLearning, DqnSolvesTheDiscreteIdentityWithEveryHead) {
  for (const char* head : {"mean", "quantile", "categorical"}) {
    SCOPED_TRACE(head);
    learns(&make_vec_env<IdentityDiscrete<4>>, identity_dqn(head), 95, 60'000);
  }
  DqnOptions all = identity_dqn("categorical");
  all.double_q = all.dueling = all.prioritized = true;
  all.n_steps = 2;
  learns(&make_vec_env<IdentityDiscrete<4>>, all, 95, 60'000);
}

TEST(OffPolicyLearning, SacSolvesTheDiscreteIdentity) {
  learns(&make_vec_env<IdentityDiscrete<4>>, test::identity_discrete_sac(), 95, 60'000);
}

TEST(OffPolicyLearning, SacAndTd3SolveTheBoxIdentity) {
  // Always answering 0 gives -67 an episode.
  learns(&make_vec_env<IdentityBox<2>>, test::identity_sac(), -4, 60'000);
  learns(&make_vec_env<IdentityBox<2>>, test::identity_td3(), -4, 60'000);
}

TEST(Dqn, NeverTakesWhatIsMaskedAndExploresAsLongAsItShould) {
  DqnOptions options = rainbow();
  options.exploration_fraction = 0.5;
  Training<DqnLearner> training(&make_vec_env<Everything>, options, 1, 1'000);
  EXPECT_TRUE(training.learner.exploration().uniform);
  EXPECT_EQ(training.learner.exploration().epsilon, 1);
  while (training.learner.env_steps() < 248) training.iterate();
  EXPECT_FALSE(training.learner.exploration().uniform);
  EXPECT_NEAR(training.learner.exploration().epsilon, 1 - 0.95 * 0.496, 1e-9);
  while (training.learner.env_steps() < 1'000) {
    training.iterate();
    const ConstFragment f = training.whole.read();
    for (std::size_t k = 0; k < f.actions.size(); ++k) {
      ASSERT_TRUE(f.masks[k * 3 + static_cast<std::size_t>(f.actions[k])]) << "step " << k;
    }
  }
  EXPECT_EQ(training.learner.exploration().epsilon, 0.05);
}

TEST(OffPolicy, WhatCannotBeLearntIsRefusedWithWhatCan) {
  const auto box = environment_info<IdentityBox<2>>(), discrete = environment_info<IdentityDiscrete<2>>();
  EXPECT_THAT(problem_with(DqnOptions{}, box), testing::HasSubstr("sac and td3"));
  EXPECT_THAT(problem_with(Td3Options{}, discrete), testing::HasSubstr("ppo, dqn and sac"));
  EXPECT_THAT(problem_with(SacOptions{}, environment_info<test::TwoChoices>()), testing::HasSubstr("several choices"));
  EXPECT_THAT(problem_with(SacOptions{}, environment_info<Everything>()), testing::HasSubstr("masks"));
  EXPECT_EQ(problem_with(SacOptions{}, discrete), "");
  EXPECT_EQ(problem_with(DqnOptions{}, discrete), "");
}

}  // namespace
}  // namespace mobula::rl
