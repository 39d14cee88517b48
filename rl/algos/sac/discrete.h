// The losses of soft actor-critic for one of N actions (Christodoulou 2019) and their gradients on one batch.
#pragma once

#include <span>
#include <vector>

#include "rl/algos/offpolicy/transition_batch.h"
#include "rl/algos/offpolicy/twin_critics.h"
#include "rl/nn/squashed.h"

namespace mobula::rl {

// As SacGradient, but expectations over actions are sums, so that nothing is drawn: V(s) = sum_a pi(a|s) (min Q(s, a) -
// alpha log pi(a|s)). T is float or double.
template <class T>
class DiscreteSacGradient {
 public:
  explicit DiscreteSacGradient(const nn::PolicySpec& spec);

  const nn::ActorNet<T>& actor() const { return actor_; }
  const TwinCritics<T>& critics() const { return critics_; }

  // y = r + discount * V'(s') with the target critics; the gradient of (mean (q1 - y)^2 + mean (q2 - y)^2) / 2.
  typename TwinCritics<T>::Fit fit(const T* actor, const T* critics, const T* target_critics,
                                   const TransitionBatch<T>& batch, T alpha);
  std::span<const T> critic_gradient() const { return critics_.gradient(); }

  struct PolicyLoss {
    double loss = 0;     // mean of sum_a pi (alpha log pi - min Q)
    double entropy = 0;  // mean of -sum_a pi log pi
  };
  PolicyLoss policy(const T* actor, const T* critics, std::span<const T> observations, T alpha);
  std::span<const T> actor_gradient() const { return actor_gradient_; }

 private:
  // Probabilities and their logarithms of a block, [row][action].
  void distribution(const T* actor, const T* observations, int rows);

  const int width_, actions_;
  nn::ActorNet<T> actor_;
  TwinCritics<T> critics_;
  typename nn::Mlp<T>::Workspace workspace_;
  nn::AlignedVector<T> logits_, d_logits_, actor_gradient_;
  std::vector<T> prob_, log_prob_, values_, targets_;
};

extern template class DiscreteSacGradient<float>;
extern template class DiscreteSacGradient<double>;

}  // namespace mobula::rl
