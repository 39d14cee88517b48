// Published scores within their steps (rl-baselines3-zoo, benchmark.md and hyperparams/*.yml), deterministic evaluation
// on 100 held-out episodes; at least four of five seeds must get there.
#include <gtest/gtest.h>
#include <mobula/rl/train.h>
#include <mobula/runtime.h>

#include <array>

#include "rl/envs/cartpole.h"
#include "rl/envs/pendulum.h"
#include "tests/learn/runs.h"

namespace mobula::rl {
namespace {

// CartPole without its velocities: a policy has to remember.
struct StatelessCartPole {
  using Config = CartPole::Config;
  using Observation = std::array<float, 2>;
  using Action = CartPole::Action;
  explicit StatelessCartPole(const Config& config) : whole(config) {}
  Observation reset(Random& random) { return hidden(whole.reset(random)); }
  Step<Observation> step(const Action& action, Random& random) {
    const auto result = whole.step(action, random);
    return {hidden(result.observation), result.reward, result.terminated, result.truncated};
  }
  static Observation hidden(const CartPole::Observation& all) { return {all[0], all[2]}; }
  CartPole whole;
};

void passes(const EnvironmentSpec& env, const AlgorithmOptions& algorithm, std::int64_t steps, double wanted) {
  EXPECT_GE(seeds_that_reach(run_of(env, algorithm, steps), wanted, 5), 4) << "of 5 seeds reach " << wanted;
}

TEST(Gates, A2cSolvesCartPoleIn500kSteps) {
  passes(environment<CartPole>("cartpole"), A2cOptions{.n_envs = 8}, 500'000, 475);
}

TEST(Gates, ArsSolvesCartPoleIn50kSteps) {
  passes(environment<CartPole>("cartpole"), ArsOptions{.lr = 0.018, .delta_std = 0.1, .n_delta = 2}, 50'000, 475);
}

// No published score of it on CartPole: what its other rows have.
TEST(Gates, EsReaches475OnCartPoleIn300kSteps) {
  passes(environment<CartPole>("cartpole_es"), EsOptions{.lr = 0.05, .noise_std = 0.05, .n_directions = 16}, 300'000,
         475);
}

TEST(Gates, RecurrentPpoReaches450OnStatelessCartPoleIn100kSteps) {
  passes(environment<StatelessCartPole>("stateless_cartpole"),
         PpoOptions{.lr = Schedule::linear(1e-3, 0),
                    .n_envs = 8,
                    .n_steps = 32,
                    .batch_size = 256,
                    .n_epochs = 20,
                    .gamma = 0.98,
                    .gae_lambda = 0.8,
                    .clip_range = Schedule::linear(0.2, 0),
                    .normalize_observation = true,
                    .normalize_reward = true,
                    .hidden = {64},
                    .activation = "relu",
                    .memory = "lstm"},
         100'000, 450);
}

TEST(Gates, PpoWithStateDependentNoiseSwingsThePendulumUpIn100kSteps) {
  passes(environment<Pendulum>("pendulum_gsde"),
         PpoOptions{.lr = 1e-3,
                    .n_envs = 4,
                    .n_steps = 1024,
                    .batch_size = 64,
                    .n_epochs = 10,
                    .gamma = 0.9,
                    .use_sde = true,
                    .sde_sample_freq = 4},
         100'000, -172 - 104);
}

TEST(Gates, AppoReaches450OnCartPoleIn250kSteps) {
  passes(environment<CartPole>("cartpole"), appo_for_cartpole(), 250'000, 450);
}

TEST(Gates, ImpalaReaches450OnCartPoleIn500kSteps) {
  passes(environment<CartPole>("cartpole"), impala_for_cartpole(), 500'000, 450);
}

}  // namespace
}  // namespace mobula::rl
