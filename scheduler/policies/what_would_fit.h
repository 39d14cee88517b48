// Why a request fits nowhere, and what would change that.
#pragma once

#include <string>

#include "scheduler/view/view.h"

namespace mobula::scheduler {

/// One or two sentences for a request that no node of the view can ever satisfy: which node comes closest, what it
/// lacks, what to start or to ask for instead. `may_grow`: nodes may still join.
std::string what_would_fit(const View& view, const Resources& resources, bool may_grow);

}  // namespace mobula::scheduler
