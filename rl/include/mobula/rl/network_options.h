#pragma once

#include <mobula/fields.h>

namespace mobula::rl {

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
}

}  // namespace mobula::rl
