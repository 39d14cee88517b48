#pragma once

#include <mobula/fields.h>
#include <mobula/rl/replay_fields.h>
#include <mobula/rl/schedule.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mobula::rl {

// Twin delayed deep deterministic policy gradient (Fujimoto, van Hoof, Meger 2018). Names and defaults are those of
// Stable-Baselines3, but for exploration_noise, without which its actions would not vary: 0.1, as in the paper.
struct Td3Options {
  static constexpr std::string_view name = "td3";

  Schedule lr = 1e-3;
  int n_envs = 1;
  int train_freq = 1;
  int gradient_steps = 1;
  int batch_size = 256;
  std::int64_t buffer_size = 1'000'000;
  std::int64_t learning_starts = 100;
  double gamma = 0.99;
  int n_steps = 1;
  Schedule tau = 0.005;
  int policy_delay = 2;
  double target_policy_noise = 0.2;
  double target_noise_clip = 0.5;
  std::string exploration = "normal";
  Schedule exploration_noise = 0.1;
  double noise_theta = 0.15;
  double noise_dt = 0.01;
  std::vector<int> hidden = {400, 300};
  std::string activation = "relu";
  double adam_eps = 1e-8;
  std::string learner = "native";
  std::string device = "cpu";
  std::int64_t iteration_steps = 1000;

  void describe(Fields& f) {
    replay_fields::describe(f, *this);
    f("tau", tau, {.max = 1, .above = 0, .help = "Share of the new parameters in each update of the target networks."});
    f("policy_delay", policy_delay, {.min = 1, .max = 1e6, .help = "Updates of the critics for each of the policy."});
    f("target_policy_noise", target_policy_noise,
      {.min = 0, .help = "Deviation of the noise on the target policy's actions, which are in [-1, 1]."});
    f("target_noise_clip", target_noise_clip, {.min = 0, .help = "Largest such noise."});
    f("exploration", exploration,
      {.choices = {"normal", "ornstein_uhlenbeck", "parameter"},
       .help =
           "Noise while collecting: on each action anew, a process on actions, or on the policy's parameters for an "
           "episode."});
    f("exploration_noise", exploration_noise,
      {.min = 0,
       .help = "Deviation of the noise on actions while collecting, which are in [-1, 1]; sigma of a process; how far "
               "parameter noise moves actions."});
    replay_fields::describe_process(f, *this);
  }
};

}  // namespace mobula::rl
