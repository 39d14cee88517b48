// The objective of soft actor-critic with continuous actions by hand-written passes: the native learner.
#pragma once

#include <span>
#include <vector>

#include "rl/algos/offpolicy/twin_critics.h"
#include "rl/algos/sac/objective.h"
#include "rl/nn/squashed.h"

namespace mobula::rl {

template <class T>
class SacGradient final : public SacObjective<T> {
 public:
  SacGradient(const nn::PolicySpec& spec, SquashCorrection correction);

  const nn::ActorNet<T>& actor() const { return actor_; }
  const TwinCritics<T>& critics() const { return critics_; }

  void act(const T* actor, std::span<const T> observations, std::span<const T> noise) override;
  std::span<const T> actions() const override { return actions_; }
  std::span<const T> log_probs() const override { return log_probs_; }
  CriticFit fit(const T* actor, const T* critics, const T* target_critics, const TransitionBatch<T>& batch,
                std::span<const T> next_noise, T alpha) override;
  std::span<const T> targets() const override { return targets_; }
  std::span<const T> critic_gradient() const override { return critics_.gradient(); }
  double policy(const T* actor, const T* critics, std::span<const T> observations, T alpha) override;
  std::span<const T> actor_gradient() const override { return actor_gradient_; }

 private:
  void sample(const T* head, const T* noise, int rows, T* actions, T* slopes, T* log_probs) const;
  void join(std::span<const T> observations, const T* actions, int rows);  // into inputs_
  T* head(int block) { return heads_.data() + static_cast<std::ptrdiff_t>(block) * nn::kBlockRows * actor_.outputs(); }

  const SquashCorrection correction_;
  const int width_, dimensions_;
  nn::ActorNet<T> actor_;
  TwinCritics<T> critics_;
  std::vector<typename nn::Mlp<T>::Workspace> workspaces_;  // of each block of act()
  typename nn::Mlp<T>::Workspace next_workspace_;
  nn::AlignedVector<T> heads_, next_head_, d_head_, actor_gradient_;
  std::vector<T> noise_, actions_, slopes_, log_probs_, next_actions_, next_slopes_, next_log_probs_, inputs_, values_,
      targets_, d_actions_;
};

extern template class SacGradient<float>;
extern template class SacGradient<double>;

}  // namespace mobula::rl
