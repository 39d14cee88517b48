#pragma once

#include <mobula/fields.h>
#include <mobula/rl/network_options.h>
#include <mobula/rl/schedule.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mobula::rl {

// Proximal policy optimisation (Schulman et al. 2017), with the names that Stable-Baselines3 users know. The defaults
// are those of Stable-Baselines3, but for n_envs and n_steps.
struct PpoOptions {
  static constexpr std::string_view name = "ppo";

  Schedule lr = 3e-4;
  std::string lr_schedule = "constant";
  int n_envs = 8;
  int n_steps = 256;
  int batch_size = 64;
  int n_epochs = 10;
  double gamma = 0.99;
  Schedule gae_lambda = 0.95;
  Schedule clip_range = 0.2;
  std::string clip_schedule = "constant";
  std::optional<double> clip_range_vf = {};
  Schedule ent_coef = 0.0;
  Schedule vf_coef = 0.5;
  Schedule max_grad_norm = 0.5;
  std::optional<double> target_kl = {};
  bool normalize_advantage = true;
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
  double adam_eps = 1e-5;

  void describe(Fields& f) {
    f("lr", lr, {.above = 0, .help = "Learning rate of Adam."});
    f("lr_schedule", lr_schedule,
      {.choices = {"constant", "linear"}, .help = "Linear: the learning rate falls to 0 at the end of training."});
    f("n_envs", n_envs, {.min = 1, .max = 1e6, .help = "Environments stepped side by side, over all workers."});
    f("n_steps", n_steps,
      {.unit = "steps", .min = 1, .max = 1e7, .help = "Steps of each environment between two updates."});
    f("batch_size", batch_size,
      {.unit = "steps", .min = 1, .max = 1e9, .help = "Steps in a minibatch; at most all of an update."});
    f("n_epochs", n_epochs, {.min = 1, .max = 1e5, .help = "Passes over the collected steps in an update."});
    f("gamma", gamma, {.min = 0, .max = 1, .help = "Discount of a step."});
    f("gae_lambda", gae_lambda, {.min = 0, .max = 1, .help = "Lambda of the generalised advantage estimate."});
    f("clip_range", clip_range, {.above = 0, .help = "How far the probability ratio may leave 1."});
    f("clip_schedule", clip_schedule,
      {.choices = {"constant", "linear"}, .help = "Linear: the clip range falls to 0 at the end of training."});
    f("clip_range_vf", clip_range_vf,
      {.above = 0, .help = "How far a value may move from its old estimate; absent: as far as it likes."});
    f("ent_coef", ent_coef, {.min = 0, .help = "Weight of the entropy bonus."});
    f("vf_coef", vf_coef, {.min = 0, .help = "Weight of the value loss."});
    f("max_grad_norm", max_grad_norm, {.above = 0, .help = "Norm to which larger gradients are scaled down."});
    f("target_kl", target_kl,
      {.above = 0, .help = "An update ends early when the policy has moved 1.5 times this far; absent: never."});
    f("normalize_advantage", normalize_advantage,
      {.help = "Shift and scale the advantages of each minibatch to mean 0 and deviation 1."});
    f("normalize_observation", normalize_observation,
      {.help = "Shift and scale observations by their running mean and deviation."});
    f("normalize_reward", normalize_reward,
      {.help = "Scale rewards by the running deviation of the discounted return."});
    describe_network(f, *this);
    f("adam_eps", adam_eps, {.above = 0, .help = "Adam's epsilon, added to the root."});
  }
  std::string problem() const {
    if (lr_schedule != "constant" && !lr.is_number()) return "lr_schedule: lr is a schedule; leave lr_schedule out";
    if (clip_schedule != "constant" && !clip_range.is_number()) {
      return "clip_schedule: clip_range is a schedule; leave clip_schedule out";
    }
    return {};
  }
};

}  // namespace mobula::rl
