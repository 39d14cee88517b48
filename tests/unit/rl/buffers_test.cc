#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mobula/random.h>
#include <mobula/rl/vec_env.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "rl/algos/collect.h"
#include "rl/algos/ppo/ppo.h"
#include "rl/buffers/advantage.h"
#include "rl/buffers/normalizer.h"
#include "tests/unit/rl/environments.h"
#include "tests/unit/rl/in_process.h"

namespace mobula::rl {
namespace {

using test::Everything;
using test::OwnedFragment;
using testing::Each;
using testing::ElementsAreArray;
using testing::FloatEq;
using testing::HasSubstr;

TEST(Advantage, ATimeLimitDoesNotLowerTheValue) {
  // One state, reward 1 for ever, episodes truncated after 10 steps: values of 1 / (1 - gamma) are a fixed point, so
  // all advantages are 0. Treated as terminations, the ends would pull the values down.
  constexpr double gamma = 0.9, value = 1 / (1 - gamma);
  constexpr int steps = 30;
  std::vector<double> rewards(steps, 1.0), values(steps, value), last{value}, finals(steps, 0.0);
  std::vector<std::uint8_t> terminated(steps, 0), truncated(steps, 0);
  for (const int end : {9, 19, 29}) {
    truncated[end] = 1;
    finals[end] = value;
  }
  std::vector<double> advantages(steps), returns(steps);
  const GaeInput<double> in{.steps = steps,
                            .envs = 1,
                            .gamma = gamma,
                            .lambda = 0.95,
                            .rewards = rewards,
                            .values = values,
                            .last_values = last,
                            .final_values = finals,
                            .terminated = terminated,
                            .truncated = truncated};
  generalized_advantages<double>(in, advantages, returns);
  for (const double a : advantages) EXPECT_NEAR(a, 0.0, 1e-12);
  for (const double r : returns) EXPECT_NEAR(r, value, 1e-12);
  std::swap(terminated, truncated);
  generalized_advantages<double>({.steps = steps,
                                  .envs = 1,
                                  .gamma = gamma,
                                  .lambda = 0.95,
                                  .rewards = rewards,
                                  .values = values,
                                  .last_values = last,
                                  .final_values = finals,
                                  .terminated = terminated,
                                  .truncated = truncated},
                                 advantages, returns);
  EXPECT_NEAR(advantages[9], 1 - value, 1e-12);
}

TEST(RunningMoments, MergingEqualsAddingAll) {
  Random random(1, Stream::user);
  RunningMoments all, merged;
  for (const int n : {0, 1, 5, 1000, 37}) {
    RunningMoments part;
    for (int k = 0; k < n; ++k) {
      const double x = 1e6 + random.normal();  // a large mean is where naive sums of squares lose everything
      all.add(x);
      part.add(x);
    }
    merged.merge(part);
  }
  EXPECT_EQ(merged.count, all.count);
  EXPECT_NEAR(merged.mean, all.mean, 1e-9);
  EXPECT_NEAR(merged.variance(), all.variance(), 1e-8);
  EXPECT_NEAR(merged.variance(), 1.0, 0.2);
}

TEST(ObservationNormalizer, GivesMeanZeroAndDeviationOne) {
  Random random(2, Stream::user);
  constexpr int steps = 100, envs = 3;
  std::vector<float> table(steps * envs * 2);
  for (std::size_t k = 0; k < table.size(); k += 2) {
    table[k] = static_cast<float>(5 + 3 * random.normal());
    table[k + 1] = 7;  // never varies
  }
  ObservationNormalizer normalizer(2);
  normalizer.update(table, steps, envs);
  float mean[2], scale[2];
  normalizer.write(mean, scale);
  RunningMoments out;
  for (std::size_t k = 0; k < table.size(); k += 2) out.add((table[k] - mean[0]) * scale[0]);
  EXPECT_NEAR(out.mean, 0, 1e-6);
  EXPECT_NEAR(out.variance(), 1, 1e-6);
  EXPECT_EQ((7 - mean[1]) * scale[1], 0.0f);
}

TEST(RewardNormalizer, DividesByTheDeviationOfTheDiscountedReturn) {
  constexpr int steps = 4;
  const std::vector<float> rewards{1, 2, 3, 4};
  const std::vector<std::uint8_t> terminated{0, 1, 0, 0}, truncated{0, 0, 0, 0};
  RewardNormalizer normalizer(1, 0.5);
  std::vector<float> out(steps);
  normalizer.normalize(rewards, terminated, truncated, steps, 1, out);
  const double sums[] = {1, 2.5, 3, 5.5};  // begun anew after the end
  RunningMoments expected;
  for (const double x : sums) expected.add(x);
  for (int t = 0; t < steps; ++t) EXPECT_NEAR(out[t], rewards[t] / std::sqrt(expected.variance()), 1e-6);
}

TEST(Fragment, TheMemoryMustHoldIt) {
  const FragmentLayout layout(environment_info<Everything>(), 4, 2);
  std::vector<std::byte> small(layout.bytes() - 1);
  try {
    Fragment fragment(layout, small);
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_THAT(e.what(), HasSubstr("a fragment of 4 steps of 2 environments"));
  }
}

TEST(Collect, FragmentsOfTwoWorkersEqualThatOfOne) {
  const auto info = environment_info<Everything>();
  PpoOptions options;
  options.n_envs = 5;
  options.n_steps = 40;
  const PpoLearner learner(info, options, 3, 1000);
  const auto actor = nn::make_actor(learner.spec());
  VecEnv<Everything> whole({}, {.count = 5, .seed = 3}), front({}, {.count = 2, .seed = 3}),
      back({}, {.count = 3, .first = 2, .seed = 3});
  OwnedFragment a(FragmentLayout(info, 40, 5)), b(FragmentLayout(info, 40, 2)), c(FragmentLayout(info, 40, 3)),
      placed(FragmentLayout(info, 40, 5));
  for (auto* env : {&whole, &front, &back}) env->reset();
  for (std::uint32_t iteration = 0; iteration < 3; ++iteration) {
    collect(whole, *actor, learner.policy(), iteration, {}, a.view);
    collect(front, *actor, learner.policy(), iteration, {}, b.view);
    collect(back, *actor, learner.policy(), iteration, {}, c.view);
    place_columns(b.read(), placed.view, 0);
    place_columns(c.read(), placed.view, 2);
    EXPECT_EQ(a.bytes, placed.bytes) << "iteration " << iteration;
  }
}

TEST(Collect, RecordsWhatHappened) {
  const auto info = environment_info<Everything>();
  PpoOptions options;
  options.n_envs = 2;
  const PpoLearner learner(info, options, 1, 1000);
  const auto actor = nn::make_actor(learner.spec());
  VecEnv<Everything> env({}, {.count = 2, .seed = 1}), twin({}, {.count = 2, .seed = 1});
  env.reset();
  twin.reset();
  OwnedFragment fragment(FragmentLayout(info, 50, 2));
  const auto ended = collect(env, *actor, learner.policy(), 0, {}, fragment.view);
  const ConstFragment f = fragment.read();
  std::size_t ends = 0, truncations = 0;
  for (int t = 0; t < 50; ++t) {
    const auto row = [&](auto table, std::size_t width) { return table.subspan(t * 2 * width, 2 * width); };
    EXPECT_THAT(row(f.observations, 3), ElementsAreArray(twin.observations()));
    EXPECT_THAT(row(f.masks, 3), ElementsAreArray(twin.masks()));
    twin.step(row(f.actions, 1));
    EXPECT_THAT(row(f.costs, 2), ElementsAreArray(twin.costs()));
    EXPECT_THAT(row(f.groups, 2), ElementsAreArray(twin.groups()));
    EXPECT_THAT(row(f.terminated, 1), ElementsAreArray(twin.terminated()));
    EXPECT_THAT(row(f.truncated, 1), ElementsAreArray(twin.truncated()));
    for (int n = 0; n < 2; ++n) {
      const std::size_t at = t * 2 + n;
      EXPECT_EQ(f.rewards[at], static_cast<float>(twin.rewards()[n]));
      const bool end = f.terminated[at] || f.truncated[at];
      ends += end;
      float value = 0;
      if (end && !f.terminated[at]) {
        ++truncations;
        actor->values(learner.parameters(), f.final_observations.subspan(at * 3, 3), &value);
        EXPECT_NE(value, 0.0f);
      }
      EXPECT_EQ(f.final_values[at], value);
      if (end) {
        EXPECT_THAT(f.final_observations.subspan(at * 3, 3),
                    ElementsAreArray(twin.final_observations().subspan(n * 3, 3)));
      } else {
        EXPECT_THAT(f.final_observations.subspan(at * 3, 3), Each(0.0f));
      }
    }
  }
  EXPECT_THAT(f.last_observations, ElementsAreArray(twin.observations()));
  EXPECT_EQ(ended.size(), ends);
  EXPECT_GT(truncations, 0u);
}

struct Diverging : test::Forever {
  using Config = test::Forever::Config;
  using test::Forever::Forever;
  Step<Observation> step(const Action& action, Random& random) {
    auto result = test::Forever::step(action, random);
    if (steps == 6) result.observation[0] = INFINITY;
    return result;
  }
};

TEST(Collect, RefusesNumbersThatAreNotFinite) {
  PpoOptions options;
  const PpoLearner learner(environment_info<Diverging>(), options, 1, 1000);
  const auto actor = nn::make_actor(learner.spec());
  VecEnv<Diverging> env({}, {.count = 1});
  env.reset();
  OwnedFragment fragment(FragmentLayout(env.info(), 9, 1));
  EXPECT_THROW(collect(env, *actor, learner.policy(), 0, {}, fragment.view), std::runtime_error);
}

}  // namespace
}  // namespace mobula::rl
