// Any node that has room, drawn by the request's order: the floor that a policy has to beat in a replay.
#pragma once

#include "scheduler/view/view.h"

namespace mobula::scheduler {

Decision random_room(const View& view, const Request& request);

}  // namespace mobula::scheduler
