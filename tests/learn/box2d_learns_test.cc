// PPO reaches rl-zoo's scores on LunarLander within its steps: the mean less the standard deviation of its benchmark,
// on at least four of five seeds.

#include <gmock/gmock.h>

#include <string>

#include "tests/learn/runs.h"

namespace mobula::rl {
namespace {

int seeds_that_land(const std::string& environment, double at_least) {
  TrainOptions options = example("lunar_lander.yaml");
  options.env = *find_environment(environment);
  options.evaluate.baselines.clear();
  return seeds_that_reach(options, at_least, 5);
}

TEST(LunarLander, ReachesTheScoreOfRlZooOnFourOfFiveSeeds) {
  EXPECT_GE(seeds_that_land("lunar_lander", 242 - 32), 4);
}

TEST(LunarLander, ReachesTheScoreOfRlZooWithContinuousActionsOnFourOfFiveSeeds) {
  EXPECT_GE(seeds_that_land("lunar_lander_continuous", 271 - 32), 4);
}

}  // namespace
}  // namespace mobula::rl
