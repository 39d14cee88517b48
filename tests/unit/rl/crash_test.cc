// Environments that throw or stall are made anew, and counted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mobula/rl/vec_env.h>
#include <mobula/rl/wrappers.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "rl/envs/cartpole.h"
#include "tests/unit/rl/environments.h"
#include "tests/unit/rl/rows.h"

namespace mobula::rl {
namespace {

using testing::HasSubstr;
using ChaosCartPole = Chaos<CartPole>;

TEST(Crashes, EndTheEpisodeAsTruncatedAndStartTheNext) {
  VecEnv<ChaosCartPole> env({.crash_step = 0.02}, {.count = 16, .seed = 1});
  env.reset();
  std::vector<float> actions(16), before;
  int crashes = 0;
  for (int t = 0; t < 500; ++t) {
    before.assign(env.observations().begin(), env.observations().end());
    for (int i = 0; i < 16; ++i) actions[i] = static_cast<float>((t + i) % 2);
    env.step(actions);
    for (const auto& end : env.ended()) {
      EXPECT_EQ(end.crashes, end.crashed ? 1u : 0u);
      if (!end.crashed) continue;
      ++crashes;
      const int i = static_cast<int>(end.env);
      EXPECT_EQ(env.rewards()[i], 0);
      EXPECT_TRUE(env.truncated()[i] && !env.terminated()[i]);
      EXPECT_EQ(env.episodes()[i], end.episode + 1);
      for (int k = 0; k < 4; ++k) {
        EXPECT_EQ(env.final_observations()[4 * i + k], before[4 * i + k]);  // the last there was
        EXPECT_LE(std::abs(env.observations()[4 * i + k]), 0.05f);          // the first of the next episode
      }
    }
  }
  EXPECT_NEAR(crashes, 160, 60);
}

TEST(Crashes, RepeatInAnySplitAndFromASnapshot) {
  const ChaosCartPole::Config config{.crash_step = 0.05, .crash_reset = 0.2};
  VecEnv<ChaosCartPole> whole(config, {.count = 6, .seed = 2});
  VecEnv<ChaosCartPole> front(config, {.count = 2, .seed = 2}), back(config, {.count = 4, .first = 2, .seed = 2});
  for (auto* env : {&whole, &front, &back}) env->reset();
  std::uint64_t crashes = 0, crashes_in_parts = 0;
  for (int t = 0; t < 300; ++t) {
    if (t == 100) {
      const auto bytes = back.snapshot();
      back.step(std::vector<float>(4, 0));
      back.restore(bytes);
    }
    const std::vector<float> actions(6, static_cast<float>(t % 2));
    whole.step(actions);
    front.step(std::span(actions).first(2));
    back.step(std::span(actions).first(4));
    auto parts = test::rows_of(front);
    for (const auto& row : test::rows_of(back)) parts.push_back(row);
    ASSERT_EQ(test::rows_of(whole), parts) << t;
    for (const auto& end : whole.ended()) crashes += end.crashes;
    for (const auto* env : {&front, &back}) {
      for (const auto& end : env->ended()) crashes_in_parts += end.crashes;
    }
  }
  EXPECT_EQ(crashes, crashes_in_parts);
  EXPECT_GT(crashes, 90u);
}

TEST(Crashes, AnEnvironmentThatDoesNothingElseIsRefused) {
  VecEnv<ChaosCartPole> env({.crash_step = 1}, {.count = 1, .first = 7});
  env.reset();
  try {
    for (int t = 0; t < 20; ++t) env.step(std::vector<float>{0});
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("Environment 7 crashed 10 times without a step in between"));
    EXPECT_THAT(error.what(), HasSubstr("Chaos: the environment crashed in a step"));
  }
  VecEnv<ChaosCartPole> never({.crash_reset = 1}, {.count = 1});
  EXPECT_THROW(never.reset(), std::runtime_error);
}

// Never gets through an episode.
struct Fragile : test::Forever {
  using Config = test::Forever::Config;
  using test::Forever::Forever;
  auto step(const Action& action, Random& random) {
    if (steps == 3) throw std::runtime_error("too fragile");
    return test::Forever::step(action, random);
  }
};

TEST(Crashes, AnEnvironmentThatNeverEndsAnEpisodeIsRefused) {
  VecEnv<Fragile> env({}, {.count = 1});
  env.reset();
  try {
    for (int t = 0; t < 1000; ++t) env.step(std::vector<float>{0});
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("crashed 100 times without a whole episode in between"));
    EXPECT_THAT(error.what(), HasSubstr("too fragile"));
  }
}

// Its second step waits until the test is over.
struct Stalls : test::Forever {
  using Config = test::Forever::Config;
  using test::Forever::Forever;
  static inline std::atomic<int> stalls_left{0};
  static inline std::atomic<bool> over{false};
  static inline std::atomic<int> waiting{0};
  auto step(const Action& action, Random& random) {
    if (steps == 1 && stalls_left.fetch_sub(1) > 0) {
      ++waiting;
      while (!over) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      --waiting;
    }
    return test::Forever::step(action, random);
  }
};

TEST(Stalls, AreGivenUpAndTheEnvironmentMadeAnew) {
  const VecEnvFactory factory = &make_vec_env<Stalls>;
  const auto env = factory("wrappers: [{restart_stalled: 0.5}, {frame_stack: 2}]", {.count = 3, .seed = 1});
  Stalls::stalls_left = 2;
  env->reset();
  std::uint32_t crashes = 0;
  const std::vector<float> actions(3);
  int episodes = 0;
  for (int t = 0; t < 40; ++t) {
    env->step(actions);
    for (const auto& end : env->ended()) {
      crashes += end.crashes;
      if (end.crashed) {
        EXPECT_TRUE(env->truncated()[end.env]);
        EXPECT_EQ(env->rewards()[end.env], 0);
      } else {
        EXPECT_EQ(end.length, 10u);
        ++episodes;
      }
    }
  }
  EXPECT_GE(crashes, 2u);  // (more on a machine that was busy for half a second)
  EXPECT_GE(episodes, 6);
  Stalls::over = true;
  while (Stalls::waiting > 0) std::this_thread::yield();
}

TEST(Stalls, WithoutThemTheGuardChangesNothing) {
  const VecEnvFactory factory = &make_vec_env<test::Everything>;
  const auto guarded = factory("wrappers: [{restart_stalled: 60}]", {.count = 5, .seed = 3});
  const auto bare = factory("", {.count = 5, .seed = 3});
  guarded->reset();
  bare->reset();
  Random random(1, Stream::user);
  for (int t = 0; t < 200; ++t) {
    const auto actions = test::random_actions(*bare, random);
    guarded->step(actions);
    bare->step(actions);
    ASSERT_EQ(test::rows_of(*guarded), test::rows_of(*bare));
    ASSERT_THAT(guarded->ended(), testing::ElementsAreArray(bare->ended()));
  }
  EXPECT_EQ(guarded->snapshot(), bare->snapshot());
}

}  // namespace
}  // namespace mobula::rl
