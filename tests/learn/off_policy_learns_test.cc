// The same tasks as in off_policy_gates_test.cc with fewer seeds, and the Pendulum with smaller networks and fewer
// steps, in seconds.
#include <gtest/gtest.h>

#include "tests/learn/runs.h"

namespace mobula::rl {
namespace {

TEST(OffPolicySmall, DqnSolvesCartPole) {
  Runtime runtime = Runtime::start({.workers = 0});
  EXPECT_GE(seeds_that_reach(runtime, example("cartpole_dqn.yaml"), 475, 2), 1);
}

TEST(OffPolicySmall, SacAndTd3SwingThePendulumUp) {
  Runtime runtime = Runtime::start({.workers = 0});
  TrainOptions options = example("pendulum_sac.yaml");
  options.stop.env_steps = 8'000;
  options.algorithm = SacOptions{.lr = 2e-3, .batch_size = 128, .learning_starts = 500, .hidden = {64, 64}};
  EXPECT_EQ(seeds_that_reach(runtime, options, -250, 1), 1);
  options.experiment = "pendulum_td3";
  options.algorithm =
      Td3Options{.lr = 2e-3, .batch_size = 128, .learning_starts = 1'000, .gamma = 0.98, .hidden = {64, 64}};
  EXPECT_EQ(seeds_that_reach(runtime, options, -250, 1), 1);
}

}  // namespace
}  // namespace mobula::rl
