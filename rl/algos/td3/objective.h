// The losses of TD3 on one batch, and their gradients, whoever computes them.
#pragma once

#include <span>

#include "rl/algos/offpolicy/critic_fit.h"
#include "rl/algos/offpolicy/transition_batch.h"

namespace mobula::rl {

// Actions are tanh of the actor's outputs, in [-1, 1]. Parameters have the layouts of nn::ActorNet and TwinCritics. T
// is float or double.
template <class T>
class Td3Objective {
 public:
  virtual ~Td3Objective() = default;

  // y = r + discount * min Q'(s', clip(pi'(s') + noise, +-1)); the gradient of mean (q1 - y)^2 + mean (q2 - y)^2 with
  // respect to the critics. `next_noise` [rows][dimensions] is clipped already.
  virtual CriticFit fit(const T* target_actor, const T* critics, const T* target_critics,
                        const TransitionBatch<T>& batch, std::span<const T> next_noise) = 0;
  virtual std::span<const T> targets() const = 0;
  virtual std::span<const T> critic_gradient() const = 0;

  // The mean of -Q1(s, pi(s)) and its gradient with respect to the actor.
  virtual double policy(const T* actor, const T* critics, std::span<const T> observations) = 0;
  virtual std::span<const T> actor_gradient() const = 0;
};

}  // namespace mobula::rl
