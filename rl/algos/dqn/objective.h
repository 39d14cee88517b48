// The temporal-difference loss of deep Q-learning on one batch, and its gradient, whoever computes it.
#pragma once

#include <span>

#include "rl/algos/offpolicy/transition_batch.h"

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
// the means, the cross entropy. Both parameter arrays have the layout of nn::ActionValues. T is float or double.
template <class T>
class DqnObjective {
 public:
  virtual ~DqnObjective() = default;

  // With respect to `online`; overwrites gradient().
  virtual DqnLossStats compute(const T* online, const T* target, const TransitionBatch<T>& batch,
                               const DqnLoss& loss) = 0;
  virtual std::span<const T> gradient() const = 0;
  virtual std::span<const float> errors() const = 0;
};

}  // namespace mobula::rl
