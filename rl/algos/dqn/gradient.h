// The objective of deep Q-learning by hand-written passes: the native learner.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "rl/algos/dqn/objective.h"
#include "rl/nn/action_values.h"

namespace mobula::rl {

// Sums run in the order of the rows, in one thread.
template <class T>
class DqnGradient final : public DqnObjective<T> {
 public:
  explicit DqnGradient(const nn::ActionValues<T>& values);

  DqnLossStats compute(const T* online, const T* target, const TransitionBatch<T>& batch, const DqnLoss& loss) override;
  std::span<const T> gradient() const override { return gradient_; }
  std::span<const float> errors() const override { return errors_; }

 private:
  void block(const T* online, const T* target, const TransitionBatch<T>& batch, int first, int rows,
             const DqnLoss& loss, DqnLossStats& stats);
  // The next best actions of a block into best_, and the target's components into next_.
  void look_ahead(const T* online, const T* target, const TransitionBatch<T>& batch, int first, int rows,
                  bool double_q);
  T scalar_loss(int r, int action, T reward, T discount, T scale, bool huber);
  T quantile_loss(int r, int action, T reward, T discount, T scale);
  T categorical_loss(int r, int action, T reward, T discount, T scale);
  T* component(nn::AlignedVector<T>& table, int action, int r) {
    return table.data() + static_cast<std::ptrdiff_t>(action) * values_.spec().atoms * nn::kBlockRows + r;
  }

  const nn::ActionValues<T>& values_;
  typename nn::Mlp<T>::Workspace workspace_;
  nn::AlignedVector<T> outputs_, components_, next_, expected_, d_components_, d_outputs_, gradient_;
  std::vector<T> projected_;
  std::vector<int> best_;
  std::vector<float> errors_;
};

extern template class DqnGradient<float>;
extern template class DqnGradient<double>;

}  // namespace mobula::rl
