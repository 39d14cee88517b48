// Where the owner is while there is room, else where there is most room, else wait. What Mobula did before
// pack_then_spread: for comparison in replays, and for clusters whose machines share nothing but work.
#pragma once

#include "scheduler/view/view.h"

namespace mobula::scheduler {

/// Among other nodes the one with the most free cpu wins, then the smallest id.
Decision local_first(const View& view, const Request& request);

}  // namespace mobula::scheduler
