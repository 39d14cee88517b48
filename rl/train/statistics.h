#pragma once

#include <mobula/rl/any_vec_env.h>
#include <mobula/rl/estimate.h>

#include <cstdint>
#include <span>

namespace mobula::rl {

/// Mean and its Student t interval; the values must be independent. No interval for fewer than two.
Estimate mean_estimate(std::span<const double> values);

/// What a set of independent episodes says.
///
/// What exists once an episode (its return, its totals such as `throughput`) is a mean over episodes with Student's t.
/// Samples (the wait of each vehicle) are pooled over all episodes: `mean_wait`, `p95_wait` (the smallest wait that at
/// least 95 % of the vehicles do not exceed) and `max_wait`. Vehicles of one episode depend on each other, so their
/// intervals come from 2,000 resamples of whole episodes (percentiles 2.5 and 97.5, keyed by `seed` and
/// Stream::bootstrap; Efron and Tibshirani 1993, chapter 13); fewer than 6 episodes have none. All metrics share the
/// resamples. Groups are written `mean_wait/side`. The interval of a maximum never exceeds the largest value seen: it
/// says how much that rests on a few episodes, not how far waits could go. The share of outcomes has Wilson's interval,
/// with the outcomes as its n.
///
/// Episodes are told apart by (env, episode). Sums are over integers and the episodes are sorted, so the result does
/// not depend on the order of the episodes.
Metrics summarise(std::span<const EpisodeEnd> episodes, std::uint64_t seed);

}  // namespace mobula::rl
