// The clipped surrogate loss of PPO and its gradient on one minibatch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "rl/nn/distribution.h"
#include "rl/nn/policy.h"

namespace mobula::rl {

// Samples in rows, as the learner holds them for an update.
template <class T>
struct PpoBatch {
  std::span<const T> observations;      // [rows][observation_size], as the networks see them
  std::span<const T> actions;           // [rows][action.dimensions]
  std::span<const T> log_probs;         // of the actions when they were taken
  std::span<const T> values;            // when they were taken
  std::span<const T> advantages;        // [rows]
  std::span<const T> returns;           // [rows]
  std::span<const std::uint8_t> masks;  // [rows][mask_size]; empty: everything is allowed
};

// loss = policy_loss + vf_coef * value_loss - ent_coef * entropy, all means over the minibatch.
struct PpoLoss {
  double clip_range = 0.2;
  std::optional<double> clip_range_vf;
  double ent_coef = 0;
  double vf_coef = 0.5;
  bool normalize_advantage = true;  // to mean 0 and (unbiased) deviation 1 in the minibatch
};

struct PpoLossStats {
  double policy_loss = 0;
  double value_loss = 0;  // 0.5 * squared error; with clip_range_vf the mean of the larger of unclipped and clipped
  double entropy = 0;
  double approx_kl = 0;  // mean(ratio - 1 - log ratio)
  double clip_fraction = 0;
  double loss = 0;
};

// Holds the scratch memory of the passes. T is float or double.
template <class T>
class PpoGradient {
 public:
  explicit PpoGradient(const nn::Policy<T>& policy);

  // The gradient of the loss over the samples `rows` of the batch with respect to the trainable parameters; overwrites
  // gradient(). Sums run in the order of `rows`, in one thread.
  PpoLossStats compute(const T* parameters, const PpoBatch<T>& batch, std::span<const std::uint32_t> rows,
                       const PpoLoss& loss);
  std::span<const T> gradient() const { return gradient_; }

 private:
  struct Totals;
  void block(const T* parameters, const PpoBatch<T>& batch, std::span<const std::uint32_t> rows, const PpoLoss& loss,
             T weight, T shift, T scale, Totals& totals);

  const nn::Policy<T>& policy_;
  typename nn::Mlp<T>::Workspace actor_workspace_, critic_workspace_;
  nn::Categorical<T> categorical_;
  nn::DiagonalGaussian<T> gaussian_;
  // Of a block: inputs [row][...], and component-major tables as in nn/distribution.h.
  nn::AlignedVector<T> observations_, actions_, head_, d_head_, d_log_std_;
  nn::AlignedVector<T> gradient_;
};

extern template class PpoGradient<float>;
extern template class PpoGradient<double>;

}  // namespace mobula::rl
