#pragma once

#include <mobula/rl/callbacks.h>
#include <mobula/rl/verdict.h>

#include <functional>
#include <span>

#include "rl/algos/learner.h"
#include "rl/train/rollout.h"

namespace mobula::rl {

/// Where measures of fairness, or of anything else that is told by costs and groups, enter the loop. What an
/// environment annotates is summed in the workers and merged in the driver before any of these runs; the constraints of
/// TrainOptions::fairness go the same way, each time before the hook. In the order in
/// which data meets them; an empty one is not called.
struct Hooks {
  /// After each rollout: the sums of this rollout over all environments (training data, never evaluation).
  std::function<void(const Progress&, const CostSums&)> accumulate;
  /// Before the update: moves multipliers on what was accumulated.
  std::function<void(const Progress&)> constrain;
  /// At the start of the update: may change the rewards that are learned from, after the multipliers had their say.
  RewardHook reward;
  /// In the update: may change advantages, see ShapeHook.
  ShapeHook shape;
  /// After each evaluation of the frozen policy.
  std::function<void(const EvaluationEvent&)> evaluate;
  /// After the final evaluation of all policies.
  std::function<void(std::span<const PolicyMetrics>)> gate;
};

}  // namespace mobula::rl
