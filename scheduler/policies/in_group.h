// Requests inside of a placement group go where its bundle is; how much of the bundle is left, only its node knows.
#pragma once

#include "scheduler/view/view.h"

namespace mobula::scheduler {

/// Verdict::grant means: the bundle is here, take it from there or wait for it. Without an index the bundles take turns
/// by the order of arrival.
Decision in_group(const View& view, const Request& request);

}  // namespace mobula::scheduler
