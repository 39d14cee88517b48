// RMSProp (Tieleman, Hinton 2012) on a flat buffer, in the two forms that are in use.
#pragma once

#include <cstddef>
#include <span>

#include "rl/nn/parameters.h"

namespace mobula::rl::nn {

// v = alpha v + (1 - alpha) g^2, then a step of lr * g / (sqrt(v) + eps) as in torch.optim.RMSprop, or with
// `tensorflow_style` of lr * g / sqrt(v + eps) with v begun at 1: the form that A2C was tuned with and that
// Stable-Baselines3 keeps for it. The two differ wherever gradients are small. With momentum b = momentum b + g / root
// and a step of lr * b.
struct RmspropOptions {
  double alpha = 0.99;
  double eps = 1e-8;
  double momentum = 0;
  bool tensorflow_style = false;
};

template <class T>
class Rmsprop {
 public:
  // For buffers of `size` numbers, a multiple of kPadding.
  Rmsprop(std::size_t size, const RmspropOptions& options)
      : options_(options),
        mean_square_(size, options.tensorflow_style ? T(1) : T(0)),
        momentum_(options.momentum != 0 ? size : 0) {}

  // One step on the gradient times `factor`.
  void step(T* parameters, const T* gradient, double factor, double lr);

  std::span<const T> mean_squares() const { return mean_square_; }
  std::span<const T> momenta() const { return momentum_; }  // empty without momentum
  void restore(std::span<const T> mean_squares, std::span<const T> momenta);

 private:
  template <bool momentum>
  void steps(T* parameters, const T* gradient, T factor, T lr);

  RmspropOptions options_;
  AlignedVector<T> mean_square_, momentum_;
};

extern template class Rmsprop<float>;
extern template class Rmsprop<double>;

}  // namespace mobula::rl::nn
