#pragma once

#include <mobula/rl/any_vec_env.h>
#include <mobula/rl/fairness.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace mobula::rl {

/// What is wrong with the constraints, as "fairness.constraints.0.at_most: sentence", as far as it can be told without
/// playing: unknown names, limits that contradict each other or cannot be kept by anything, no evaluation to speak of.
std::string problem_with_fairness(const FairnessOptions& options, const EnvironmentInfo& info, std::int64_t episodes);

/// The same from some pilot episodes of any policy: names that nothing reports, and limits that so many held-out
/// episodes cannot resolve, because half of the interval would be wider than the limit even if the value were 0.
std::string problem_with_pilot(const FairnessOptions& options, const EnvironmentInfo& info,
                               std::span<const EpisodeEnd> pilot, std::int64_t episodes);

}  // namespace mobula::rl
