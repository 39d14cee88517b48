// The objective of soft actor-critic for one of N actions by hand-written passes: the native learner.
#pragma once

#include <span>
#include <vector>

#include "rl/algos/offpolicy/twin_critics.h"
#include "rl/algos/sac/objective.h"
#include "rl/nn/squashed.h"

namespace mobula::rl {

template <class T>
class DiscreteSacGradient final : public DiscreteSacObjective<T> {
 public:
  explicit DiscreteSacGradient(const nn::PolicySpec& spec);

  const nn::ActorNet<T>& actor() const { return actor_; }
  const TwinCritics<T>& critics() const { return critics_; }

  using PolicyLoss = typename DiscreteSacObjective<T>::PolicyLoss;
  CriticFit fit(const T* actor, const T* critics, const T* target_critics, const TransitionBatch<T>& batch,
                T alpha) override;
  std::span<const T> critic_gradient() const override { return critics_.gradient(); }
  PolicyLoss policy(const T* actor, const T* critics, std::span<const T> observations, T alpha) override;
  std::span<const T> actor_gradient() const override { return actor_gradient_; }

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
