// Networks from libraries of the user's.
#pragma once

#include <mobula/rl/torch_network.h>

#include <memory>

#include "rl/nn/own_network.h"
#include "rl/torch/tensors.h"

namespace mobula::rl::autograd {

// A new network of the library spec.network, with the values that it begins with. Throws std::runtime_error that says
// what is wrong with the library.
std::unique_ptr<TorchNetwork> make_network(const nn::PolicySpec& spec);

// What a network makes of observations, checked: head [rows][outputs] and value [rows].
struct HeadAndValue {
  at::Tensor head, value;
};
HeadAndValue pass(TorchNetwork& network, const nn::PolicySpec& spec, const at::Tensor& observations);

}  // namespace mobula::rl::autograd
