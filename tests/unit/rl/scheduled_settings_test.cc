// Settings that change while training goes on: constant schedules are the number, and others act from where they leave
// it.
#include <gtest/gtest.h>
#include <mobula/rl/vec_env.h>

#include "rl/envs/identity.h"
#include "rl/envs/pendulum.h"
#include "tests/unit/rl/any_training.h"

namespace mobula::rl {
namespace {

using test::AnyTraining;

std::unique_ptr<AnyVecEnv> four(const std::string&, const VecEnvOptions& some) {
  return std::make_unique<VecEnv<IdentityDiscrete<4>>>(IdentityConfig{.episode_length = 5}, some);
}
std::unique_ptr<AnyVecEnv> pendulum(const std::string&, const VecEnvOptions& some) {
  return std::make_unique<VecEnv<Pendulum>>(Pendulum::Config{}, some);
}

constexpr std::int64_t kTotal = 640;  // ten rounds of 64 steps

/// Rounds after which runs of the two options have the same parameters, of ten.
template <class Options>
int rounds_alike(VecEnvFactory env, const Options& one, const Options& other) {
  AnyTraining a(env, one, 1, kTotal), b(env, other, 1, kTotal);
  for (int round = 0; round < 10; ++round) {
    a.round();
    b.round();
    if (a.parameters() != b.parameters()) return round;
  }
  return 10;
}

/// The number until half of the run, another one from there on.
Schedule changed(double from, double to) {
  return Schedule::piecewise({{0, from}, {320, from}, {321, to}});
}

template <class Options>
void acts(VecEnvFactory env, const Options& options, Schedule Options::*setting, double from, double to) {
  Options plain = options, same = options, other = options;
  plain.*setting = from;
  same.*setting = Schedule::piecewise({{0, from}, {kTotal, from}});
  other.*setting = changed(from, to);
  EXPECT_EQ(rounds_alike(env, plain, same), 10);
  EXPECT_EQ(rounds_alike(env, plain, other), 5);
}

TEST(ScheduledSettings, OfPpoAct) {
  const PpoOptions ppo{.n_envs = 4, .n_steps = 16, .batch_size = 32, .n_epochs = 2, .hidden = {8}};
  acts(&four, ppo, &PpoOptions::vf_coef, 0.5, 0.1);
  acts(&four, ppo, &PpoOptions::gae_lambda, 0.95, 0.5);
  acts(&four, ppo, &PpoOptions::max_grad_norm, 0.01, 0.001);
  acts(&four, ppo, &PpoOptions::ent_coef, 0.0, 0.1);
}

TEST(ScheduledSettings, OfAlgorithmsWithAReplayBufferAct) {
  DqnOptions dqn{.n_envs = 4, .train_freq = 16, .batch_size = 16, .buffer_size = 300, .learning_starts = 0};
  dqn.hidden = {8};
  dqn.target_update_interval = 64;
  acts(&four, dqn, &DqnOptions::max_grad_norm, 0.01, 0.001);
  dqn.target_update_interval = 16;
  acts(&four, dqn, &DqnOptions::tau, 0.5, 0.1);
  SacOptions sac{.n_envs = 4, .train_freq = 16, .batch_size = 16, .buffer_size = 300, .learning_starts = 0};
  sac.hidden = {8};
  acts(&pendulum, sac, &SacOptions::tau, 0.5, 0.1);
  Td3Options td3{.n_envs = 4, .train_freq = 16, .batch_size = 16, .buffer_size = 300, .learning_starts = 0};
  td3.hidden = {8};
  acts(&pendulum, td3, &Td3Options::tau, 0.5, 0.1);
}

TEST(ScheduledSettings, OfExplorationFallAsTheyAreTold) {
  Td3Options td3{.n_envs = 4, .train_freq = 16, .batch_size = 16, .buffer_size = 300, .learning_starts = 0};
  td3.exploration_noise = Schedule::linear(0.4, 0.0);
  td3.hidden = {8};
  AnyTraining training(&pendulum, td3, 1, kTotal);
  EXPECT_DOUBLE_EQ(training.learner->exploration().noise, 0.4);
  for (int round = 0; round < 5; ++round) training.round();
  EXPECT_NEAR(training.learner->exploration().noise, 0.2, 1e-12);
}

}  // namespace
}  // namespace mobula::rl
