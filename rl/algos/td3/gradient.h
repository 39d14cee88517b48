// The losses of TD3 and their gradients on one batch.
#pragma once

#include <span>
#include <vector>

#include "rl/algos/offpolicy/transition_batch.h"
#include "rl/algos/offpolicy/twin_critics.h"
#include "rl/nn/squashed.h"

namespace mobula::rl {

// Actions are tanh of the actor's outputs, in [-1, 1]. T is float or double.
template <class T>
class Td3Gradient {
 public:
  explicit Td3Gradient(const nn::PolicySpec& spec);

  const nn::ActorNet<T>& actor() const { return actor_; }
  const TwinCritics<T>& critics() const { return critics_; }

  // y = r + discount * min Q'(s', clip(pi'(s') + noise, +-1)); the gradient of mean (q1 - y)^2 + mean (q2 - y)^2 with
  // respect to the critics. `next_noise` [rows][dimensions] is clipped already.
  typename TwinCritics<T>::Fit fit(const T* target_actor, const T* critics, const T* target_critics,
                                   const TransitionBatch<T>& batch, std::span<const T> next_noise);
  std::span<const T> targets() const { return targets_; }
  std::span<const T> critic_gradient() const { return critics_.gradient(); }

  // The mean of -Q1(s, pi(s)) and its gradient with respect to the actor.
  double policy(const T* actor, const T* critics, std::span<const T> observations);
  std::span<const T> actor_gradient() const { return actor_gradient_; }

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
