// Distributions over actions, for a vector of samples at a time: lane k of every argument and result belongs to sample
// k.
//
// Outputs of the policy head are component-major: number c of the sample in lane k lies at p[c * ld + k]. Actions are
// laid out in the same way, indices as whole numbers.
#pragma once

#include <mobula/rl/space.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "rl/nn/parameters.h"
#include "rl/nn/simd.h"

namespace mobula::rl::nn {

// The logit of an action that is not allowed: its probability and gradient are exactly 0.
inline constexpr float kMaskedLogit = -1e8f;

// Sets the logits of actions that are not allowed; masks is [rows][size].
template <class T>
void mask_logits(T* logits, std::ptrdiff_t ld, int rows, int size, const std::uint8_t* masks) {
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < size; ++c) {
      if (!masks[r * size + c]) logits[c * ld + r] = T(kMaskedLogit);
    }
  }
}

// Independent choices, one of sizes[g] each: a single one for Discrete, several for MultiDiscrete.
template <class T>
class Categorical {
  using V = Vector<T>;
  static constexpr int L = kLanes<T>;

 public:
  explicit Categorical(std::vector<int> sizes) : sizes_(std::move(sizes)) {
    std::size_t total = 0;
    for (const int n : sizes_) total += n;
    log_prob_.resize(total * L);
    prob_.resize(total * L);
  }

  // Everything below is about the last assigned logits.
  void assign(const T* logits, std::ptrdiff_t ld) {
    int base = 0;
    for (const int n : sizes_) {
      V top = load(logits + base * ld);
      for (int c = 1; c < n; ++c) top = maximum(top, load(logits + (base + c) * ld));
      V sum{};
      for (int c = 0; c < n; ++c) sum += exp(load(logits + (base + c) * ld) - top);
      const V log_sum = top + log(sum);
      for (int c = 0; c < n; ++c) {
        const V log_p = load(logits + (base + c) * ld) - log_sum;
        store(log_prob(base + c), log_p);
        store(prob(base + c), exp(log_p));
      }
      base += n;
    }
  }

  V log_prob_of(const T* actions, std::ptrdiff_t ld) const {
    V result{};
    int base = 0;
    for (std::size_t g = 0; g < sizes_.size(); ++g) {
      const V action = load(actions + g * ld);
      for (int c = 0; c < sizes_[g]; ++c) {
        result += action == splat(static_cast<T>(c)) ? load(log_prob(base + c)) : V{};
      }
      base += sizes_[g];
    }
    return result;
  }

  V entropy() const {
    V sum{};
    for (int c = 0; c < total(); ++c) sum -= load(prob(c)) * load(log_prob(c));
    return sum;
  }

  // KL(this || other).
  V kl(const Categorical& other) const {
    V sum{};
    for (int c = 0; c < total(); ++c) sum += load(prob(c)) * (load(log_prob(c)) - load(other.log_prob(c)));
    return sum;
  }

  // By inversion; `uniform` has one number in [0, 1) a choice and lane, ld apart. Never takes an action of probability
  // 0.
  void sample(const T* uniform, T* actions, std::ptrdiff_t ld) const {
    int base = 0;
    for (std::size_t g = 0; g < sizes_.size(); ++g) {
      const V u = load(uniform + g * ld);
      V below{}, action{};
      for (int c = 0; c < sizes_[g]; ++c) {
        const V p = load(prob(base + c));
        action = ((below <= u) & (p > T(0))) ? splat(static_cast<T>(c)) : action;
        below += p;
      }
      store(actions + g * ld, action);
      base += sizes_[g];
    }
  }

  // The first of the most likely.
  void mode(T* actions, std::ptrdiff_t ld) const {
    int base = 0;
    for (std::size_t g = 0; g < sizes_.size(); ++g) {
      V best = load(log_prob(base)), action{};
      for (int c = 1; c < sizes_[g]; ++c) {
        const V p = load(log_prob(base + c));
        action = p > best ? splat(static_cast<T>(c)) : action;
        best = maximum(best, p);
      }
      store(actions + g * ld, action);
      base += sizes_[g];
    }
  }

