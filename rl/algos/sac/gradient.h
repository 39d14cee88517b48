// The losses of soft actor-critic with continuous actions and their gradients on one batch.
#pragma once

#include <span>
#include <vector>

#include "rl/algos/offpolicy/transition_batch.h"
#include "rl/algos/offpolicy/twin_critics.h"
#include "rl/nn/squashed.h"

namespace mobula::rl {

// A Gaussian squashed by tanh: a = tanh(u), u = mean + std * noise,
//   log pi(a) = log N(u; mean, std) - sum log(1 - a^2)
// with the last term computed exactly, 2 (log 2 - u - softplus(-2u)), or as Stable-Baselines3 does, log(1 - a^2 +
// 1e-6).
enum class SquashCorrection { exact, epsilon };

// The pieces of an update, in the order in which it takes them; the optimisers are stepped in between. Actions are in
// [-1, 1]. Tables are row-major. T is float or double.
template <class T>
class SacGradient {
 public:
  SacGradient(const nn::PolicySpec& spec, SquashCorrection correction);

  const nn::ActorNet<T>& actor() const { return actor_; }
  const TwinCritics<T>& critics() const { return critics_; }

  // Actions of the policy in the batch's observations with this noise [rows][dimensions]. Leaves what policy() needs.
  void act(const T* actor, std::span<const T> observations, std::span<const T> noise);
  std::span<const T> actions() const { return actions_; }      // [rows][dimensions]
  std::span<const T> log_probs() const { return log_probs_; }  // [rows]

  // targets() y = r + discount * (min Q' (s', a') - alpha log pi(a'|s')), a' by the actor; then the gradient of
  // (mean (q1 - y)^2 + mean (q2 - y)^2) / 2 with respect to the critics.
  typename TwinCritics<T>::Fit fit(const T* actor, const T* critics, const T* target_critics,
                                   const TransitionBatch<T>& batch, std::span<const T> next_noise, T alpha);
  std::span<const T> targets() const { return targets_; }
  std::span<const T> critic_gradient() const { return critics_.gradient(); }

  // The mean of alpha log pi(a|s) - min Q(s, a) over the actions of act(), and its gradient with respect to the actor.
  double policy(const T* actor, const T* critics, std::span<const T> observations, T alpha);
  std::span<const T> actor_gradient() const { return actor_gradient_; }

 private:
  void sample(const T* head, const T* noise, int rows, T* actions, T* log_probs) const;
  void join(std::span<const T> observations, const T* actions, int rows);  // into inputs_
  T* head(int block) { return heads_.data() + static_cast<std::ptrdiff_t>(block) * nn::kBlockRows * actor_.outputs(); }

  const SquashCorrection correction_;
  const int width_, dimensions_;
  nn::ActorNet<T> actor_;
  TwinCritics<T> critics_;
  std::vector<typename nn::Mlp<T>::Workspace> workspaces_;  // of each block of act()
  typename nn::Mlp<T>::Workspace next_workspace_;
  nn::AlignedVector<T> heads_, next_head_, d_head_, actor_gradient_;
  std::vector<T> noise_, actions_, log_probs_, next_actions_, next_log_probs_, inputs_, values_, targets_, d_actions_;
};

extern template class SacGradient<float>;
extern template class SacGradient<double>;

}  // namespace mobula::rl
