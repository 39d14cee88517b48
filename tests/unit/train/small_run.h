// Small training runs for tests.
#pragma once

#include <mobula/rl/train.h>
#include <mobula/runtime.h>

#include <filesystem>
#include <variant>
#include <vector>

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

/// Environments that crash in steps and in resets, inside wrappers that keep a state of their own.
inline TrainOptions small_chaos() {
  TrainOptions options = small_cartpole();
  options.experiment = "chaos";
  options.env = *find_environment("chaos_cartpole");
  options.env.config = "crash_step: 0.01\ncrash_reset: 0.1\n";
  const std::vector<WrapperOptions> wrappers{
      {.time_limit = 30}, {.normalize_observation = true}, {.normalize_reward = 0.99}, {.frame_stack = 3}};
  options.env = with_wrappers(std::move(options.env), wrappers);
  return options;
}

inline Runtime in_process() {
  return Runtime::start({.workers = 0});
}

}  // namespace mobula::rl