  // The gradient with respect to the logits, given those with respect to log_prob_of(actions) and entropy().
  void gradient(const T* actions, std::ptrdiff_t ld, V d_log_prob, V d_entropy, T* d_logits,
                std::ptrdiff_t ld_logits) const {
    int base = 0;
    for (std::size_t g = 0; g < sizes_.size(); ++g) {
      const V action = load(actions + g * ld);
      V entropy{};
      for (int c = 0; c < sizes_[g]; ++c) entropy -= load(prob(base + c)) * load(log_prob(base + c));
      for (int c = 0; c < sizes_[g]; ++c) {
        const V p = load(prob(base + c));
        const V taken = action == splat(static_cast<T>(c)) ? splat(T(1)) : V{};
        const V d = d_log_prob * (taken - p) - d_entropy * p * (load(log_prob(base + c)) + entropy);
        store(d_logits + (base + c) * ld_logits, d);
      }
      base += sizes_[g];
    }
  }

 private:
  int total() const { return static_cast<int>(log_prob_.size()) / L; }
  T* log_prob(int c) { return log_prob_.data() + c * L; }
  const T* log_prob(int c) const { return log_prob_.data() + c * L; }
  T* prob(int c) { return prob_.data() + c * L; }
  const T* prob(int c) const { return prob_.data() + c * L; }

  std::vector<int> sizes_;
  AlignedVector<T> log_prob_, prob_;
};

// Independent normal numbers with means from the policy head and standard deviations that do not depend on the state.
template <class T>
class DiagonalGaussian {
  using V = Vector<T>;
  static constexpr double kLogRootTwoPi = 0.91893853320467274178;

 public:
  explicit DiagonalGaussian(int size) : size_(size), log_std_(size), std_(size), inverse_(size) {}

  // Whenever the parameters changed.
  void set_log_std(const T* log_std) {
    for (int d = 0; d < size_; ++d) {
      log_std_[d] = log_std[d];
      std_[d] = exp(splat(log_std[d]))[0];
      inverse_[d] = T(1) / std_[d];
    }
  }
  // Everything below is about the last assigned means, which are not copied.
  void assign(const T* means, std::ptrdiff_t ld) {
    means_ = means;
    ld_ = ld;
  }

  V log_prob_of(const T* actions, std::ptrdiff_t ld) const {
    V sum{};
    for (int d = 0; d < size_; ++d) {
      const V z = (load(actions + d * ld) - load(means_ + d * ld_)) * inverse_[d];
      sum += T(-0.5) * z * z - (log_std_[d] + T(kLogRootTwoPi));
    }
    return sum;
  }
  V entropy() const {
    T sum = 0;
    for (int d = 0; d < size_; ++d) sum += log_std_[d] + T(0.5 + kLogRootTwoPi);
    return splat(sum);
  }
  V kl(const DiagonalGaussian& other) const {
    V sum{};
    for (int d = 0; d < size_; ++d) {
      const V z = (load(means_ + d * ld_) - load(other.means_ + d * other.ld_)) * other.inverse_[d];
      const T ratio = std_[d] * other.inverse_[d];
      sum += (other.log_std_[d] - log_std_[d]) + T(0.5) * (ratio * ratio + z * z - T(1));
    }
    return sum;
  }

  // `normal` has one standard normal number a dimension and lane, ld apart.
  void sample(const T* normal, T* actions, std::ptrdiff_t ld) const {
    for (int d = 0; d < size_; ++d) {
      store(actions + d * ld, fma(load(normal + d * ld), splat(std_[d]), load(means_ + d * ld_)));
    }
  }
  void mode(T* actions, std::ptrdiff_t ld) const {
    for (int d = 0; d < size_; ++d) store(actions + d * ld, load(means_ + d * ld_));
  }

  // Gradients with respect to the means (to d_means) and the log standard deviations (a vector a dimension, one number
  // a lane, added to d_log_std), given those with respect to log_prob_of(actions) and entropy().
  void gradient(const T* actions, std::ptrdiff_t ld, V d_log_prob, V d_entropy, T* d_means, std::ptrdiff_t ld_means,
                T* d_log_std) const {
    for (int d = 0; d < size_; ++d) {
      const V z = (load(actions + d * ld) - load(means_ + d * ld_)) * inverse_[d];
      store(d_means + d * ld_means, d_log_prob * z * inverse_[d]);
      T* sum = d_log_std + d * kLanes<T>;
      store(sum, load(sum) + d_log_prob * (z * z - T(1)) + d_entropy);
    }
  }

 private:
  int size_;
  std::vector<T> log_std_, std_, inverse_;
  const T* means_ = nullptr;
  std::ptrdiff_t ld_ = 0;
};

}  // namespace mobula::rl::nn
