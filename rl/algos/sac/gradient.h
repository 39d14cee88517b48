// The objective of soft actor-critic with continuous actions by hand-written passes: the native learner.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "rl/algos/offpolicy/twin_critics.h"
#include "rl/algos/sac/objective.h"
#include "rl/nn/squashed.h"
#include "rl/nn/squashed_gaussian.h"
#include "rl/nn/state_noise.h"

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
  using Workspace = typename nn::Mlp<T>::Workspace;
  // What a block of rows makes, [component][kBlockRows]. Of head and passes the means are first, then the log
  // deviations.
  struct Block {
    explicit Block(const SacGradient& of);
    Workspace workspace;
    nn::AlignedVector<T> head;       // within their limits
    nn::AlignedVector<T> passes;     // 1, or 0 where a limit holds a number back, so that no gradient passes
    nn::AlignedVector<T> normal, u;  // noise, and the action before tanh
  };
  // Rows of a table with so many columns, from `first` on.
  static const T* rows_from(std::span<const T> table, int first, int columns) {
    return table.data() + static_cast<std::ptrdiff_t>(first) * columns;
  }

  void forward(const T* actor, const T* observations, int rows, Block& block) const;
  // Draws with this noise; all tables [rows][dimensions].
  void sample(Block& block, const T* noise, int rows, T* actions, T* log_probs);
  // From the gradients with respect to actions, [rows][dimensions], and to each log-probability, that with respect to
  // the head, to d_head_, and with state-dependent noise to actor.log_std and the features as well.
  void backward(const Block& block, const T* d_actions, int rows, T scale, T d_log_prob);
  void join(std::span<const T> observations, const T* actions, int rows);  // into inputs_

  const int width_, dimensions_;
  nn::ActorNet<T> actor_;
  TwinCritics<T> critics_;
  nn::SquashedGaussian<T> distribution_;
  std::optional<nn::StateNoise<T>> state_noise_;
  std::vector<Block> blocks_;  // of act()
  Block next_;
  nn::AlignedVector<T> y_, d_y_, d_head_, d_features_, actor_gradient_;
  std::vector<T> actions_, log_probs_, next_actions_, next_log_probs_, inputs_, values_, targets_, d_actions_;
};

extern template class SacGradient<float>;
extern template class SacGradient<double>;

}  // namespace mobula::rl
