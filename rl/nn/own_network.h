// A network of the user's, to act with: what libmobula_torch.so makes of a library of theirs
// (<mobula/rl/torch_network.h>).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "rl/nn/policy.h"

namespace mobula::rl::nn {

// Holds no parameters: these lie in the flat array, piece k from offsets[k] on. Not for several threads at once.
class OwnNetwork {
 public:
  virtual ~OwnNetwork() = default;
  virtual const std::vector<std::size_t>& sizes() const = 0;  // of its pieces
  // Values to begin with, drawn by LibTorch from that seed.
  virtual void initialize(std::uint64_t seed, const std::vector<std::size_t>& offsets, float* parameters) const = 0;
  // `rows` observations as the network sees them, to heads [rows][outputs] and values [rows]. Every row is computed by
  // itself, so that it does not depend on the others.
  virtual void forward(const float* parameters, const std::vector<std::size_t>& offsets, const float* observations,
                       int rows, float* heads, float* values) = 0;
};

// That of spec.network. Loads LibTorch. Throws std::runtime_error that says what is missing.
std::unique_ptr<OwnNetwork> make_own_network(const PolicySpec& spec);

// What libmobula_torch.so exports for this, with C linkage.
inline constexpr const char* kOwnNetworkFactory = "mobula_torch_own_network_v1";
using OwnNetworkFactory = OwnNetwork* (*)(const PolicySpec&);

}  // namespace mobula::rl::nn
