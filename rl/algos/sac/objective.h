// The losses of soft actor-critic on one batch, for boxes (Haarnoja et al. 2018) and for one of N actions
// (Christodoulou 2019), and their gradients, whoever computes them.
#pragma once

#include <span>

#include "rl/algos/offpolicy/critic_fit.h"
#include "rl/algos/offpolicy/transition_batch.h"

namespace mobula::rl {

// A Gaussian squashed by tanh: a = tanh(u), u = mean + std * noise,
//   log pi(a) = log N(u; mean, std) - sum log(1 - a^2)
// with the last term computed exactly, 2 (log 2 - u - softplus(-2u)), or as Stable-Baselines3 does, log(1 - a^2 +
// 1e-6).
//
// With spec.state_dependent_noise std follows from the features of the last hidden layer (nn/state_noise.h), and the
// gradient goes through it into those features. Noise is a number a row and dimension all the same: what is minimised
// is a mean over rows, each of which sees the distribution of its own action only, so it does not matter that rows
// that were collected one after the other had noise in common.
enum class SquashCorrection { exact, epsilon };

// The pieces of an update, in the order in which it takes them; the optimisers are stepped in between. Actions are in
// [-1, 1]. Tables are row-major. Parameters have the layouts of nn::ActorNet and TwinCritics. T is float or double.
template <class T>
class SacObjective {
 public:
  virtual ~SacObjective() = default;

  // Actions of the policy in the batch's observations with this noise [rows][dimensions]. Leaves what policy() needs.
  virtual void act(const T* actor, std::span<const T> observations, std::span<const T> noise) = 0;
  virtual std::span<const T> actions() const = 0;    // [rows][dimensions]
  virtual std::span<const T> log_probs() const = 0;  // [rows]

  // targets() y = r + discount * (min Q' (s', a') - alpha log pi(a'|s')), a' by the actor; then the gradient of
  // (mean (q1 - y)^2 + mean (q2 - y)^2) / 2 with respect to the critics.
  virtual CriticFit fit(const T* actor, const T* critics, const T* target_critics, const TransitionBatch<T>& batch,
                        std::span<const T> next_noise, T alpha) = 0;
  virtual std::span<const T> targets() const = 0;
  virtual std::span<const T> critic_gradient() const = 0;

  // The mean of alpha log pi(a|s) - min Q(s, a) over the actions of act(), and its gradient with respect to the actor,
  // whose parameters are those of act().
  virtual double policy(const T* actor, const T* critics, std::span<const T> observations, T alpha) = 0;
  virtual std::span<const T> actor_gradient() const = 0;
};

// As SacObjective, but expectations over actions are sums, so that nothing is drawn: V(s) = sum_a pi(a|s) (min Q(s, a)
// - alpha log pi(a|s)). T is float or double.
template <class T>
class DiscreteSacObjective {
 public:
  virtual ~DiscreteSacObjective() = default;

  // y = r + discount * V'(s') with the target critics; the gradient of (mean (q1 - y)^2 + mean (q2 - y)^2) / 2.
  virtual CriticFit fit(const T* actor, const T* critics, const T* target_critics, const TransitionBatch<T>& batch,
                        T alpha) = 0;
  virtual std::span<const T> critic_gradient() const = 0;

  struct PolicyLoss {
    double loss = 0;     // mean of sum_a pi (alpha log pi - min Q)
    double entropy = 0;  // mean of -sum_a pi log pi
  };
  virtual PolicyLoss policy(const T* actor, const T* critics, std::span<const T> observations, T alpha) = 0;
  virtual std::span<const T> actor_gradient() const = 0;
};

}  // namespace mobula::rl
