#include "rl/algos/es/es.h"

#include <gtest/gtest.h>
#include <mobula/rl/vec_env.h>

#include <cmath>
#include <vector>

#include "rl/algos/es/directions.h"
#include "tests/unit/rl/any_training.h"
#include "tests/unit/rl/environments.h"

namespace mobula::rl {
namespace {

using test::AnyTraining;
using test::Everything;

// Mania et al.: with the two best of three directions, lr / (2 s) times the sum of differences times directions.
TEST(Ars, WeightsAreThoseOfThePaper) {
  EvolutionSettings settings;
  settings.n_top = 2;
  const std::vector<float> returns{1, 2, 10, 4, 3, 7};  // + and - of three directions
  const auto weights = direction_weights(settings, 0.05, returns);
  const double mean = (10 + 4 + 3 + 7) / 4.0;
  const double spread = std::sqrt((16 + 4 + 9 + 1) / 4.0);
  EXPECT_EQ(mean, 6.0);
  EXPECT_EQ(weights[0], 0.0);
  EXPECT_NEAR(weights[1], 6 / (2 * spread + 1e-6), 1e-12);
  EXPECT_NEAR(weights[2], -4 / (2 * spread + 1e-6), 1e-12);
}

TEST(Ars, EqualReturnsMoveNothing) {
  EvolutionSettings settings;
  settings.n_top = 3;
  for (const double weight : direction_weights(settings, 0.05, std::vector<float>(6, 2.5f))) EXPECT_EQ(weight, 0.0);
}

// The most likely action is tanh of the network's output, in the bounds of the box.
TEST(Ars, SquashedActionsStayInTheBox) {
  nn::PolicySpec spec;
  spec.observation_size = 1;
  spec.action = {ActionSpace::Kind::box, {}, 2, -2.0f, 4.0f};
  spec.hidden = {};
  spec.value_function = false;
  const nn::Policy<float> policy(spec);
  auto parameters = policy.initial_parameters(3);
  for (std::size_t k = 0; k < policy.trainable(); ++k) parameters[k] *= 100;  // else 0.01 of a usual size
  const float observation = 1.5f;
  float plain[2], squashed[2];
  nn::make_actor(spec)->mode(parameters, {&observation, 1}, {}, plain);
  spec.squash_output = true;
  nn::make_actor(spec)->mode(parameters, {&observation, 1}, {}, squashed);
  for (int d = 0; d < 2; ++d) EXPECT_NEAR(squashed[d], 1 + 3 * std::tanh(plain[d]), 1e-6) << d;
  EXPECT_GT(std::abs(plain[0] - plain[1]), 0.1);
}

// Salimans et al.: returns become ranks over [-0.5, 0.5]; what is equal shares its rank.
TEST(Es, WeightsAreDifferencesOfCenteredRanks) {
  EvolutionSettings settings;
  settings.ranks = true;
  const std::vector<float> returns{100, -7, 3, 3};
  const auto weights = direction_weights(settings, 0.1, returns);
  EXPECT_NEAR(weights[0], (0.5 - -0.5) / (2 * 2 * 0.1), 1e-12);
  EXPECT_EQ(weights[1], 0.0);
}

// An update, from the directions drawn anew here.
TEST(Ars, AWholeUpdateIsTheWeightedSumOfItsDirections) {
  ArsOptions o{.lr = 0.5, .delta_std = 0.2, .n_delta = 4, .n_top = 3, .hidden = {5}};
  o.zero_policy = false;
  AnyTraining training(&make_vec_env<Everything>, o, 9, 100'000);
  const auto before = training.parameters();
  training.round();
  const auto after = training.parameters();
  const ConstFragment f = training.whole->read();
  const nn::Policy<float> policy(training.learner->spec());
  const auto weights = direction_weights(settings_of(training.info, o), 0.2, f.rewards);
  double moved = 0;
  std::vector<double> expected(before.begin(), before.end());
  for (std::uint32_t d = 0; d < 4; ++d) {
    std::vector<float> direction(before.size());
    add_direction(policy.layout(), 9, d, 0, 1.0f, direction);
    for (std::size_t k = 0; k < direction.size(); ++k) expected[k] += 0.5 * weights[d] * direction[k];
  }
  for (std::size_t k = 0; k < after.size(); ++k) {
    ASSERT_NEAR(after[k], expected[k], 1e-5) << k;
    moved = std::max(moved, std::abs(expected[k] - before[k]));
  }
  EXPECT_GT(moved, 0.01);
  std::int64_t steps = 0;
  for (const float length : f.values) steps += static_cast<std::int64_t>(length);
  EXPECT_EQ(training.learner->env_steps(), steps);
}

// Two updates, so that the moments count: Adam written out, uphill along the directions, with the pull towards 0 in the
// gradient (Salimans et al. 2017).
TEST(Es, WholeUpdatesAreAdamAlongTheWeightedSumOfTheDirections) {
  const EsOptions o{.lr = 0.05,
                    .noise_std = 0.2,
                    .n_directions = 4,
                    .weight_decay = 0.1,
                    .normalize_observation = false,
                    .hidden = {5}};
  AnyTraining training(&make_vec_env<Everything>, o, 9, 100'000);
  const nn::Policy<float> policy(training.learner->spec());
  const auto start = training.parameters();
  std::vector<double> expected(start.begin(), start.end()), first(expected.size()), second(expected.size());
  double moved = 0;
  for (std::uint32_t update = 0; update < 2; ++update) {
    training.round();
    const auto weights = direction_weights(settings_of(training.info, o), 0.2, training.whole->read().rewards);
    std::vector<double> gradient(expected.size());
    for (std::uint32_t d = 0; d < 4; ++d) {
      std::vector<float> direction(expected.size());
      add_direction(policy.layout(), 9, d, update, 1.0f, direction);
      for (std::size_t k = 0; k < direction.size(); ++k) gradient[k] -= weights[d] * direction[k];
    }
    const auto after = training.parameters();
    for (std::size_t k = 0; k < expected.size(); ++k) {
      const double g = gradient[k] + 0.1 * expected[k];
      first[k] = 0.9 * first[k] + 0.1 * g;
      second[k] = 0.999 * second[k] + 0.001 * g * g;
      const double mean = first[k] / (1 - std::pow(0.9, update + 1)),
                   square = second[k] / (1 - std::pow(0.999, update + 1));
      expected[k] -= 0.05 * mean / (std::sqrt(square) + 1e-8);
      ASSERT_NEAR(after[k], expected[k], 1e-5) << "update " << update << ", number " << k;
      moved = std::max(moved, std::abs(expected[k] - static_cast<double>(start[k])));
    }
  }
  EXPECT_GT(moved, 0.05);
}

// Each environment follows its own perturbed policy from the first step of its episode to the last.
TEST(Directions, AnEpisodeIsThatOfThePerturbedPolicy) {
  const ArsOptions o{.delta_std = 0.7, .n_delta = 3, .hidden = {4}};
  AnyTraining training(&make_vec_env<Everything>, o, 2, 100'000);
  const auto start = training.parameters();
  training.round();
  const ConstFragment f = training.whole->read();
  for (std::uint32_t n = 0; n < 6; ++n) {
    auto parameters = start;
    add_direction(training.actor->layout(), 2, n / 2, 0, n % 2 ? -0.7f : 0.7f, parameters);
    VecEnv<Everything> env({}, {.count = 1, .first = n, .seed = 2});
    env.reset(0);
    double total = 0;
    int length = 0;
    float action = 0;
    do {
      training.actor->mode(parameters, env.observations(), env.masks(), &action);
      env.step({&action, 1});
      total += env.rewards()[0];
      ++length;
    } while (env.ended().empty());
    EXPECT_EQ(f.rewards[n], static_cast<float>(total)) << n;
    EXPECT_EQ(f.values[n], static_cast<float>(length)) << n;
  }
}

}  // namespace
}  // namespace mobula::rl
