// Parameter noise of DQN (Plappert et al. 2018) against the formulas.
#include <gtest/gtest.h>
#include <mobula/rl/vec_env.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "rl/algos/dqn/dqn.h"
#include "rl/algos/offpolicy/parameter_noise.h"
#include "rl/envs/identity.h"
#include "tests/unit/rl/any_training.h"
#include "tests/unit/rl/identity_options.h"

namespace mobula::rl {
namespace {

using test::AnyTraining;

std::unique_ptr<AnyVecEnv> four(const std::string&, const VecEnvOptions& some) {
  return std::make_unique<VecEnv<IdentityDiscrete<4>>>(IdentityConfig{.episode_length = 5}, some);
}

nn::PolicySpec spec(bool dueling) {
  DqnOptions options{.dueling = dueling, .hidden = {6}};
  return policy_spec(environment_info<IdentityDiscrete<4>>(), options);
}

// A divergence between policies in proportion to exp Q, by its definition.
TEST(DqnParameterNoise, MeasuresHowFarTwoNetworksAreFromChoosingAlike) {
  for (const bool dueling : {false, true}) {
    const nn::ActionValues<float> values(spec(dueling));
    const auto one = values.initial_parameters(1), other = values.initial_parameters(2);
    std::vector<float> observations;
    Random random(3, Stream::user);
    const int rows = 70;  // more than a block
    for (int k = 0; k < 4 * rows; ++k) observations.push_back(static_cast<float>(random.normal()));
    const auto probabilities = [&](const nn::AlignedVector<float>& parameters, int row) {
      auto workspace = values.net().make_workspace();
      nn::AlignedVector<float> out(nn::kBlockRows * values.outputs()), parts(nn::kBlockRows * values.components());
      values.net().forward(parameters.data(), observations.data() + 4 * row, 4, 1, workspace, out.data(),
                           nn::kBlockRows);
      values.combine(out.data(), 1, parts.data());
      std::vector<double> p;
      double sum = 0;
      for (int a = 0; a < 4; ++a) sum += std::exp(parts[static_cast<std::size_t>(a) * nn::kBlockRows]);
      for (int a = 0; a < 4; ++a) p.push_back(std::exp(parts[static_cast<std::size_t>(a) * nn::kBlockRows]) / sum);
      return p;
    };
    double wanted = 0;
    for (int row = 0; row < rows; ++row) {
      const auto p = probabilities(one, row), q = probabilities(other, row);
      for (int a = 0; a < 4; ++a) wanted += p[a] * std::log(p[a] / q[a]) / rows;
    }
    EXPECT_GT(wanted, 1e-3);
    EXPECT_NEAR(divergence(values, one, other, observations), wanted, 1e-6);
    EXPECT_EQ(divergence(values, one, one, observations), 0);
  }
}

// KL(greedy || epsilon-greedy): the greedy action has 1 - epsilon + epsilon / N there.
TEST(DqnParameterNoise, IsWantedToGoAsFarAsEpsilonWould) {
  EXPECT_EQ(divergence_of_epsilon(0, 4), 0);
  EXPECT_NEAR(divergence_of_epsilon(1, 4), std::log(4.0), 1e-12);
  EXPECT_NEAR(divergence_of_epsilon(0.1, 2), -std::log(0.95), 1e-12);
}

TEST(DqnParameterNoise, IsOnEveryParameterForAWholeEpisodeAndNothingElseIsRandom) {
  VecEnv<IdentityDiscrete<4>> env({.episode_length = 4}, {.count = 2, .first = 5, .seed = 3});
  env.reset(0);
  nn::ActionValueActor actor(spec(true)), other(spec(true));
  const auto parameters = nn::ActionValues<float>(spec(true)).initial_parameters(1);
  test::OwnedFragment fragment(FragmentLayout(env.info(), 10, 2));
  collect(env, actor, parameters, 0, {.parameter_noise = 0.3}, fragment.view);
  int differ = 0;
  for (std::uint32_t t = 0; t < 10; ++t) {
    for (std::uint32_t n = 0; n < 2; ++n) {
      const auto noise = episode_noise(other, n, 3, 5 + n, t / 4);
      std::vector<float> moved(parameters.begin(), parameters.end());
      for (std::size_t k = 0; k < moved.size(); ++k) moved[k] += 0.3f * noise[k];
      const auto seen = fragment.view.observations.subspan((2 * t + n) * 4, 4);
      float action = -1, greedy = -1;
      other.mode(moved, seen, {}, &action);
      other.mode(parameters, seen, {}, &greedy);
      EXPECT_EQ(action, fragment.view.actions[2 * t + n]) << t << ' ' << n;
      differ += action != greedy;
    }
  }
  EXPECT_GT(differ, 0) << "noise moved nothing, so this has shown nothing";
  const auto noise = episode_noise(other, 0, 3, 5, 0);
  for (const auto& block : actor.layout().blocks()) EXPECT_NE(noise[block.offset], 0) << block.name;
}

TEST(DqnParameterNoise, IsScaledUntilItMovesThePolicyAsFarAsEpsilonWouldAndIsPartOfTheState) {
  const DqnOptions options{.n_envs = 4,
                           .train_freq = 1,
                           .gradient_steps = 100,
                           .batch_size = 32,
                           .learning_starts = 0,
                           .exploration_fraction = 0,
                           .exploration_final_eps = 0.2,
                           .exploration = "parameter",
                           .hidden = {16}};
  AnyTraining training(&four, options, 1, 10'000);
  EXPECT_EQ(training.learner->exploration().parameter_noise, 0.01);
  EXPECT_EQ(training.learner->exploration().epsilon, 0);
  for (int round = 0; round < 150; ++round) training.round();
  const double deviation = training.learner->exploration().parameter_noise;
  EXPECT_GT(deviation, 0.02);
  const auto saved = training.learner->save();

  const nn::ActionValues<float> values(training.learner->spec());
  const auto policy = training.learner->policy();
  std::vector<float> seen;
  for (int k = 0; k < 4; ++k) {
    for (int c = 0; c < 4; ++c) seen.push_back(k == c ? 1.0f : 0.0f);
  }
  double sum = 0;
  for (std::uint32_t draw = 0; draw < 400; ++draw) {
    Random random(77, Stream::user, draw);
    sum += divergence(values, policy, perturbed(policy, values.layout(), deviation, random), seen);
  }
  const double wanted = divergence_of_epsilon(0.2, 4);
  // The scale settles where half of the draws go further: the mean of a lopsided distribution lies above.
  EXPECT_GT(sum / 400, 0.5 * wanted) << "deviation " << deviation;
  EXPECT_LT(sum / 400, 3.0 * wanted) << "deviation " << deviation;

  AnyTraining resumed(&four, options, 1, 10'000);
  resumed.learner->load(saved);
  EXPECT_EQ(resumed.learner->exploration().parameter_noise, deviation);
  EXPECT_EQ(resumed.learner->save(), saved);
}

// A learner that explores by epsilon has no such number: the two do not read each other's state.
TEST(DqnParameterNoise, IsNotReadFromARunWithout) {
  DqnOptions options{.hidden = {8}};
  AnyTraining without(&four, options, 1, 1'000);
  options.exploration = "parameter";
  AnyTraining with(&four, options, 1, 1'000);
  EXPECT_THROW(with.learner->load(without.learner->save()), std::runtime_error);
}

TEST(DqnParameterNoise, LearnsTheIdentity) {
  DqnOptions options = test::identity_dqn("mean");
  options.exploration = "parameter";
  test::learns(&make_vec_env<IdentityDiscrete<4>>, options, 95, 60'000);
}

}  // namespace
}  // namespace mobula::rl
