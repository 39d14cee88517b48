#include "scheduler/policies/in_group.h"

#include <fmt/format.h>

#include <algorithm>

namespace mobula::scheduler {

Decision in_group(const View& view, const Request& request) {
  const wire::Placement& placement = request.placement;
  const auto group = std::find_if(view.groups.begin(), view.groups.end(),
                                  [&](const wire::GroupView& g) { return g.id == placement.group; });
  if (group == view.groups.end()) return {Verdict::queue, view.self, "its placement group is not known here yet"};
  if (!group->ended.empty()) {
    return {Verdict::infeasible, {}, fmt::format("its placement group is no more: {}", group->ended)};
  }
  const auto bundles = static_cast<std::int32_t>(group->nodes.size());
  if (placement.bundle >= bundles) {
    return {Verdict::infeasible,
            {},
            fmt::format("bundle {} is asked for, but its placement group has {}: 0 to {}", placement.bundle, bundles,
                        bundles - 1)};
  }
  NodeId there;
  if (placement.bundle >= 0) {
    there = group->nodes[static_cast<std::size_t>(placement.bundle)];
  } else if (!request.may_redirect &&
             std::find(group->nodes.begin(), group->nodes.end(), view.self) != group->nodes.end()) {
    there = view.self;
  } else {
    for (std::int32_t i = 0; i < bundles && !there; ++i) {
      there = group->nodes[(request.order + static_cast<std::uint64_t>(i)) % group->nodes.size()];
    }
  }
  if (!there) return {Verdict::queue, view.self, "its placement group is being placed"};
  if (there == view.self) return {Verdict::grant, there, "its bundle is here"};
  const NodeView* node = view.find(there);
  return {Verdict::redirect, there,
          fmt::format("its bundle is on {}", node == nullptr ? to_string(there) : node->name)};
}

}  // namespace mobula::scheduler
