// Stochastic gradient descent with momentum (plain or Nesterov's), as torch.optim.SGD does it.
#pragma once

#include <cstddef>
#include <span>

#include "rl/nn/parameters.h"

namespace mobula::rl::nn {

struct SgdOptions {
  double momentum = 0;
  bool nesterov = false;
};

// b = momentum b + g; a step of lr * b, or with Nesterov's form lr * (g + momentum b).
template <class T>
class Sgd {
 public:
  // For buffers of `size` numbers, a multiple of kPadding.
  Sgd(std::size_t size, const SgdOptions& options)
      : options_(options), size_(size), momentum_(options.momentum != 0 ? size : 0) {}

  // One step on the gradient times `factor`.
  void step(T* parameters, const T* gradient, double factor, double lr);

  std::span<const T> momenta() const { return momentum_; }  // empty without momentum
  void restore(std::span<const T> momenta);

 private:
  SgdOptions options_;
  std::size_t size_;
  AlignedVector<T> momentum_;
};

extern template class Sgd<float>;
extern template class Sgd<double>;

}  // namespace mobula::rl::nn
