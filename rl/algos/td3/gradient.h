// The objective of TD3 by hand-written passes: the native learner.
#pragma once

#include <span>
#include <vector>

#include "rl/algos/offpolicy/twin_critics.h"
#include "rl/algos/td3/objective.h"
#include "rl/nn/squashed.h"

namespace mobula::rl {

template <class T>
class Td3Gradient final : public Td3Objective<T> {
 public:
  explicit Td3Gradient(const nn::PolicySpec& spec);

  const nn::ActorNet<T>& actor() const { return actor_; }
  const TwinCritics<T>& critics() const { return critics_; }

  CriticFit fit(const T* target_actor, const T* critics, const T* target_critics, const TransitionBatch<T>& batch,
                std::span<const T> next_noise) override;
  std::span<const T> targets() const override { return targets_; }
  std::span<const T> critic_gradient() const override { return critics_.gradient(); }
  double policy(const T* actor, const T* critics, std::span<const T> observations) override;
  std::span<const T> actor_gradient() const override { return actor_gradient_; }

 private:
  void act(const T* actor, const T* observations, int rows, const T* noise, T* inputs);

  const int width_, dimensions_;
  nn::ActorNet<T> actor_;
  TwinCritics<T> critics_;
  typename nn::Mlp<T>::Workspace workspace_;
  nn::AlignedVector<T> head_, d_head_, actor_gradient_;
  std::vector<T> inputs_, values_, targets_, d_actions_;
};

extern template class Td3Gradient<float>;
extern template class Td3Gradient<double>;

}  // namespace mobula::rl
