// What learns the identity environments in seconds, by algorithm.
#pragma once

#include <gtest/gtest.h>

#include <iostream>
#include <string>

#include "rl/algos/algorithms.h"
#include "tests/unit/rl/any_training.h"

namespace mobula::rl::test {

inline AlgorithmOptions identity_on_policy(const std::string& algorithm, const std::string& memory, bool box) {
  const double log_std = box ? -0.5 : 0.0;
  if (algorithm == "ppo") {
    return PpoOptions{.lr = 3e-3,
                      .n_envs = 8,
                      .n_steps = 32,
                      .batch_size = 64,
                      .gamma = 0.5,
                      .memory = memory,
                      .memory_units = 32,
                      .log_std_init = log_std};
  }
  if (algorithm == "a2c") {
    return A2cOptions{.lr = 3e-3,
                      .n_envs = 8,
                      .n_steps = memory == "none" ? 5 : 8,
                      .gamma = 0.5,
                      .memory = memory,
                      .memory_units = 32,
                      .log_std_init = log_std};
  }
  if (algorithm == "impala") {
    return ImpalaOptions{.lr = 3e-3,
                         .n_envs = 8,
                         .n_steps = 8,
                         .gamma = 0.5,
                         .ent_coef = 0.0,
                         .memory = memory,
                         .memory_units = 32,
                         .log_std_init = log_std};
  }
  return AppoOptions{.lr = 2e-3,
                     .n_envs = 8,
                     .n_steps = 32,
                     .batch_size = 64,
                     .n_epochs = 6,
                     .clip_range = 0.2,
                     .gamma = 0.5,
                     .ent_coef = 0.0,
                     .max_grad_norm = 0.5,
                     .memory = memory,
                     .memory_units = 32,
                     .log_std_init = log_std};
}

inline DqnOptions identity_dqn(const std::string& head) {
  return {.lr = 2e-3,
          .n_envs = 8,
          .train_freq = 4,
          .gradient_steps = 4,
          .batch_size = 64,
          .buffer_size = 5'000,
          .gamma = 0.5,
          .target_update_interval = 200,
          .exploration_final_eps = 0.01,
          .value_head = head,
          .atoms = 11,
          .v_min = 0,
          .v_max = 2,
          .hidden = {32}};
}

inline SacOptions identity_discrete_sac() {
  return {.lr = 3e-3,
          .n_envs = 8,
          .train_freq = 4,
          .gradient_steps = 4,
          .batch_size = 64,
          .buffer_size = 10'000,
          .gamma = 0.5,
          .target_entropy = 0.05,
          .hidden = {32}};
}

inline SacOptions identity_sac() {
  return {.lr = 3e-3,
          .n_envs = 8,
          .train_freq = 4,
          .gradient_steps = 8,
          .batch_size = 64,
          .buffer_size = 20'000,
          .gamma = 0.5,
          .hidden = {32, 32}};
}

inline Td3Options identity_td3() {
  return {.lr = 3e-3,
          .n_envs = 8,
          .train_freq = 4,
          .gradient_steps = 8,
          .batch_size = 64,
          .buffer_size = 20'000,
          .gamma = 0.5,
          .hidden = {32, 32}};
}

inline void learns(VecEnvFactory factory, const AlgorithmOptions& options, double wanted, std::int64_t steps) {
  AnyTraining training(factory, options, 1, steps);
  while (training.learner->env_steps() < steps && training.recent_return() < wanted) training.round();
  std::cout << training.recent_return() << " after " << training.learner->env_steps() << " steps\n";
  EXPECT_GE(training.recent_return(), wanted);
}

}  // namespace mobula::rl::test
