#pragma once

#include <mobula/fields.h>

namespace mobula::rl {

// Describes who computes losses and gradients: the members of these names, which the options of each algorithm with
// networks have.
template <class Options>
void describe_learner(Fields& f, Options& o) {
  f("learner", o.learner,
    {.choices = {"native", "torch"},
     .help = "Losses and gradients by hand-written passes, or by LibTorch's autograd, where it is installed."});
  f("device", o.device, {.help = "Where the torch learner computes: cpu, cuda or cuda:<n>."});
}

// Describes state-dependent noise: the members of these names.
template <class Options>
void describe_state_noise(Fields& f, Options& o) {
  f("use_sde", o.use_sde,
    {.help = "Continuous actions explore by noise that depends on the state and is kept for some steps (gSDE)."});
  f("sde_sample_freq", o.sde_sample_freq,
    {.unit = "steps",
     .min = 0,
     .max = 1e7,
     .help = "Steps after which such noise is drawn anew; 0: with each rollout, which always begins with new noise."});
}

// Describes the networks of an actor-critic algorithm: the members of these names, which the options of each of them
// have.
template <class Options>
void describe_network(Fields& f, Options& o) {
  f("hidden", o.hidden,
    {.min = 1, .max = 65536, .help = "Widths of the hidden layers, of policy and value function each."});
  f("activation", o.activation,
    {.choices = {"tanh", "relu", "elu", "gelu", "silu"}, .help = "Activation of the hidden layers."});
  f("shared_trunk", o.shared_trunk,
    {.help = "One network with two heads in place of one for the policy and one for "
             "the value function."});
  f("memory", o.memory,
    {.choices = {"none", "lstm", "gru"}, .help = "A layer with memory between the observation and the hidden layers."});
  f("memory_units", o.memory_units, {.min = 1, .max = 65536, .help = "Units of that layer."});
  f("log_std_init", o.log_std_init, {.help = "Initial log standard deviation of continuous actions."});
  f("ortho_init", o.ortho_init,
    {.help = "Weights begin orthogonal, small in the policy's head; no: uniform, as PyTorch's linear layers do."});
  if constexpr (requires { o.use_sde; }) describe_state_noise(f, o);
  describe_learner(f, o);
  if constexpr (requires { o.learner_threads; }) {
    f("learner_threads", o.learner_threads,
      {.min = 1,
       .max = 2,
       .help = "Threads of the native learner; with 2 policy and value function have one each, with the same bytes."});
  }
  f("network", o.network,
    {.help = "Library with a network of one's own, which the torch learner uses in place of all these."});
}

}  // namespace mobula::rl
