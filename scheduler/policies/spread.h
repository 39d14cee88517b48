// The least loaded node first, wherever the owner is: replicas that shall not fall together, work that is heavy on
// something that is not counted.
#pragma once

#include "scheduler/view/view.h"

namespace mobula::scheduler {

/// Equal loads take turns by the order of arrival. What reserves nothing changes no load: it takes turns over all
/// nodes that will do.
Decision spread(const View& view, const Request& request);

}  // namespace mobula::scheduler
