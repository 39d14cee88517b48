// What all policies share: how a choice among nodes becomes a decision of this one, and what happens when nobody has
// room. A policy is then only its order of preference among the nodes that have.
#pragma once

#include <fmt/format.h>

#include <tuple>
#include <vector>

#include "scheduler/view/eligible.h"
#include "scheduler/view/view.h"

namespace mobula::scheduler {

struct Candidates {
  const NodeView* here = nullptr;       // this node, if it could ever run it
  bool room_here = false;               // and it could now
  std::vector<const NodeView*> others;  // that have room now; by id
};

/// `others` only if the request may be sent on.
Candidates candidates(const View& view, const Request& request);

/// No node was chosen: wait here, or where it can ever run, or refuse.
Decision without_room(const View& view, const Request& request, const Candidates& found);

/// To `node`, which has room; `why` completes "... because".
Decision take(const View& view, const NodeView& node, const std::string& why);

}  // namespace mobula::scheduler
