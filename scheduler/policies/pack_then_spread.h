// The default policy. Nodes below half load are packed, nearest first; above that, work goes to the least loaded.
//
// Packing keeps calls in shared memory and leaves whole nodes free for large requests; beyond half load neighbours
// disturb each other more than a hop over the network costs. (The rule and the figure are those of Ray's "hybrid"
// policy, so that programs that come from there behave as they did.)
#pragma once

#include "scheduler/view/view.h"

namespace mobula::scheduler {

/// Below this load a node counts as idle.
inline constexpr std::int64_t pack_below = 500000;  // millionths
/// Arguments of so many bytes draw a request to where they lie.
inline constexpr std::uint64_t worth_moving_to = 1 << 20;

/// In this order: the node that holds the request's large arguments, if it has room; this node, if none with room is
/// better; one of the best fifth of the others, drawn by the order of arrival, so that many owners with one view do
/// not all run to one node. What reserves nothing would find room anywhere: it stays here, or, from a node without
/// cpus, is dealt out to the others by how many they have.
Decision pack_then_spread(const View& view, const Request& request);

}  // namespace mobula::scheduler
