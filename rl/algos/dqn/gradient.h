// The temporal-difference loss of deep Q-learning and its gradient on one batch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "rl/algos/offpolicy/transition_batch.h"
#include "rl/nn/action_values.h"

namespace mobula::rl {

struct DqnLoss {
  bool double_q =
      true;           // the next action is the best of the online network (van Hasselt et al. 2016), not of the target
  bool huber = true;  // smooth L1 for scalar values, not the squared error
};

struct DqnLossStats {
  double loss = 0;
  double q_mean = 0;  // of the actions that were taken
};

// The loss is the weighted mean over rows of
//   a scalar value     smooth L1 (|e| < 1: e^2 / 2, else |e| - 1/2) or, without huber, e^2, where e = Q(s, a) - y
//   quantiles          sum over the quantiles of Q, mean over those of y of |tau_i - [y_j < q_i]| huber(y_j - q_i)
//   a categorical head the cross entropy to the projection of y onto the atoms
// with y = r + discount * (next value, in the same form). error(r) is what priorities are made of: |e|, the distance of
// the means, the cross entropy. T is float or double.
template <class T>
class DqnGradient {
 public:
  explicit DqnGradient(const nn::ActionValues<T>& values);

  // With respect to `online`; overwrites gradient(). Sums run in the order of the rows, in one thread.
  DqnLossStats compute(const T* online, const T* target, const TransitionBatch<T>& batch, const DqnLoss& loss);
  std::span<const T> gradient() const { return gradient_; }
  std::span<const float> errors() const { return errors_; }

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
