// The default policy: run where the owner is while there is room, else where there is room, else wait where the owner
// is.
#pragma once

#include "scheduler/view/view.h"

namespace mobula::scheduler {

/// Local first keeps calls on shared memory. Among other nodes the one with the most free cpu wins, then the shortest
/// queue, then the smallest id: ties are decided, so that a replay decides the same. What reserves nothing would always
/// find room; from a node without cpus it is dealt out to those that have some.
Decision pack_then_spill(const View& view, const Request& request);

}  // namespace mobula::scheduler
