#include <gtest/gtest.h>

#include <array>
#include <string>

#include "rl/envs/acrobot.h"
#include "rl/envs/cartpole.h"
#include "rl/envs/mountain_car.h"
#include "rl/envs/pendulum.h"
#include "tests/support/golden.h"

namespace mobula::rl {
namespace {

using golden::json;

// One recorded action, in the precision in which Gymnasium was given it.
template <class E>
Step<typename E::Observation> act(E& env, const json& action, const std::string& precision) {
  Random random;
  if constexpr (requires { env.advance(1.0); }) {
    if (precision == "float64") return env.advance(action.get<double>());
    return env.advance(action.get<float>());
  } else {
    return env.step({action.get<int>()}, random);
  }
}

struct Tolerance {
  double state, observation, reward;
};

// Steps the environment through a recorded episode and compares. `follow`: each step starts from the recorded state.
template <class E>
void play(const json& document, const json& episode, bool follow, const Tolerance& tolerance) {
  typename E::Config config;
  config.time_limit = document.at("time_limit").get<int>();
  E env(config);
  using State = decltype(env.state);
  const auto state_of = [](const json& row) { return row.get<State>(); };
  Random random;
  env.reset(random);
  env.state = state_of(episode.at("initial_state"));
  const std::string precision = episode.at("action_dtype");
  for (std::size_t t = 0; t < episode.at("action").size(); ++t) {
    SCOPED_TRACE("step " + std::to_string(t));
    const auto step = act(env, episode.at("action")[t], precision);
    const State expected = state_of(episode.at("state")[t]);
    for (std::size_t k = 0; k < expected.size(); ++k) ASSERT_NEAR(env.state[k], expected[k], tolerance.state) << k;
    const auto seen = episode.at("obs")[t].template get<typename E::Observation>();
    for (std::size_t k = 0; k < seen.size(); ++k) {
      ASSERT_NEAR(step.observation[k], seen[k], tolerance.observation * std::max(1.0f, std::abs(seen[k]))) << k;
    }
    ASSERT_NEAR(step.reward, episode.at("reward")[t].template get<double>(), tolerance.reward);
    ASSERT_EQ(step.terminated, episode.at("terminated")[t].template get<bool>());
    ASSERT_EQ(step.truncated, episode.at("truncated")[t].template get<bool>());
    if (follow) env.state = expected;
  }
}

template <class E>
void play_all(const std::string& file, bool follow, const Tolerance& tolerance) {
  golden::for_each_case(
      "rl", file, [&](const json& document, const json& episode) { play<E>(document, episode, follow, tolerance); });
}

// An observation is the state rounded to float: where the last bits of the state differ, so may the rounding.
constexpr double kRounding = 1.2e-7;
constexpr Tolerance kOneStep{1e-12, kRounding, 1e-12};
constexpr bool kEachStep = true, kWholeEpisode = false;

TEST(GoldenCartPole, EachStepEqualsGymnasiumsTo1e12) {
  play_all<CartPole>("traj_CartPole-v1", kEachStep, {1e-12, kRounding, 0});
}
// The pole is unstable: differences in the last bit of sin and cos grow e-fold every 13 steps or so.
TEST(GoldenCartPole, WholeEpisodesStayWithin1e8) {
  play_all<CartPole>("traj_CartPole-v1", kWholeEpisode, {1e-8, 1e-8 + kRounding, 0});
}

TEST(GoldenPendulum, EachStepEqualsGymnasiumsTo1e12) {
  play_all<Pendulum>("traj_Pendulum-v1", kEachStep, kOneStep);
}
TEST(GoldenPendulum, WholeEpisodesStayWithin1e10) {
  play_all<Pendulum>("traj_Pendulum-v1", kWholeEpisode, {1e-10, kRounding, 1e-10});
}

TEST(GoldenAcrobot, EachStepEqualsGymnasiumsTo1e12) {
  play_all<Acrobot>("traj_Acrobot-v1", kEachStep, {1e-12, kRounding, 0});
}
TEST(GoldenAcrobot, WholeEpisodesStayWithin1e10) {
  play_all<Acrobot>("traj_Acrobot-v1", kWholeEpisode, {1e-10, kRounding, 0});
}

TEST(GoldenMountainCar, EachStepEqualsGymnasiumsTo1e12) {
  play_all<MountainCar>("traj_MountainCar-v0", kEachStep, {1e-12, kRounding, 0});
}
TEST(GoldenMountainCar, WholeEpisodesStayWithin1e12) {
  play_all<MountainCar>("traj_MountainCar-v0", kWholeEpisode, {1e-12, kRounding, 0});
}

// The state is float, and equals Gymnasium's to the bit.
TEST(GoldenMountainCarContinuous, EachStepIsGymnasiumsFloat) {
  play_all<MountainCarContinuous>("traj_MountainCarContinuous-v0", kEachStep, {0, 0, 1e-12});
}
TEST(GoldenMountainCarContinuous, WholeEpisodesAreGymnasiumsFloats) {
  play_all<MountainCarContinuous>("traj_MountainCarContinuous-v0", kWholeEpisode, {0, 0, 1e-12});
}

TEST(GoldenRl, ListsTheFilesItDoesNotCover) {
  ASSERT_FALSE(golden::all_files("rl").empty());
  golden::list_not_covered(
      "rl", {"traj_CartPole-v1", "traj_Pendulum-v1", "traj_Acrobot-v1", "traj_MountainCar-v0",
             "traj_MountainCarContinuous-v0", "returns", "optimizers", "dist_categorical", "dist_masked_categorical",
             "dist_multicategorical", "dist_diag_gaussian", "dist_tanh_gaussian", "update_ppo", "box2d_random"});
}

}  // namespace
}  // namespace mobula::rl
