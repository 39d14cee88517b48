#pragma once

#include <mobula/fields.h>
#include <mobula/rl/replay_fields.h>
#include <mobula/rl/schedule.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mobula::rl {

// Deep Q-learning (Mnih et al. 2015) with the parts that Rainbow put together, each of which can be switched on by
// itself. Names and defaults are those of Stable-Baselines3; what it lacks (double_q, dueling, prioritized, n_steps,
// value_head) is off.
struct DqnOptions {
  static constexpr std::string_view name = "dqn";

  Schedule lr = 1e-4;
  int n_envs = 1;
  int train_freq = 4;
  int gradient_steps = 1;
  int batch_size = 32;
  std::int64_t buffer_size = 1'000'000;
  std::int64_t learning_starts = 100;
  double gamma = 0.99;
  int n_steps = 1;
  Schedule tau = 1.0;
  std::int64_t target_update_interval = 10'000;
  double exploration_fraction = 0.1;
  double exploration_initial_eps = 1.0;
  double exploration_final_eps = 0.05;
  std::string exploration = "epsilon_greedy";
  bool double_q = false;
  bool dueling = false;
  bool prioritized = false;
  double priority_alpha = 0.6;
  double priority_beta = 0.4;
  std::string value_head = "mean";
  int atoms = 51;
  double v_min = -10;
  double v_max = 10;
  std::string loss = "huber";
  Schedule max_grad_norm = 10;
  std::vector<int> hidden = {64, 64};
  std::string activation = "relu";
  double adam_eps = 1e-8;
  std::string learner = "native";
  std::string device = "cpu";
  std::int64_t iteration_steps = 1000;

  void describe(Fields& f) {
    replay_fields::describe(f, *this);
    f("tau", tau,
      {.min = 0, .max = 1, .help = "Share of the new parameters in each update of the target network; 1: a copy."});
    f("target_update_interval", target_update_interval,
      {.unit = "steps", .min = 1, .help = "Steps of all environments between updates of the target network."});
    f("exploration_fraction", exploration_fraction,
      {.min = 0, .max = 1, .help = "Share of the run in which epsilon falls from its initial to its final value."});
    f("exploration_initial_eps", exploration_initial_eps,
      {.min = 0, .max = 1, .help = "Probability of a random action at the start."});
    f("exploration_final_eps", exploration_final_eps,
      {.min = 0, .max = 1, .help = "Probability of a random action at the end."});
    f("exploration", exploration,
      {.choices = {"epsilon_greedy", "parameter"},
       .help =
           "Noise while collecting: a random action now and then, or on the network's parameters for an episode, as "
           "much as moves the policy as far as epsilon would."});
    f("double_q", double_q, {.help = "The next action is chosen by the online network and valued by the target."});
    f("dueling", dueling, {.help = "Value of the state and advantages of the actions have heads of their own."});
    f("prioritized", prioritized, {.help = "Transitions are drawn by the size of their last error."});
    f("priority_alpha", priority_alpha, {.min = 0, .max = 1, .help = "How much the error counts; 0: not at all."});
    f("priority_beta", priority_beta,
      {.min = 0, .max = 1, .help = "How much of the bias is corrected at the start; it rises to 1 over the run."});
    f("value_head", value_head,
      {.choices = {"mean", "quantile", "categorical"},
       .help = "What is learnt of a return: its mean, its quantiles (QR-DQN) or its distribution (C51)."});
    f("atoms", atoms,
      {.min = 2, .max = 10000, .help = "Quantiles, or atoms of the distribution; of no use to the mean."});
    f("v_min", v_min, {.help = "Smallest return of a categorical head."});
    f("v_max", v_max, {.help = "Largest return of a categorical head."});
    f("loss", loss, {.choices = {"huber", "mse"}, .help = "Of the mean: smooth L1, or the squared error."});
    f("max_grad_norm", max_grad_norm, {.above = 0, .help = "Norm to which larger gradients are scaled down."});
  }
  std::string problem() const {
    if (value_head == "categorical" && !(v_min < v_max)) return "v_min: it must be less than v_max";
    return {};
  }
};

}  // namespace mobula::rl
