#pragma once

#include <mobula/rl/any_vec_env.h>
#include <mobula/rl/fairness.h>
#include <mobula/rl/verdict.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace mobula::rl {

/// What held-out episodes of one policy say about groups and constraints.
struct FairnessReport {
  /// For each kind of samples X that the environment reports for the groups: mean_X_gap; for its first kind also
  /// long_X_rate, jain_X and gini_X (of single items within an episode, averaged over episodes, Student's t). Then
  /// every metric that a constraint names and that is not there yet.
  Metrics metrics;
  std::vector<ConstraintResult> constraints;  ///< in the order of the options
};

/// Intervals are of 2,000 resamples of whole episodes, keyed by `seed`. A rate of which no episode had a case is
/// bounded by Wilson's interval over episodes, because resamples of nothing say nothing. The result does not depend on
/// the order of the episodes. The options must have passed problem_with_fairness.
FairnessReport judge(std::span<const EpisodeEnd> episodes, const EnvironmentInfo& info, const FairnessOptions& options,
                     std::uint64_t seed);

}  // namespace mobula::rl
