#pragma once

#include <string_view>

#include "rl/nn/parameters.h"

namespace mobula::rl::nn {

// Floating-point operations of a row in the products of networks, which nothing that learns can do without: two a
// multiply-add.
struct Passes {
  double forward = 0;
  double learn = 0;  // forward, and the gradients of the weights; none of what the first layers read
};

// Of all networks of a layout. The gates of a memory count with the padding of their units.
inline Passes passes_of(const ParameterLayout& layout) {
  double all = 0, memories = 0, first = 0, heads = 0;
  for (const ParameterBlock& block : layout.blocks()) {
    const std::string_view name = block.name;
    if (!name.ends_with(".weight") && !name.ends_with(".input") && !name.ends_with(".hidden")) continue;
    const double products = static_cast<double>(block.rows) * block.columns;
    all += products;
    if (name.ends_with(".input")) memories += products;
    if (name.ends_with(".0.weight")) first += products;
    if (name.ends_with(".head.weight")) heads += products;
  }
  // A memory stands before the layers; without hidden layers the heads are the first.
  const double reads_observations = memories > 0 ? memories : first > 0 ? first : heads;
  return {2 * all, 2 * (3 * all - reads_observations)};
}

}  // namespace mobula::rl::nn
