#pragma once

#include <mobula/fields.h>
#include <mobula/rl/network_options.h>

#include <cstdint>

namespace mobula::rl::replay_fields {

/// The fields that all algorithms with a replay buffer have in common, so that they are described once.
template <class Options>
void describe(Fields& f, Options& o) {
  f("lr", o.lr, {.above = 0, .help = "Learning rate of Adam."});
  f("n_envs", o.n_envs, {.min = 1, .max = 1e6, .help = "Environments stepped side by side, over all workers."});
  f("train_freq", o.train_freq,
    {.unit = "steps", .min = 1, .max = 1e7, .help = "Steps of each environment between two updates."});
  f("gradient_steps", o.gradient_steps,
    {.min = -1,
     .max = 1e7,
     .help = "Batches learnt from in an update; -1: as many as there were steps of all environments."});
  f("batch_size", o.batch_size, {.unit = "steps", .min = 1, .max = 1e7, .help = "Steps in a batch."});
  f("buffer_size", o.buffer_size,
    {.unit = "steps", .min = 1, .max = 4e9, .help = "Steps of all environments that are kept to learn from."});
  f("learning_starts", o.learning_starts,
    {.unit = "steps", .min = 0, .help = "Steps with random actions before the first update."});
  f("gamma", o.gamma, {.min = 0, .max = 1, .help = "Discount of a step."});
  f("n_steps", o.n_steps,
    {.unit = "steps", .min = 1, .max = 1e5, .help = "Rewards that are summed before the next value."});
  f("hidden", o.hidden, {.min = 1, .max = 65536, .help = "Widths of the hidden layers of each network."});
  f("activation", o.activation,
    {.choices = {"tanh", "relu", "elu", "gelu", "silu"}, .help = "Activation of the hidden layers."});
  f("adam_eps", o.adam_eps, {.above = 0, .help = "Adam's epsilon, added to the root."});
  describe_learner(f, o);
  f("iteration_steps", o.iteration_steps,
    {.unit = "steps",
     .min = 1,
     .max = 1e9,
     .help = "Steps of all environments after which progress is told; evaluations and checkpoints count these."});
}

/// Those of exploration by an Ornstein-Uhlenbeck process.
template <class Options>
void describe_process(Fields& f, Options& o) {
  f("noise_theta", o.noise_theta,
    {.unit = "1/s", .above = 0, .help = "How fast an ornstein_uhlenbeck process returns."});
  f("noise_dt", o.noise_dt, {.unit = "s", .above = 0, .help = "Time of a step of such a process."});
}

}  // namespace mobula::rl::replay_fields
