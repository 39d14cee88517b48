// Sampling in proportion to weights that change: a binary tree of partial sums.
#pragma once

#include <cstddef>
#include <vector>

namespace mobula::rl {

// Weights of so many items, 0 at first. set() and find() take time in the logarithm of their number. Every inner sum is
// the sum of its two children, whatever the order in which weights were set, so equal weights give equal bytes.
class SumTree {
 public:
  explicit SumTree(std::size_t items = 0);

  void set(std::size_t item, double weight);  // weight >= 0
  double at(std::size_t item) const { return nodes_[leaves_ + item]; }
  double total() const { return leaves_ == 0 ? 0 : nodes_[1]; }
  // The first item such that the weights up to and with it exceed `sum`, 0 <= sum < total(): never one of weight 0.
  std::size_t find(double sum) const;

 private:
  std::size_t leaves_ = 0;  // a power of two
  std::vector<double> nodes_;
};

}  // namespace mobula::rl
