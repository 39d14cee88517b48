// Two critics that learn the same thing from different starts; the smaller of the two is believed (Fujimoto, van Hoof,
// Meger 2018).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "rl/algos/offpolicy/critic_fit.h"
#include "rl/nn/mlp.h"
#include "rl/nn/parameters.h"

namespace mobula::rl {

// Inputs are rows x [rows][inputs]: the observation, and for a box the action in [-1, 1] behind it. Outputs are one
// value, or one an action. Tables that go in and out are row-major. Holds scratch memory, no parameters. T is float or
// double.
template <class T>
class TwinCritics {
 public:
  TwinCritics(int inputs, const std::vector<int>& hidden, int outputs, nn::Activation activation);

  const nn::ParameterLayout& layout() const { return layout_; }  // critic1.*, critic2.*
  std::size_t size() const { return layout_.size(); }
  nn::AlignedVector<T> initial_parameters(Random& random) const;

  // The smaller of both values, to out [rows][outputs].
  void smaller(const T* parameters, const T* x, int rows, T* out);

  using Fit = CriticFit;
  // The gradient of factor * (mean (q1 - y)^2 + mean (q2 - y)^2); overwrites gradient(). `actions` says which output is
  // meant in each row; null where there is one.
  Fit fit(const T* parameters, const T* x, const T* actions, const T* y, int rows, double factor);
  std::span<const T> gradient() const { return gradient_; }

  // The value of each row, the smaller one or, unless `both`, the first critic's, and its gradient with respect to
  // inputs first .. first + count - 1, to d_x [rows][count]. Of critics with one output.
  void slope(const T* parameters, const T* x, int rows, bool both, int first, int count, T* value, T* d_x);

 private:
  const nn::Mlp<T>& net(int k) const { return k == 0 ? first_ : second_; }

  int inputs_, outputs_;
  nn::ParameterLayout layout_;
  nn::Mlp<T> first_, second_;
  typename nn::Mlp<T>::Workspace workspaces_[2];
  nn::AlignedVector<T> out_[2], d_out_, d_inputs_, gradient_;
};

extern template class TwinCritics<float>;
extern template class TwinCritics<double>;

}  // namespace mobula::rl
