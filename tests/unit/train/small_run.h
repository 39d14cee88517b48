// Small training runs for tests.
#pragma once

#include <mobula/rl/train.h>
#include <mobula/runtime.h>

#include <filesystem>
#include <variant>

namespace mobula::rl {

inline PpoOptions& ppo(TrainOptions& options) {
  return std::get<PpoOptions>(options.algorithm);
}

inline TrainOptions small_cartpole() {
  TrainOptions options;
  options.experiment = "cartpole";
  options.env = *find_environment("cartpole");
  options.algorithm = PpoOptions{.lr_schedule = "linear",
                                 .n_envs = 8,
                                 .n_steps = 32,
                                 .batch_size = 64,
                                 .n_epochs = 2,
                                 .normalize_observation = true,
                                 .normalize_reward = true};
  options.stop.env_steps = 256 * 12;
  options.evaluate.episodes = 3;
  options.workers = 1;
  options.write = false;
  return options;
}

/// Episodes of ten minutes: 120 decisions.
inline TrainOptions small_intersection() {
  TrainOptions options;
  options.experiment = "intersection";
  options.env = *find_environment("intersection");
  options.env.config = "episode_length: 600\n";
  options.algorithm = PpoOptions{.n_envs = 4, .n_steps = 64, .n_epochs = 2};
  options.stop.env_steps = 256 * 6;
  options.evaluate.episodes = 3;
  options.evaluate.baselines = {"fixed_time"};
  options.workers = 1;
  options.write = false;
  return options;
}

inline Runtime in_process() {
  return Runtime::start({.workers = 0});
}

}  // namespace mobula::rl
