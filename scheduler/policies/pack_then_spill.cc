#include "scheduler/policies/pack_then_spill.h"

#include <fmt/format.h>

#include <tuple>

namespace mobula::scheduler {

namespace {
auto preference(const NodeView& node) {
  return std::tuple(-node.available.amount("cpu"), node.queued, node.node);
}
}  // namespace

Decision pack_then_spill(const View& view, const Request& request) {
  const NodeView* here = nullptr;
  const NodeView* free = nullptr;      // another node that can run it now
  const NodeView* feasible = nullptr;  // another node that can run it some time
  for (const NodeView& node : view.nodes) {
    if (node.node == view.self) {
      here = &node;
      continue;
    }
    if (!node.total.covers(request.resources)) continue;
    if (feasible == nullptr || std::tuple(node.queued, node.node) < std::tuple(feasible->queued, feasible->node)) {
      feasible = &node;
    }
    if (node.queued == 0 && node.available.covers(request.resources) &&
        (free == nullptr || preference(node) < preference(*free))) {
      free = &node;
    }
  }
  const bool fits_here = here != nullptr && here->total.covers(request.resources);
  if (fits_here && here->available.covers(request.resources)) return {Verdict::grant, view.self, "there is room here"};
  if (request.may_redirect && free != nullptr) {
    return {Verdict::redirect, free->node, fmt::format("{} is full, {} has room", to_string(view.self), free->name)};
  }
  if (fits_here) {
    return {Verdict::queue, view.self,
            fmt::format("{} is asked for, {} is free here and nowhere more", to_string(request.resources),
                        to_string(here->available))};
  }
  if (request.may_redirect && feasible != nullptr) {
    return {Verdict::redirect, feasible->node,
            fmt::format("{} never has {}, {} has", to_string(view.self), to_string(request.resources), feasible->name)};
  }
  if (!view.complete) return {Verdict::queue, view.self, "the other nodes are not known yet"};
  return {Verdict::infeasible,
          {},
          fmt::format("{} is asked for, but none of the {} node(s) has that much even when idle; this one has {}",
                      to_string(request.resources), view.nodes.size(),
                      here != nullptr ? to_string(here->total) : std::string("nothing"))};
}

}  // namespace mobula::scheduler
