#include <gtest/gtest.h>

#include <array>

#include "rl/envs/cartpole.h"
#include "tests/support/golden.h"

namespace mobula::rl {
namespace {

using golden::json;

std::array<double, 4> state_of(const json& row) {
  return {row.at(0), row.at(1), row.at(2), row.at(3)};
}

// Steps the environment through a recorded episode and compares. `follow`: each step starts from the recorded state.
void play(const json& document, const json& episode, bool follow, double tolerance) {
  CartPole env({.time_limit = document.at("time_limit").get<int>()});
  Random random;
  env.reset(random);
  env.state = state_of(episode.at("initial_state"));
  for (std::size_t t = 0; t < episode.at("action").size(); ++t) {
    SCOPED_TRACE("step " + std::to_string(t));
    const auto step = env.step({episode.at("action")[t].get<int>()}, random);
    const auto expected = state_of(episode.at("state")[t]);
    for (int k = 0; k < 4; ++k) {
      ASSERT_NEAR(env.state[k], expected[k], tolerance);
      ASSERT_NEAR(step.observation[k], episode.at("obs")[t][k].get<float>(), tolerance + 2.4e-7);
    }
    ASSERT_EQ(step.reward, episode.at("reward")[t].get<double>());
    ASSERT_EQ(step.terminated, episode.at("terminated")[t].get<bool>());
    ASSERT_EQ(step.truncated, episode.at("truncated")[t].get<bool>());
    if (follow) env.state = expected;
  }
}

TEST(GoldenCartPole, EachStepEqualsGymnasiumsTo1e12) {
  golden::for_each_case("rl", "traj_CartPole-v1",
                        [](const json& document, const json& episode) { play(document, episode, true, 1e-12); });
}

// The pole is unstable: differences in the last bit of sin and cos grow e-fold every 13 steps or so.
TEST(GoldenCartPole, WholeEpisodesStayWithin1e8) {
  golden::for_each_case("rl", "traj_CartPole-v1",
                        [](const json& document, const json& episode) { play(document, episode, false, 1e-8); });
}

TEST(GoldenRl, ListsTheFilesItDoesNotCover) {
  ASSERT_FALSE(golden::all_files("rl").empty());
  golden::list_not_covered("rl",
                           {"traj_CartPole-v1", "returns", "optimizers", "dist_categorical", "dist_masked_categorical",
                            "dist_multicategorical", "dist_diag_gaussian", "dist_tanh_gaussian", "update_ppo"});
}

}  // namespace
}  // namespace mobula::rl
