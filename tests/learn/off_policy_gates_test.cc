// rl-baselines3-zoo's settings reach its scores: at least its mean less one standard deviation over its episodes,
// within its steps, on four of five seeds. DQN's learning rate falls to 0; with the zoo's constant one, three of five
// seeds hold 500 at the last step. (benchmark.md: DQN CartPole 500 +- 0; SAC Pendulum -157 +- 89, TD3 Pendulum -152 +-
// 65; QR-DQN CartPole 500 +- 0.) Minutes: not part of a default run.
#include <gtest/gtest.h>

#include "tests/learn/runs.h"

namespace mobula::rl {
namespace {

TEST(OffPolicyGate, DqnSolvesCartPole) {
  EXPECT_GE(seeds_that_reach(example("cartpole_dqn.yaml"), 475, 5), 4);
}

TEST(OffPolicyGate, QrDqnSolvesCartPole) {
  TrainOptions options = example("cartpole_dqn.yaml");
  options.experiment = "cartpole_qrdqn";
  auto& dqn = std::get<DqnOptions>(options.algorithm);
  dqn.value_head = "quantile";
  dqn.atoms = 10;
  // What the paper and SB3-contrib have for quantiles: Adam's epsilon 0.01 / batch, gradients not clipped. With DQN's
  // 1e-8 and a norm of 10 only one of five seeds got there.
  dqn.adam_eps = 0.01 / dqn.batch_size;
  dqn.max_grad_norm = 1e9;
  EXPECT_GE(seeds_that_reach(options, 475, 5), 4);
}

TEST(OffPolicyGate, SacSwingsThePendulumUp) {
  EXPECT_GE(seeds_that_reach(example("pendulum_sac.yaml"), -157 - 89, 5), 4);
}

TEST(OffPolicyGate, Td3SwingsThePendulumUp) {
  TrainOptions options = example("pendulum_sac.yaml");
  options.experiment = "pendulum_td3";
  options.algorithm = Td3Options{
      .lr = 1e-3, .buffer_size = 200'000, .learning_starts = 10'000, .gamma = 0.98, .exploration_noise = 0.1};
  EXPECT_GE(seeds_that_reach(options, -152 - 65, 5), 4);
}

// No published score of it on CartPole: what its other rows have.
TEST(OffPolicyGate, DiscreteSacReaches475OnCartPoleIn30kSteps) {
  const SacOptions sac{
      .lr = 1e-3, .batch_size = 128, .learning_starts = 1000, .gamma = 0.98, .ent_coef = 0.1, .hidden = {64, 64}};
  TrainOptions options = run_of(*find_environment("cartpole"), sac, 30'000);
  options.experiment = "cartpole_discrete_sac";
  EXPECT_GE(seeds_that_reach(options, 475, 5), 4);
}

}  // namespace
}  // namespace mobula::rl
