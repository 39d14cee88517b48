#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mobula/rl/vec_env.h>

#include <memory>
#include <vector>

#include "rl/envs/cartpole.h"
#include "tests/unit/rl/environments.h"
#include "tests/unit/rl/rows.h"

namespace mobula::rl {
namespace {

using test::Everything;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;

using test::rows_of;

// Actions that depend on the environment's index over all vectors.
std::vector<float> actions_at(const AnyVecEnv& env, int t) {
  std::vector<float> actions;
  for (int i = 0; i < env.size(); ++i) actions.push_back(static_cast<float>((t + i + env.options().first) % 3));
  return actions;
}

TEST(VecEnv, TheSplitOfEnvironmentsOverVectorsDoesNotMatter) {
  VecEnv<Everything> whole({}, {.count = 7, .seed = 5});
  VecEnv<Everything> front({}, {.count = 3, .first = 0, .seed = 5}), back({}, {.count = 4, .first = 3, .seed = 5});
  for (auto* env : {&whole, &front, &back}) env->reset();
  std::vector<EpisodeEnd> ended, ended_in_parts;
  for (int t = 0; t < 200; ++t) {
    for (auto* env : {&whole, &front, &back}) env->step(actions_at(*env, t));
    auto parts = rows_of(front);
    for (const auto& row : rows_of(back)) parts.push_back(row);
    ASSERT_EQ(rows_of(whole), parts) << "step " << t;
    ended.insert(ended.end(), whole.ended().begin(), whole.ended().end());
    for (auto* env : {&front, &back}) {
      ended_in_parts.insert(ended_in_parts.end(), env->ended().begin(), env->ended().end());
    }
  }
  EXPECT_GT(ended.size(), 100u);
  EXPECT_EQ(ended, ended_in_parts);
}

TEST(VecEnv, ContinuesIdenticallyFromASnapshot) {
  VecEnv<Everything> env({}, {.count = 4, .seed = 9});
  env.reset();
  for (int t = 0; t < 23; ++t) env.step(actions_at(env, t));
  const auto bytes = env.snapshot();
  VecEnv<Everything> other({}, {.count = 4, .seed = 9});
  other.restore(bytes);
  EXPECT_THAT(other.observations(), ElementsAreArray(env.observations()));
  EXPECT_THAT(other.masks(), ElementsAreArray(env.masks()));
  for (int t = 23; t < 100; ++t) {
    env.step(actions_at(env, t));
    other.step(actions_at(other, t));
    ASSERT_EQ(rows_of(env), rows_of(other)) << "step " << t;
    ASSERT_THAT(other.ended(), ElementsAreArray(env.ended()));
  }
  EXPECT_EQ(env.snapshot(), other.snapshot());
}

TEST(VecEnv, RefusesSnapshotsThatDoNotFit) {
  VecEnv<Everything> env({}, {.count = 4}), smaller({}, {.count = 3});
  env.reset();
  const auto bytes = env.snapshot();
  try {
    smaller.restore(bytes);
    FAIL();
  } catch (const std::runtime_error& e) {
    EXPECT_THAT(e.what(), HasSubstr("vector of 3 environments: the snapshot holds 4"));
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{5}, bytes.size() / 2, bytes.size() - 1}) {
    EXPECT_THROW(env.restore(std::span(bytes).first(size)), std::runtime_error) << size;
  }
  auto longer = bytes;
  longer.push_back(std::byte{0});
  EXPECT_THROW(env.restore(longer), std::runtime_error);
}

TEST(VecEnv, KeepsTheFinalObservationAndResetsInTheSameStep) {
  VecEnv<Everything> env({.limit = 3}, {.count = 1, .seed = 1});
  env.reset();
  int ends = 0;
  for (int t = 0; t < 50; ++t) {
    env.step(actions_at(env, t));
    if (!env.terminated()[0] && !env.truncated()[0]) {
      EXPECT_TRUE(env.ended().empty());
      continue;
    }
    ++ends;
    ASSERT_EQ(env.ended().size(), 1u);
    const EpisodeEnd& end = env.ended()[0];
    EXPECT_EQ(env.final_observations()[0], static_cast<float>(end.length + 1));  // the history's length
    EXPECT_EQ(env.observations()[0], 1.0f);                                      // that of a new episode
    EXPECT_EQ(env.episodes()[0], end.episode + 1);
    ASSERT_NE(end.report.find("steps"), nullptr);
    EXPECT_THAT(end.report.find("steps")->milli, ElementsAre(1000 * end.length));
  }
  EXPECT_GE(ends, 50 / 3);
}

TEST(VecEnv, CountsReturnsAndLengthsOfEpisodes) {
  VecEnv<CartPole> env({.time_limit = 20}, {.count = 2, .seed = 3});
  env.reset();
  int seen = 0;
  for (int t = 0; t < 200; ++t) {
    const float push = t % 2;
    env.step(std::vector<float>{push, push});
    for (const auto& end : env.ended()) {
      ++seen;
      EXPECT_EQ(end.total, end.length);  // reward 1 a step
      EXPECT_LE(end.length, 20u);
      EXPECT_TRUE(end.length == 20 || end.terminated);
    }
  }
  EXPECT_GE(seen, 18);
}

TEST(VecEnv, TheFactoryReadsTheConfigurationAndIgnoresTheName) {
  const VecEnvFactory factory = &make_vec_env<Everything>;
  const auto env = factory("name: everything\nlimit: 2\n", {.count = 2, .seed = 1});
  env->reset();
  const float zero[2] = {0, 0};
  env->step(zero);
  env->step(zero);
  EXPECT_TRUE(env->truncated()[1]);  // (environment 0 happens to be terminated at its first step)
  EXPECT_THROW(factory("limits: 2\n", {}), std::runtime_error);
  EXPECT_EQ(factory("", {})->size(), 1);
}

TEST(VecEnv, DescribesItsEnvironment) {
  const EnvironmentInfo info = environment_info<Everything>();
  EXPECT_EQ(info.observation_size, 3);
  EXPECT_EQ(info.action, (ActionSpace{ActionSpace::Kind::discrete, {3}, 1, 0, 0}));
  EXPECT_EQ(info.mask_size, 3);
  EXPECT_THAT(info.cost_names, ElementsAre("left", "right"));
  EXPECT_THAT(info.group_names, ElementsAre("a", "b", "c"));
  EXPECT_THAT(info.baseline_names, ElementsAre("first", "follow"));
  EXPECT_TRUE(info.reports && info.renders_text && !info.renders_svg);
  EXPECT_EQ(environment_info<CartPole>().mask_size, 0);
}

TEST(VecEnv, AsksBaselinesForActions) {
  VecEnv<Everything> env({}, {.count = 3, .seed = 4});
  env.reset();
  std::vector<float> actions(3, -1);
  env.baseline_actions(1, actions);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(actions[i], static_cast<float>(env.env(i).history.back() % 3));
  EXPECT_EQ(env.render_text(1), "history of 1");
  EXPECT_EQ(env.render_svg(1), "");
}

TEST(Space, BoxActionsAreClippedForTheEnvironmentOnly) {
  using Action = Box<2, -1.0f, 2.0f>;
  const float row[2] = {-3.0f, 1.5f};
  EXPECT_EQ(ActionCodec<Action>::decode(row), (Action{{-1.0f, 1.5f}}));
}

TEST(Space, HeadSizes) {
  EXPECT_EQ(ActionCodec<Discrete<4>>::space().head_size(), 4);
  EXPECT_EQ((ActionCodec<Box<3>>::space().head_size()), 3);
  EXPECT_EQ((ActionCodec<MultiDiscrete<2, 3>>::space().head_size()), 5);
  EXPECT_EQ((ActionCodec<MultiDiscrete<2, 3>>::space().dimensions), 2);
}

}  // namespace
}  // namespace mobula::rl
