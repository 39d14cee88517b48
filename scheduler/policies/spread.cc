#include "scheduler/policies/spread.h"

#include <algorithm>

#include "scheduler/policies/choose.h"

namespace mobula::scheduler {

Decision spread(const View& view, const Request& request) {
  Candidates found = candidates(view, request);
  if (found.room_here) found.others.push_back(found.here);
  if (found.others.empty()) return without_room(view, request, found);
  std::vector<const NodeView*>& nodes = found.others;
  std::sort(nodes.begin(), nodes.end(), [](auto* a, auto* b) { return a->node < b->node; });
  if (request.resources.empty()) {
    const NodeView& next = *nodes[request.order % nodes.size()];
    return take(view, next, fmt::format("{} is next of the {} that take turns", next.name, nodes.size()));
  }
  std::int64_t lowest = INT64_MAX;
  for (const NodeView* node : nodes) lowest = std::min(lowest, load_of(*node, request.resources));
  std::erase_if(nodes, [&](const NodeView* node) { return load_of(*node, request.resources) != lowest; });
  const NodeView& next = *nodes[request.order % nodes.size()];
  return take(view, next, fmt::format("{} is the least loaded, {:.0f} % in use", next.name, double(lowest) / 1e4));
}

}  // namespace mobula::scheduler
