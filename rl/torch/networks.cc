#include "rl/torch/networks.h"

namespace mobula::rl::autograd {
namespace {

at::Tensor activate(nn::Activation activation, const at::Tensor& x) {
  switch (activation) {
    case nn::Activation::tanh:
      return x.tanh();
    case nn::Activation::relu:
      return x.relu();
    case nn::Activation::elu:
      return at::elu(x);
    case nn::Activation::gelu:
      return at::gelu(x);
    case nn::Activation::silu:
      return at::silu(x);
  }
  return x;
}

}  // namespace

Mlp::Mlp(const Parameters& parameters, const std::string& name, nn::Activation activation) : activation_(activation) {
  for (int l = 0;; ++l) {
    const std::string prefix = name + "." + std::to_string(l);
    const int weight = parameters.find(prefix + ".weight");
    if (weight < 0) break;
    hidden_.push_back({weight, parameters.find(prefix + ".bias")});
  }
  head_ = {parameters.find(name + ".head.weight"), parameters.find(name + ".head.bias")};
}

at::Tensor Mlp::features(const Parameters& parameters, at::Tensor x) const {
  for (const Layer& layer : hidden_) {
    x = activate(activation_, at::addmm(parameters[layer.bias], x, parameters[layer.weight]));
  }
  return x;
}

at::Tensor Mlp::head(const Parameters& parameters, const at::Tensor& features) const {
  return at::addmm(parameters[head_.bias], features, parameters[head_.weight].t());
}

Memory::Memory(const Parameters& parameters, const std::string& name, nn::Memory kind, int units)
    : kind_(kind),
      units_(units),
      input_(parameters.find(name + ".input")),
      hidden_(parameters.find(name + ".hidden")),
      bias_(parameters.find(name + ".bias")),
      hidden_bias_(parameters.find(name + ".hidden_bias")) {}

at::Tensor Memory::forward(const Parameters& parameters, const at::Tensor& x, const at::Tensor& states,
                           const at::Tensor& keep) const {
  const auto flat = [&](int block) { return parameters[block].flatten(1); };  // [rows][gates * units]
  const std::int64_t steps = keep.size(0), rows = keep.size(1);
  const at::Tensor x_parts = at::addmm(flat(bias_), x, flat(input_)).view({steps, rows, -1});
  const at::Tensor to_gates = flat(hidden_);
  at::Tensor h = states.narrow(1, 0, units_);
  at::Tensor c = kind_ == nn::Memory::lstm ? states.narrow(1, units_, units_) : at::Tensor();
  std::vector<at::Tensor> out;
  for (std::int64_t t = 0; t < steps; ++t) {
    h = h * keep[t];
    const at::Tensor x_part = x_parts[t];
    if (kind_ == nn::Memory::lstm) {
      const auto gates = at::addmm(x_part, h, to_gates).chunk(4, 1);
      c = gates[1].sigmoid() * (c * keep[t]) + gates[0].sigmoid() * gates[2].tanh();
      h = gates[3].sigmoid() * c.tanh();
    } else {
      const auto from_x = x_part.chunk(3, 1);
      const auto from_h = h.matmul(to_gates).chunk(3, 1);
      const at::Tensor reset = (from_x[0] + from_h[0]).sigmoid(), stay = (from_x[1] + from_h[1]).sigmoid();
      const at::Tensor fresh = (from_x[2] + reset * (from_h[2] + flat(hidden_bias_))).tanh();
      h = (1 - stay) * fresh + stay * h;
    }
    out.push_back(h);
  }
  return at::cat(out, 0);
}

}  // namespace mobula::rl::autograd
