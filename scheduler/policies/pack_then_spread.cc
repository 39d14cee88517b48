#include "scheduler/policies/pack_then_spread.h"

#include <algorithm>
#include <utility>

#include "scheduler/policies/choose.h"

namespace mobula::scheduler {

namespace {

// Each node as often as it has cpus.
const NodeView* dealt_to(const View& view, const Request& request) {
  std::vector<const NodeView*> others;
  std::uint64_t turns = 0;
  const auto turns_of = [](const NodeView& node) {
    return static_cast<std::uint64_t>((node.total.amount("cpu") + Resources::unit - 1) / Resources::unit);
  };
  for (const NodeView& node : view.nodes) {
    if (node.node == view.self || node.total.amount("cpu") <= 0 || !never_on(node, request).empty()) continue;
    others.push_back(&node);
    turns += turns_of(node);
  }
  std::sort(others.begin(), others.end(), [](auto* a, auto* b) { return a->node < b->node; });
  std::uint64_t turn = turns == 0 ? 0 : request.order % turns;
  for (const NodeView* node : others) {
    if (turn < turns_of(*node)) return node;
    turn -= turns_of(*node);
  }
  return nullptr;
}

std::int64_t score(const NodeView& node, const Request& request) {
  const std::int64_t load = load_of(node, request.resources);
  return load < pack_below ? 0 : load;
}

}  // namespace

Decision pack_then_spread(const View& view, const Request& request) {
  const Candidates found = candidates(view, request);
  if (request.near_bytes >= worth_moving_to) {
    if (found.room_here && request.near == view.self) return take(view, *found.here, "its arguments lie here");
    for (const NodeView* node : found.others) {
      if (node->node != request.near) continue;
      return take(view, *node,
                  fmt::format("{:.0f} MB of its arguments lie on {}", double(request.near_bytes) / 1e6, node->name));
    }
  }
  if (request.resources.empty()) {
    const bool cpus_here = found.here != nullptr && found.here->total.amount("cpu") > 0;
    const NodeView* other = cpus_here || !request.may_redirect ? nullptr : dealt_to(view, request);
    if (other != nullptr) {
      return take(view, *other, fmt::format("{} has no cpus, {} has", to_string(view.self), other->name));
    }
    if (found.here != nullptr) return take(view, *found.here, "it reserves nothing");
    return without_room(view, request, found);
  }
  std::vector<std::pair<std::int64_t, const NodeView*>> ranked;
  ranked.reserve(found.others.size());
  for (const NodeView* node : found.others) ranked.emplace_back(score(*node, request), node);
  std::sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first, a.second->node) < std::pair(b.first, b.second->node);
  });
  if (found.room_here) {
    const std::int64_t here = score(*found.here, request);
    if (ranked.empty() || here <= ranked.front().first) {
      return take(view, *found.here, here == 0 ? "less than half is in use here" : "no node with room is less loaded");
    }
  }
  if (ranked.empty()) return without_room(view, request, found);
  const std::size_t best = std::max<std::size_t>(1, (ranked.size() + 4) / 5);
  const NodeView& chosen = *ranked[best == 1 ? 0 : hash_mix(view.self.value, request.order) % best].second;
  const std::string here = found.here == nullptr ? fmt::format("{} will not do", to_string(view.self))
                           : found.room_here     ? fmt::format("{} is more than half full", to_string(view.self))
                                                 : fmt::format("{} is full", to_string(view.self));
  return take(view, chosen, fmt::format("{}, {} has room", here, chosen.name));
}

}  // namespace mobula::scheduler
