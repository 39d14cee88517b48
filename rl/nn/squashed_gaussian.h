// A normal number with state-dependent mean and deviation, pressed into (-1, 1) by tanh: y = tanh(u), the policy of SAC
// (Haarnoja et al. 2018, appendix C). For a vector of samples at a time, laid out as in nn/distribution.h.
#pragma once

#include <cstddef>

#include "rl/nn/simd.h"

namespace mobula::rl::nn {

// ln(1 + e^x) without overflow.
template <class V>
MOBULA_INLINE V softplus(V x) {
  const V size = maximum(x, -x);
  return maximum(x, V{}) + log(exp(-size) + 1);
}

// 1 - tanh(u)^2, with all its digits however close tanh(u) is to 1: the difference itself has lost most of them in
// float, and its logarithm with them.
template <class V>
MOBULA_INLINE V slope_of_tanh(V u) {
  const V e = exp(minimum(u, -u) * 2);
  return e * 4 / ((e + 1) * (e + 1));
}

// log p(y) = sum over the dimensions of log N(u; mean, std) - log(1 - y^2). The last term is computed from u, so it is
// exact however close y comes to 1; with epsilon > 0 it is log(1 - y^2 + epsilon) instead, as Stable-Baselines3 (1e-6)
// has it. There is no closed form of the entropy: -log p of a sample estimates it.
template <class T>
class SquashedGaussian {
  using V = Vector<T>;
  static constexpr double kLogRootTwoPi = 0.91893853320467274178, kLogTwo = 0.69314718055994530942;

 public:
  explicit SquashedGaussian(int size, double epsilon = 0) : size_(size), epsilon_(static_cast<T>(epsilon)) {}

  // Everything below is about the last assigned means and log deviations, which are not copied.
  void assign(const T* means, std::ptrdiff_t ld_means, const T* log_std, std::ptrdiff_t ld_log_std) {
    means_ = means;
    log_std_ = log_std;
    ld_means_ = ld_means;
    ld_log_std_ = ld_log_std;
  }

  // `normal` has one standard normal number a dimension and lane. Writes u and y = tanh(u).
  void sample(const T* normal, T* u, T* y, std::ptrdiff_t ld) const {
    for (int d = 0; d < size_; ++d) {
      const V raw = fma(load(normal + d * ld), std(d), mean(d));
      store(u + d * ld, raw);
      store(y + d * ld, tanh(raw));
    }
  }
  void mode(T* y, std::ptrdiff_t ld) const {
    for (int d = 0; d < size_; ++d) store(y + d * ld, tanh(mean(d)));
  }

  // Of what sample() wrote: the same as log_prob_of(u), but for the digits that the difference of u and the mean loses.
  V log_prob_of_sample(const T* normal, const T* u, std::ptrdiff_t ld) const {
    V sum{};
    for (int d = 0; d < size_; ++d) {
      const V z = load(normal + d * ld);
      sum += T(-0.5) * z * z - log_std(d) - T(kLogRootTwoPi) - log_slope(load(u + d * ld));
    }
    return sum;
  }
  // Of y = tanh(u).
  V log_prob_of(const T* u, std::ptrdiff_t ld) const {
    V sum{};
    for (int d = 0; d < size_; ++d) {
      const V raw = load(u + d * ld);
      const V z = (raw - mean(d)) * exp(-log_std(d));
      sum += T(-0.5) * z * z - log_std(d) - T(kLogRootTwoPi) - log_slope(raw);
    }
    return sum;
  }
  // Of the normal number before tanh.
  V base_entropy() const {
    V sum{};
    for (int d = 0; d < size_; ++d) sum += log_std(d) + T(0.5 + kLogRootTwoPi);
    return sum;
  }
  // KL(this || other); tanh does not change it.
  V kl(const SquashedGaussian& other) const {
    V sum{};
    for (int d = 0; d < size_; ++d) {
      const V z = (mean(d) - other.mean(d)) * exp(-other.log_std(d));
      const V ratio = exp(log_std(d) - other.log_std(d));
      sum += (other.log_std(d) - log_std(d)) + T(0.5) * (ratio * ratio + z * z - T(1));
    }
    return sum;
  }

  // The gradient with respect to means and log deviations of a loss with gradient d_log_prob with respect to
  // log_prob_of(u), for an action that is held fixed (score function: policy gradients, behaviour cloning).
  void gradient(const T* u, std::ptrdiff_t ld, V d_log_prob, T* d_means, T* d_log_std, std::ptrdiff_t ld_d) const {
    for (int d = 0; d < size_; ++d) {
      const V inverse = exp(-log_std(d));
      const V z = (load(u + d * ld) - mean(d)) * inverse;
      store(d_means + d * ld_d, d_log_prob * z * inverse);
      store(d_log_std + d * ld_d, d_log_prob * (z * z - T(1)));
    }
  }

  // The same for an action that moves with the parameters, u = mean + std * normal (reparameterised: SAC's actor), with
  // d_y the gradient with respect to y, laid out as y is.
  void reparameterized_gradient(const T* normal, const T* u, const T* d_y, std::ptrdiff_t ld, V d_log_prob, T* d_means,
                                T* d_log_std, std::ptrdiff_t ld_d) const {
    for (int d = 0; d < size_; ++d) {
      const V raw = load(u + d * ld), y = tanh(raw), slope = slope_of_tanh(raw);
      // d/du of -log(1 - y^2) is 2 y.
      V along = T(2) * y;
      if (epsilon_ != T(0)) along *= slope / (slope + epsilon_);
      const V d_u = load(d_y + d * ld) * slope + d_log_prob * along;
      store(d_means + d * ld_d, d_u);
      store(d_log_std + d * ld_d, d_u * load(normal + d * ld) * std(d) - d_log_prob);
    }
  }

 private:
  V mean(int d) const { return load(means_ + d * ld_means_); }
  V log_std(int d) const { return load(log_std_ + d * ld_log_std_); }
  V std(int d) const { return exp(log_std(d)); }
  // log(1 - tanh(u)^2) = 2 (ln 2 - u - softplus(-2 u)).
  V log_slope(V u) const {
    if (epsilon_ == T(0)) return T(2) * (T(kLogTwo) - u - softplus(T(-2) * u));
    return log(slope_of_tanh(u) + epsilon_);
  }

  int size_;
  T epsilon_;
  const T* means_ = nullptr;
  const T* log_std_ = nullptr;
  std::ptrdiff_t ld_means_ = 0, ld_log_std_ = 0;
};

}  // namespace mobula::rl::nn
