#include "scheduler/policies/pack_then_spill.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

namespace mobula::scheduler {

namespace {
auto preference(const NodeView& node) {
  return std::tuple(-node.available.amount("cpu"), node.queued, node.node);
}
// Where work that reserves nothing goes from a node without cpus: nothing fills up by it, so the others take turns by
// the order of arrival, each as often as it has cpus. None if no other node has any.
const NodeView* dealt_to(const View& view, std::uint64_t order) {
  std::vector<std::pair<NodeId, const NodeView*>> others;
  std::uint64_t turns = 0;
  const auto turns_of = [](const NodeView& node) {
    return static_cast<std::uint64_t>((node.total.amount("cpu") + Resources::unit - 1) / Resources::unit);
  };
  for (const NodeView& node : view.nodes) {
    if (node.node == view.self || node.total.amount("cpu") <= 0) continue;
    others.emplace_back(node.node, &node);
    turns += turns_of(node);
  }
  if (others.empty()) return nullptr;
  std::sort(others.begin(), others.end());
  std::uint64_t turn = order % turns;
  for (const auto& [id, node] : others) {
    if (turn < turns_of(*node)) return node;
    turn -= turns_of(*node);
  }
  return nullptr;
}

}  // namespace

Decision pack_then_spill(const View& view, const Request& request) {
  if (request.resources.empty() && request.may_redirect) {
    const auto here = std::find_if(view.nodes.begin(), view.nodes.end(), [&](auto& n) { return n.node == view.self; });
    if (here == view.nodes.end() || here->total.amount("cpu") == 0) {
      if (const NodeView* other = dealt_to(view, request.order)) {
        return {Verdict::redirect, other->node,
                fmt::format("{} has no cpus, {} has", to_string(view.self), other->name)};
      }
    }
  }
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
