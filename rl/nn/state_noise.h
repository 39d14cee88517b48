// Generalised state-dependent exploration (Raffin, Kober, Stulp 2021): the noise of dimension d is
//   sum over i of h_i e_di,  e_di drawn from N(0, s_di^2) and kept for some steps,
// where h is what the last layer of the policy sees. So the action is normal around its mean with the variance
//   v_d = sum over i of (h_i s_di)^2 + 1e-6.
// Whether the gradient of the variance goes into h as well is up to the learner: as in Stable-Baselines3 it does in
// SAC, and in PPO and A2C it does not.
#pragma once

#include <mobula/random.h>

#include <cmath>
#include <cstddef>
#include <span>
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
  // Writes the gradient of the same loss with respect to the features to d_features, which lie as they do.
  void feature_gradient(const T* features, std::ptrdiff_t ld_features, int rows, const T* d_v, std::ptrdiff_t ld,
                        T* d_features) const {
    for (int r = 0; r < rows; ++r) {
      const T* h = features + r * ld_features;
      T* d_h = d_features + r * ld_features;
      for (std::ptrdiff_t i = 0; i < ld_features; ++i) d_h[i] = 0;
      for (int d = 0; d < dimensions_; ++d) {
        const T weight = T(2) * d_v[d * ld + r];
        for (int i = 0; i < features_; ++i) {
          const T s = std_[d * features_ + i];
          d_h[i] += weight * s * s * h[i];
        }
      }
    }
  }

 private:
  static constexpr double kLeast = 1e-6;
  int features_, dimensions_;
  std::vector<T> std_;
};

// Of those who act: the noise of each row, kept until it is drawn anew. Who acts step by step without draw() gets noise
// of its own in each, of the same distribution.
class KeptStateNoise {
 public:
  KeptStateNoise(int features, int dimensions) : noise_(features, dimensions) {}

  // Of the rows that the next calls of begin() are about, one Random a row.
  void draw(std::span<Random> random) {
    drawn_.clear();
    for (Random& row : random) {
      for (int k = 0; k < noise_.numbers(); ++k) drawn_.push_back(static_cast<float>(row.normal()));
    }
  }
  // Before a pass over so many rows; log_std as StateNoise has it.
  void begin(const float* log_std, std::size_t rows) {
    noise_.set_log_std(log_std);
    kept_ = drawn_.size() == rows * static_cast<std::size_t>(noise_.numbers());
  }
  void variances(const float* features, std::ptrdiff_t ld_features, int rows, float* v, std::ptrdiff_t ld) const {
    noise_.variances(features, ld_features, rows, v, ld);
  }
  // By how much dimension d of a row of the pass leaves its mean.
  float shift(const float* features, float variance, std::size_t row, int d, Random& random) const {
    if (!kept_) return std::sqrt(variance) * static_cast<float>(random.normal());
    return noise_.noise(features, drawn_.data() + row * static_cast<std::size_t>(noise_.numbers()), d);
  }

 private:
  StateNoise<float> noise_;
  std::vector<float> drawn_;  // [row][numbers()]; empty where nobody called draw()
  bool kept_ = false;
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
