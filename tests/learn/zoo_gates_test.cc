// The rows of rl-baselines3-zoo for classic control that cost minutes: its scores (benchmark.md: the mean less one
// standard deviation over its episodes) are reached within its steps on four of five seeds, with its settings but for
// what is said at the test.
#include <gtest/gtest.h>

#include "rl/envs/acrobot.h"
#include "rl/envs/mountain_car.h"
#include "rl/envs/pendulum.h"
#include "tests/learn/runs.h"

namespace mobula::rl {
namespace {

void passes(const EnvironmentSpec& env, const AlgorithmOptions& algorithm, std::int64_t steps, double wanted) {
  TrainOptions options = run_of(env, algorithm, steps);
  options.experiment = env.name + "_" + std::string(name_of(algorithm));
  EXPECT_GE(seeds_that_reach(options, wanted, 5), 4) << "of 5 seeds reach " << wanted;
}

TEST(ZooGate, PpoClimbsTheMountainWithContinuousActions) {
  passes(environment<MountainCarContinuous>("mountain_car_continuous"),
         PpoOptions{.lr = 7.77e-5,
                    .n_envs = 1,
                    .n_steps = 8,
                    .batch_size = 256,
                    .n_epochs = 10,
                    .gamma = 0.9999,
                    .gae_lambda = 0.9,
                    .clip_range = 0.1,
                    .ent_coef = 0.00429,
                    .vf_coef = 0.19,
                    .max_grad_norm = 5,
                    .normalize_observation = true,
                    .normalize_reward = true,
                    .log_std_init = -3.29,
                    .ortho_init = false,
                    .use_sde = true},
         20'000, 88.343 - 2.572);
}

TEST(ZooGate, A2cSwingsTheAcrobotUp) {
  passes(environment<Acrobot>("acrobot"),
         A2cOptions{.n_envs = 16, .normalize_observation = true, .normalize_reward = true}, 500'000, -83.353 - 17.213);
}

TEST(ZooGate, A2cSwingsThePendulumUp) {
  passes(environment<Pendulum>("pendulum"),
         A2cOptions{.lr = Schedule::linear(7e-4, 0),
                    .n_envs = 8,
                    .n_steps = 8,
                    .gamma = 0.9,
                    .gae_lambda = 0.9,
                    .vf_coef = 0.4,
                    .normalize_observation = true,
                    .normalize_reward = true,
                    .log_std_init = -2,
                    .ortho_init = false,
                    .use_sde = true},
         1'000'000, -162.965 - 103.210);
}

TEST(ZooGate, DqnClimbsTheMountain) {
  passes(environment<MountainCar>("mountain_car"),
         DqnOptions{.lr = Schedule::linear(4e-3, 0),  // the zoo's is constant: three seeds of five hold on to it
                    .train_freq = 16,
                    .gradient_steps = 8,
                    .batch_size = 128,
                    .buffer_size = 10'000,
                    .learning_starts = 1000,
                    .gamma = 0.98,
                    .target_update_interval = 600,
                    .exploration_fraction = 0.2,
                    .exploration_final_eps = 0.07,
                    .hidden = {256, 256}},
         120'000, -100.849 - 9.925);
}

DqnOptions dqn_for_acrobot() {
  return {.lr = 6.3e-4,
          .train_freq = 4,
          .gradient_steps = -1,
          .batch_size = 128,
          .buffer_size = 50'000,
          .learning_starts = 0,
          .target_update_interval = 250,
          .exploration_fraction = 0.12,
          .exploration_final_eps = 0.1,
          .hidden = {256, 256}};
}

TEST(ZooGate, DqnSwingsTheAcrobotUp) {
  passes(environment<Acrobot>("acrobot"), dqn_for_acrobot(), 100'000, -76.639 - 11.752);
}

TEST(ZooGate, QrDqnSwingsTheAcrobotUp) {
  DqnOptions dqn = dqn_for_acrobot();
  dqn.value_head = "quantile";
  dqn.atoms = 25;
  dqn.adam_eps = 0.01 / dqn.batch_size;  // as with CartPole
  dqn.max_grad_norm = 1e9;
  TrainOptions options = run_of(environment<Acrobot>("acrobot"), dqn, 100'000);
  options.experiment = "acrobot_qrdqn";
  EXPECT_GE(seeds_that_reach(options, -69.135 - 9.967, 5), 4);
}

TEST(ZooGate, SacClimbsTheMountainWithContinuousActions) {
  passes(environment<MountainCarContinuous>("mountain_car_continuous"),
         SacOptions{.lr = 3e-4,
                    .train_freq = 32,
                    .gradient_steps = 32,
                    .batch_size = 512,
                    .buffer_size = 50'000,
                    .learning_starts = 0,
                    .gamma = 0.9999,
                    .tau = 0.01,
                    .ent_coef = 0.1,
                    .use_sde = true,
                    .log_std_init = -3.67,
                    .hidden = {64, 64}},
         50'000, 94.679 - 1.134);
}

TEST(ZooGate, ArsSwingsThePendulumUp) {
  // The zoo uses one direction of four, delta_std 0.1, lr 0.018 and normalised observations: so one seed of ten gets
  // there. The sizes of Pendulum's observations are alike and known, and what moves with them is the policy.
  passes(environment<Pendulum>("pendulum"),
         ArsOptions{.lr = 0.03,
                    .delta_std = 0.2,
                    .n_delta = 4,
                    .zero_policy = false,
                    .squash_output = true,
                    .hidden = {16},
                    .activation = "relu"},
         2'000'000, -212.540 - 160.444);
}

}  // namespace
}  // namespace mobula::rl
