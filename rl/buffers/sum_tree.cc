#include "rl/buffers/sum_tree.h"

#include <bit>

namespace mobula::rl {

SumTree::SumTree(std::size_t items) : leaves_(std::bit_ceil(items)), nodes_(2 * leaves_) {}

void SumTree::set(std::size_t item, double weight) {
  std::size_t node = leaves_ + item;
  nodes_[node] = weight;
  while (node >>= 1) nodes_[node] = nodes_[2 * node] + nodes_[2 * node + 1];
}

std::size_t SumTree::find(double sum) const {
  std::size_t node = 1;
  while (node < leaves_) {
    node *= 2;
    // Rounding may leave `sum` at or above what is on the right; there is nothing beyond it.
    if (sum >= nodes_[node] && nodes_[node + 1] > 0) sum -= nodes_[node++];
  }
  return node - leaves_;
}

}  // namespace mobula::rl
