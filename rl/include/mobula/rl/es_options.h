#pragma once

#include <mobula/fields.h>
#include <mobula/rl/schedule.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mobula::rl {

// Augmented random search (Mania, Guy, Recht 2018), V1, and V2 with normalize_observation. Names and defaults are those
// of sb3-contrib. The policy is linear unless `hidden` says otherwise, and takes its most likely action.
struct ArsOptions {
  static constexpr std::string_view name = "ars";

  Schedule lr = 0.02;
  Schedule delta_std = 0.05;
  int n_delta = 8;
  std::optional<int> n_top = {};
  bool zero_policy = true;
  double alive_bonus_offset = 0.0;
  bool normalize_observation = false;
  bool squash_output = false;
  std::vector<int> hidden = {};
  std::string activation = "tanh";

  void describe(Fields& f) {
    f("lr", lr, {.above = 0, .help = "Step size."});
    f("delta_std", delta_std, {.above = 0, .help = "Deviation of the noise on the parameters."});
    f("n_delta", n_delta,
      {.min = 1, .max = 1e6, .help = "Directions in an update; each is tried both ways, an episode each."});
    f("n_top", n_top, {.min = 1, .max = 1e6, .help = "How many of them, the best, the update uses; absent: all."});
    f("zero_policy", zero_policy, {.help = "Begin with all weights zero."});
    f("alive_bonus_offset", alive_bonus_offset,
      {.help = "Added to the reward of every step, to undo a bonus for being alive."});
    f("normalize_observation", normalize_observation,
      {.help = "Shift and scale observations by their running mean and deviation (V2)."});
    f("squash_output", squash_output,
      {.help = "Pass actions of a box through tanh into its bounds, instead of clipping them."});
    f("hidden", hidden, {.min = 1, .max = 65536, .help = "Widths of hidden layers; empty: a linear policy."});
    f("activation", activation,
      {.choices = {"tanh", "relu", "elu", "gelu", "silu"}, .help = "Activation of the hidden layers."});
  }
  std::string problem() const {
    if (n_top && *n_top > n_delta) return "n_top: it is more than n_delta, and only n_delta directions are tried";
    return {};
  }
};

// Evolution strategies (Salimans et al. 2017): mirrored directions, fitness by rank, Adam with weight decay.
struct EsOptions {
  static constexpr std::string_view name = "es";

  Schedule lr = 0.01;
  Schedule noise_std = 0.02;
  int n_directions = 32;
  double weight_decay = 0.005;
  bool normalize_observation = true;
  std::vector<int> hidden = {64, 64};
  std::string activation = "tanh";

  void describe(Fields& f) {
    f("lr", lr, {.above = 0, .help = "Learning rate of Adam."});
    f("noise_std", noise_std, {.above = 0, .help = "Deviation of the noise on the parameters."});
    f("n_directions", n_directions,
      {.min = 1, .max = 1e6, .help = "Directions in an update; each is tried both ways, an episode each."});
    f("weight_decay", weight_decay, {.min = 0, .help = "Pull of the parameters towards 0, in the gradient."});
    f("normalize_observation", normalize_observation,
      {.help = "Shift and scale observations by their running mean and deviation."});
    f("hidden", hidden, {.min = 1, .max = 65536, .help = "Widths of hidden layers; empty: a linear policy."});
    f("activation", activation,
      {.choices = {"tanh", "relu", "elu", "gelu", "silu"}, .help = "Activation of the hidden layers."});
  }
};

}  // namespace mobula::rl
