// The networks of rl/nn, written with tensors: the same parameters, the same functions, and gradients by autograd.
#pragma once

#include <string>
#include <vector>

#include "rl/nn/activation.h"
#include "rl/nn/mlp.h"
#include "rl/nn/recurrent.h"
#include "rl/torch/tensors.h"

namespace mobula::rl::autograd {

// nn::Mlp of that name: x [rows][inputs] to [rows][outputs], by way of what the last layer sees.
class Mlp {
 public:
  Mlp(const Parameters& parameters, const std::string& name, nn::Activation activation);
  at::Tensor features(const Parameters& parameters, at::Tensor x) const;
  at::Tensor head(const Parameters& parameters, const at::Tensor& features) const;
  at::Tensor forward(const Parameters& parameters, const at::Tensor& x) const {
    return head(parameters, features(parameters, x));
  }

 private:
  struct Layer {
    int weight, bias;
  };
  nn::Activation activation_;
  std::vector<Layer> hidden_;
  Layer head_;
};

// nn::Recurrent of that name.
class Memory {
 public:
  Memory(const Parameters& parameters, const std::string& name, nn::Memory kind, int units);
  int state_size() const { return kind_ == nn::Memory::lstm ? 2 * units_ : units_; }
  // x: [steps * rows][inputs], time-major; states: [rows][state_size()]; keep: [steps][rows][1], 0 where the state is
  // zero before that step, else 1. Returns [steps * rows][units].
  at::Tensor forward(const Parameters& parameters, const at::Tensor& x, const at::Tensor& states,
                     const at::Tensor& keep) const;

 private:
  nn::Memory kind_;
  int units_;
  int input_, hidden_, bias_, hidden_bias_;
};

}  // namespace mobula::rl::autograd
