#include "scheduler/policies/choose.h"

#include <algorithm>

namespace mobula::scheduler {

Candidates candidates(const View& view, const Request& request) {
  Candidates found;
  for (const NodeView& node : view.nodes) {
    if (node.node == view.self) {
      if (!never_on(node, request).empty()) continue;
      found.here = &node;
      // What waits here was considered before: it set aside what it needs.
      found.room_here = node.available.covers(request.resources);
    } else if (request.may_redirect && node.queued == 0 && node.available.covers(request.resources) &&
               never_on(node, request).empty()) {
      found.others.push_back(&node);
    }
  }
  std::sort(found.others.begin(), found.others.end(), [](auto* a, auto* b) { return a->node < b->node; });
  return found;
}

Decision without_room(const View& view, const Request& request, const Candidates& found) {
  if (found.here != nullptr) {
    return {Verdict::queue, view.self,
            fmt::format("{} is asked for, {} is free here and nowhere more", to_string(request.resources),
                        to_string(found.here->available))};
  }
  const NodeView* shortest = nullptr;
  for (const NodeView& node : view.nodes) {
    if (node.node == view.self || !never_on(node, request).empty()) continue;
    if (shortest == nullptr || std::tuple(node.queued, node.node) < std::tuple(shortest->queued, shortest->node)) {
      shortest = &node;
    }
  }
  if (shortest != nullptr) {
    const NodeView* self = view.find(view.self);
    return {Verdict::redirect, shortest->node,
            fmt::format("never on {} ({}); all others are full, {} has the shortest queue", to_string(view.self),
                        self == nullptr ? "it is not a member" : never_on(*self, request), shortest->name)};
  }
  if (!view.complete) return {Verdict::queue, view.self, "the other nodes are not known yet"};
  return {Verdict::infeasible, {}, nowhere(view, request)};
}

Decision take(const View& view, const NodeView& node, const std::string& why) {
  return {node.node == view.self ? Verdict::grant : Verdict::redirect, node.node, why};
}

}  // namespace mobula::scheduler
