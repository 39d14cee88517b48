// The one interface of all policies: a pure function of a view and a request. Nodes call decide(); tests, the model of
// a cluster and the replay of a recorded log may call any of them by name.
#pragma once

#include <span>
#include <string_view>

#include "scheduler/view/view.h"

namespace mobula::scheduler {

/// Never looks at anything but its arguments; ties are decided by ids and the request's order, so that the same
/// question has the same answer whatever the order of the members.
using Decide = Decision (*)(const View& view, const Request& request);

struct Policy {
  std::string_view name;
  std::string_view describes;  // one sentence
  Decide decide;
};

/// What nodes do. By the request's placement: inside a group (in_group), spread, else pack_then_spread; a wish for a
/// node or for labels narrows the nodes that any of them sees.
Decision decide(const View& view, const Request& request);

/// The same with another policy for what has no placement of its own.
Decision decide_with(Decide otherwise, const View& view, const Request& request);

/// Those that may take the place of pack_then_spread; it is the first.
std::span<const Policy> policies();
const Policy* find_policy(std::string_view name);  // null if there is none

}  // namespace mobula::scheduler
