#pragma once

#include <mobula/fields.h>
#include <mobula/rl/replay_fields.h>
#include <mobula/rl/schedule.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mobula::rl {

// Soft actor-critic (Haarnoja et al. 2018), and its form for one of N actions (Christodoulou 2019): which one follows
// from the environment. Names and defaults are those of Stable-Baselines3.
struct SacOptions {
  static constexpr std::string_view name = "sac";

  Schedule lr = 3e-4;
  int n_envs = 1;
  int train_freq = 1;
  int gradient_steps = 1;
  int batch_size = 256;
  std::int64_t buffer_size = 1'000'000;
  std::int64_t learning_starts = 100;
  double gamma = 0.99;
  int n_steps = 1;
  Schedule tau = 0.005;
  std::optional<double> ent_coef = {};
  double ent_coef_init = 1.0;
  std::optional<double> target_entropy = {};
  std::string exploration = "policy";
  Schedule exploration_noise = 0.1;
  double noise_theta = 0.15;
  double noise_dt = 0.01;
  bool use_sde = false;
  int sde_sample_freq = 0;
  double log_std_init = -3.0;
  std::vector<int> hidden = {256, 256};
  std::string activation = "relu";
  double adam_eps = 1e-8;
  std::string learner = "native";
  std::string device = "cpu";
  std::int64_t iteration_steps = 1000;

  void describe(Fields& f) {
    replay_fields::describe(f, *this);
    f("tau", tau, {.max = 1, .above = 0, .help = "Share of the new parameters in each update of the target networks."});
    f("ent_coef", ent_coef, {.min = 0, .help = "Weight of the entropy; absent: adjusted to reach target_entropy."});
    f("ent_coef_init", ent_coef_init, {.above = 0, .help = "Where an adjusted weight of the entropy starts."});
    f("target_entropy", target_entropy,
      {.help = "Absent: minus the number of dimensions of a box, 98 % of the largest entropy of a choice."});
    f("exploration", exploration,
      {.choices = {"policy", "ornstein_uhlenbeck"},
       .help = "While collecting: draws of the policy alone, or with a process on top (boxes only)."});
    f("exploration_noise", exploration_noise, {.min = 0, .help = "Sigma of that process, on actions in [-1, 1]."});
    replay_fields::describe_process(f, *this);
    describe_state_noise(f, *this);
    f("log_std_init", log_std_init, {.help = "Initial log standard deviation of such noise."});
  }
};

}  // namespace mobula::rl
