#pragma once

#include <mobula/rl/fairness.h>
#include <mobula/rl/verdict.h>

#include <cstddef>
#include <span>
#include <string>

namespace mobula::rl {

/// Policies as points, mean against gap between groups, with the 95 % intervals of both and the limit on the gap, if
/// there is one. The first `trained` of them stand out. Empty if no policy has such a gap. A picture that needs nothing
/// else.
std::string trade_svg(const FairnessOptions& options, std::span<const PolicyMetrics> policies, std::size_t trained = 1);

/// X of the first metric mean_X_gap that the policies have: what the groups are compared by; empty if none.
std::string compared_samples(std::span<const PolicyMetrics> policies);

}  // namespace mobula::rl
