// Generalised state-dependent exploration (Raffin, Kober, Stulp 2021): the noise of dimension d is
//   sum over i of h_i e_di,  e_di drawn from N(0, s_di^2) and kept for some steps,
// where h is what the last layer of the policy sees. So the action is normal around its mean with the variance
//   v_d = sum over i of (h_i s_di)^2 + 1e-6.
// As in Stable-Baselines3's on-policy algorithms h is no way for the gradient of the variance to go.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "rl/nn/parameters.h"
#include "rl/nn/simd.h"

namespace mobula::rl::nn {

template <class T>
class StateNoise {
 public:
  StateNoise(int features, int dimensions)
      : features_(features), dimensions_(dimensions), std_(static_cast<std::size_t>(dimensions) * features) {}

  int numbers() const { return dimensions_ * features_; }  // that the noise of a row is drawn with

  // Whenever the parameters changed: [dimension][padded(features)], the layout's block actor.log_std.
  void set_log_std(const T* log_std) {
    for (int d = 0; d < dimensions_; ++d) {
      for (int i = 0; i < features_; ++i) std_[d * features_ + i] = std::exp(log_std[d * padded(features_) + i]);
    }
  }

  // Of rows of features, ld_features apart, to v[d * ld + row].
  void variances(const T* features, std::ptrdiff_t ld_features, int rows, T* v, std::ptrdiff_t ld) const {
    for (int d = 0; d < dimensions_; ++d) {
      for (int r = 0; r < rows; ++r) {
        T sum = static_cast<T>(kLeast);
        for (int i = 0; i < features_; ++i) {
          const T x = features[r * ld_features + i] * std_[d * features_ + i];
          sum += x * x;
        }
        v[d * ld + r] = sum;
      }
    }
  }
  // Of one row in dimension d; `normal` has numbers() standard normal ones.
  T noise(const T* features, const T* normal, int d) const {
    T sum = 0;
    for (int i = 0; i < features_; ++i) sum += features[i] * std_[d * features_ + i] * normal[d * features_ + i];
    return sum;
  }

  // Adds to d_log_std (laid out as log_std) the gradient of a loss with gradient d_v with respect to the variances.
  void gradient(const T* features, std::ptrdiff_t ld_features, int rows, const T* d_v, std::ptrdiff_t ld,
                T* d_log_std) const {
    for (int d = 0; d < dimensions_; ++d) {
      for (int r = 0; r < rows; ++r) {
        const T weight = T(2) * d_v[d * ld + r];
        for (int i = 0; i < features_; ++i) {
          const T x = features[r * ld_features + i] * std_[d * features_ + i];
          d_log_std[d * padded(features_) + i] += weight * x * x;
        }
      }
    }
  }

 private:
  static constexpr double kLeast = 1e-6;
  const int features_, dimensions_;
  std::vector<T> std_;
};

// Independent normal numbers with means and variances of each sample's own, laid out as in nn/distribution.h.
template <class T>
class SpreadGaussian {
  using V = Vector<T>;
  static constexpr double kLogRootTwoPi = 0.91893853320467274178;

 public:
  explicit SpreadGaussian(int size) : size_(size) {}

  // Everything below is about the last assigned ones, which are not copied.
  void assign(const T* means, const T* variances, std::ptrdiff_t ld) {
    means_ = means;
    variances_ = variances;
    ld_ = ld;
  }
  V log_prob_of(const T* actions, std::ptrdiff_t ld) const {
    V sum{};
    for (int d = 0; d < size_; ++d) {
      const V miss = load(actions + d * ld) - load(means_ + d * ld_), v = load(variances_ + d * ld_);
      sum -= T(0.5) * (miss * miss / v + log(v)) + T(kLogRootTwoPi);
    }
    return sum;
  }
  V entropy() const {
    V sum{};
    for (int d = 0; d < size_; ++d) sum += T(0.5) * log(load(variances_ + d * ld_)) + T(0.5 + kLogRootTwoPi);
    return sum;
  }
  // The gradients with respect to means and variances, given those with respect to log_prob_of(actions) and entropy().
  void gradient(const T* actions, std::ptrdiff_t ld, V d_log_prob, V d_entropy, T* d_means, T* d_variances,
                std::ptrdiff_t ld_d) const {
    for (int d = 0; d < size_; ++d) {
      const V inverse = T(1) / load(variances_ + d * ld_);
      const V z = (load(actions + d * ld) - load(means_ + d * ld_)) * inverse;
      store(d_means + d * ld_d, d_log_prob * z);
      store(d_variances + d * ld_d, T(0.5) * (d_log_prob * (z * z - inverse) + d_entropy * inverse));
    }
  }

 private:
  const int size_;
  const T* means_ = nullptr;
  const T* variances_ = nullptr;
  std::ptrdiff_t ld_ = 0;
};

}  // namespace mobula::rl::nn
