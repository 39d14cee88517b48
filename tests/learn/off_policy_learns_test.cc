// The same tasks as in off_policy_gates_test.cc with fewer seeds, and the Pendulum with smaller networks and fewer
// steps, in seconds.
#include <gtest/gtest.h>

#include "tests/learn/runs.h"

namespace mobula::rl {
namespace {

TEST(OffPolicySmall, DqnSolvesCartPole) {
  EXPECT_GE(seeds_that_reach(example("cartpole_dqn.yaml"), 475, 2), 1);
}

TEST(OffPolicySmall, SacAndTd3SwingThePendulumUp) {
  TrainOptions options = example("pendulum_sac.yaml");
  options.stop.env_steps = 8'000;
  options.algorithm = SacOptions{.lr = 2e-3, .batch_size = 128, .learning_starts = 500, .hidden = {64, 64}};
  EXPECT_EQ(seeds_that_reach(options, -250, 1), 1);
  options.experiment = "pendulum_td3";
  options.algorithm =
      Td3Options{.lr = 2e-3, .batch_size = 128, .learning_starts = 1'000, .gamma = 0.98, .hidden = {64, 64}};
  EXPECT_EQ(seeds_that_reach(options, -250, 1), 1);
}

TEST(OffPolicySmall, SacWithStateDependentNoiseSwingsThePendulumUp) {
  TrainOptions options = example("pendulum_sac.yaml");
  options.experiment = "pendulum_sac_gsde";
  options.stop.env_steps = 12'000;
  options.algorithm = SacOptions{.lr = 2e-3,
                                 .train_freq = 8,
                                 .gradient_steps = 8,
                                 .batch_size = 128,
                                 .learning_starts = 500,
                                 .use_sde = true,
                                 .hidden = {64, 64}};
  EXPECT_EQ(seeds_that_reach(options, -250, 1), 1);
}

TEST(OffPolicySmall, DqnWithParameterNoiseSolvesCartPole) {
  TrainOptions options = example("cartpole_dqn.yaml");
  options.experiment = "cartpole_dqn_parameter_noise";
  std::get<DqnOptions>(options.algorithm).exploration = "parameter";
  EXPECT_GE(seeds_that_reach(options, 475, 2), 1);
}

}  // namespace
}  // namespace mobula::rl
