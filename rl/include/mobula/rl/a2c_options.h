#pragma once

#include <mobula/fields.h>
#include <mobula/rl/network_options.h>
#include <mobula/rl/schedule.h>

#include <string>
#include <string_view>
#include <vector>

namespace mobula::rl {

// Advantage actor-critic (Mnih et al. 2016, with steps in lockstep), with the names and defaults of Stable-Baselines3
// but for n_envs and the optimiser: RMSProp with epsilon inside the root, as TensorFlow has it.
struct A2cOptions {
  static constexpr std::string_view name = "a2c";

  Schedule lr = 7e-4;
  int n_envs = 8;
  int n_steps = 5;
  double gamma = 0.99;
  Schedule gae_lambda = 1.0;
  Schedule ent_coef = 0.0;
  Schedule vf_coef = 0.5;
  Schedule max_grad_norm = 0.5;
  std::string optimizer = "rmsprop_tf";
  double optimizer_eps = 1e-5;
  bool normalize_advantage = false;
  bool normalize_observation = false;
  bool normalize_reward = false;
  std::vector<int> hidden = {64, 64};
  std::string activation = "tanh";
  bool shared_trunk = false;
  std::string memory = "none";
  int memory_units = 64;
  double log_std_init = 0.0;
  bool ortho_init = true;
  bool use_sde = false;
  int sde_sample_freq = 0;
  std::string learner = "native";
  std::string device = "cpu";
  int learner_threads = 1;
  std::string network = "";

  void describe(Fields& f) {
    f("lr", lr, {.above = 0, .help = "Learning rate."});
    f("n_envs", n_envs, {.min = 1, .max = 1e6, .help = "Environments stepped side by side, over all workers."});
    f("n_steps", n_steps,
      {.unit = "steps", .min = 1, .max = 1e7, .help = "Steps of each environment between two updates."});
    f("gamma", gamma, {.min = 0, .max = 1, .help = "Discount of a step."});
    f("gae_lambda", gae_lambda,
      {.min = 0, .max = 1, .help = "Lambda of the generalised advantage estimate; 1: returns of up to n_steps steps."});
    f("ent_coef", ent_coef, {.min = 0, .help = "Weight of the entropy bonus."});
    f("vf_coef", vf_coef, {.min = 0, .help = "Weight of the value loss."});
    f("max_grad_norm", max_grad_norm, {.above = 0, .help = "Norm to which larger gradients are scaled down."});
    f("optimizer", optimizer,
      {.choices = {"rmsprop_tf", "rmsprop", "adam"},
       .help =
           "rmsprop_tf is RMSProp with epsilon inside the root, with which A2C was tuned; rmsprop has it outside."});
    f("optimizer_eps", optimizer_eps, {.above = 0, .help = "Epsilon of the optimiser."});
    f("normalize_advantage", normalize_advantage,
      {.help = "Shift and scale the advantages of each update to mean 0 and deviation 1."});
    f("normalize_observation", normalize_observation,
      {.help = "Shift and scale observations by their running mean and deviation."});
    f("normalize_reward", normalize_reward,
      {.help = "Scale rewards by the running deviation of the discounted return."});
    describe_network(f, *this);
  }
};

}  // namespace mobula::rl
