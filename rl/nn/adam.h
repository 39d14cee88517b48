// Adam (Kingma, Ba 2015) on a flat buffer, with epsilon outside the root as in torch.optim.Adam, and clipping by the
// global norm as torch.nn.utils.clip_grad_norm_ does it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "rl/nn/parameters.h"

namespace mobula::rl::nn {

// The square root of the sum of squares, summed in double in a fixed order.
template <class T>
double norm(std::span<const T> gradient);

// What gradients are multiplied with so that their norm is at most `limit`: limit / (norm + 1e-6), at most 1.
inline double clip_factor(double norm, double limit) {
  const double factor = limit / (norm + 1e-6);
  return factor < 1.0 ? factor : 1.0;
}

struct AdamOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  bool decoupled = false;  // AdamW (Loshchilov, Hutter 2019): decay shrinks the parameters, not by way of the gradient
};

template <class T>
class Adam {
 public:
  // For buffers of `size` numbers, a multiple of kPadding.
  Adam(std::size_t size, const AdamOptions& options) : options_(options), first_(size), second_(size) {}

  // One step on the gradient times `factor`.
  void step(T* parameters, const T* gradient, double factor, double lr);

  std::int64_t steps() const { return steps_; }
  std::span<const T> first_moments() const { return first_; }
  std::span<const T> second_moments() const { return second_; }
  // `first` and `second` have the buffer's size.
  void restore(std::int64_t steps, std::span<const T> first, std::span<const T> second);

 private:
  template <bool decay>
  void pass(T* parameters, const T* gradient, T factor, double lr);

  AdamOptions options_;
  std::int64_t steps_ = 0;
  AlignedVector<T> first_, second_;
};

extern template class Adam<float>;
extern template class Adam<double>;

}  // namespace mobula::rl::nn
