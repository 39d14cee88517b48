#pragma once

#include <mobula/fields.h>
#include <mobula/rl/network_options.h>
#include <mobula/rl/schedule.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mobula::rl {

// What IMPALA and APPO have in common: the policy that acts is `lag` updates older than the one that is learnt, so that
// workers collect while the learner learns, and V-trace corrects for it.
//
// With the lag fixed the same seed gives the same bytes, whatever the number of workers. With deterministic false
// rollouts are learned from as they arrive.
struct ImpalaOptions {
  static constexpr std::string_view name = "impala";

  Schedule lr = 5e-4;
  int n_envs = 10;
  int n_steps = 50;
  int lag = 1;
  bool deterministic = true;
  double gamma = 0.99;
  double vtrace_lambda = 1.0;
  double rho_bar = 1.0;
  double c_bar = 1.0;
  Schedule ent_coef = 0.01;
  Schedule vf_coef = 0.5;
  Schedule max_grad_norm = 40.0;
  std::string optimizer = "adam";
  double optimizer_eps = 1e-8;
  bool normalize_observation = false;
  bool normalize_reward = false;
  std::vector<int> hidden = {64, 64};
  std::string activation = "tanh";
  bool shared_trunk = false;
  std::string memory = "none";
  int memory_units = 64;
  double log_std_init = 0.0;
  bool ortho_init = true;
  std::string learner = "native";
  std::string device = "cpu";
  int learner_threads = 1;
  std::string network = "";

  void describe(Fields& f) {
    describe_asynchronous(f, *this);
    describe_network(f, *this);
  }

  // The settings of both algorithms.
  template <class Options>
  static void describe_asynchronous(Fields& f, Options& o) {
    f("lr", o.lr, {.above = 0, .help = "Learning rate."});
    f("n_envs", o.n_envs, {.min = 1, .max = 1e6, .help = "Environments stepped side by side, over all workers."});
    f("n_steps", o.n_steps,
      {.unit = "steps", .min = 1, .max = 1e7, .help = "Steps of each environment between two updates."});
    f("lag", o.lag,
      {.unit = "updates",
       .min = 0,
       .max = 64,
       .help = "Age of the policy that acts; from 1 on workers collect while the learner learns."});
    f("deterministic", o.deterministic,
      {.help = "False: rollouts are learned from as they arrive from any worker, each by the newest policy that there "
               "was when it began; lag has no meaning then, and no two runs are alike."});
    f("gamma", o.gamma, {.min = 0, .max = 1, .help = "Discount of a step."});
    f("vtrace_lambda", o.vtrace_lambda, {.min = 0, .max = 1, .help = "Lambda of the V-trace targets."});
    f("rho_bar", o.rho_bar,
      {.above = 0, .help = "Largest probability ratio in temporal differences and in the policy gradient."});
    f("c_bar", o.c_bar, {.above = 0, .help = "Largest probability ratio in the traces."});
    f("ent_coef", o.ent_coef, {.min = 0, .help = "Weight of the entropy bonus."});
    f("vf_coef", o.vf_coef, {.min = 0, .help = "Weight of the value loss."});
    f("max_grad_norm", o.max_grad_norm, {.above = 0, .help = "Norm to which larger gradients are scaled down."});
    f("optimizer", o.optimizer,
      {.choices = {"adam", "rmsprop"}, .help = "rmsprop is the one of the IMPALA paper (with optimizer_eps 0.1)."});
    f("optimizer_eps", o.optimizer_eps, {.above = 0, .help = "Epsilon of the optimiser."});
    f("normalize_observation", o.normalize_observation,
      {.help = "Shift and scale observations by their running mean and deviation."});
    f("normalize_reward", o.normalize_reward,
      {.help = "Scale rewards by the running deviation of the discounted return."});
  }
};

// Asynchronous PPO: V-trace's targets and advantages under the clipped surrogate of PPO, each rollout used n_epochs
// times (compare IMPACT, Luo et al. 2020, and Sample Factory, Petrenko et al. 2020). The ratio is that to the policy
// that acted.
struct AppoOptions {
  static constexpr std::string_view name = "appo";

  Schedule lr = 5e-4;
  int n_envs = 10;
  int n_steps = 50;
  int lag = 1;
  bool deterministic = true;
  int batch_size = 250;
  int n_epochs = 2;
  Schedule clip_range = 0.4;
  std::optional<double> target_kl = {};
  bool normalize_advantage = true;
  double gamma = 0.99;
  double vtrace_lambda = 1.0;
  double rho_bar = 1.0;
  double c_bar = 1.0;
  Schedule ent_coef = 0.01;
  Schedule vf_coef = 0.5;
  Schedule max_grad_norm = 40.0;
  std::string optimizer = "adam";
  double optimizer_eps = 1e-8;
  bool normalize_observation = false;
  bool normalize_reward = false;
  std::vector<int> hidden = {64, 64};
  std::string activation = "tanh";
  bool shared_trunk = false;
  std::string memory = "none";
  int memory_units = 64;
  double log_std_init = 0.0;
  bool ortho_init = true;
  std::string learner = "native";
  std::string device = "cpu";
  int learner_threads = 1;
  std::string network = "";

  void describe(Fields& f) {
    ImpalaOptions::describe_asynchronous(f, *this);
    f("batch_size", batch_size,
      {.unit = "steps", .min = 1, .max = 1e9, .help = "Steps in a minibatch; at most all of an update."});
    f("n_epochs", n_epochs, {.min = 1, .max = 1e5, .help = "Passes over the collected steps in an update."});
    f("clip_range", clip_range, {.above = 0, .help = "How far the probability ratio may leave 1."});
    f("target_kl", target_kl,
      {.above = 0, .help = "An update ends early when the policy has moved 1.5 times this far; absent: never."});
    f("normalize_advantage", normalize_advantage,
      {.help = "Shift and scale the advantages of each minibatch to mean 0 and deviation 1."});
    describe_network(f, *this);
  }
};

}  // namespace mobula::rl
