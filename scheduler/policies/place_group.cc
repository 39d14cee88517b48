#include "scheduler/policies/place_group.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

#include "scheduler/view/eligible.h"

namespace mobula::scheduler {

namespace {

using wire::GroupStrategy;

std::int64_t size_of(const Resources& resources) {
  std::int64_t size = 0;
  for (const auto& [name, units] : resources.amounts) size += units;
  return size;
}

struct Room {
  const NodeView* node;
  Resources left;
  std::size_t bundles = 0;  // of the group
};

bool fits(const Room& room, const wire::Bundle& bundle) {
  return room.left.covers(bundle.resources) && label_mismatch(room.node->labels, bundle.labels).empty();
}

const wire::Bundle* fits_nowhere(const std::vector<NodeView>& nodes, const std::vector<wire::Bundle>& bundles) {
  for (const wire::Bundle& bundle : bundles) {
    const bool some = std::any_of(nodes.begin(), nodes.end(), [&](const NodeView& node) {
      return node.total.covers(bundle.resources) && label_mismatch(node.labels, bundle.labels).empty();
    });
    if (!some) return &bundle;
  }
  return nullptr;
}

GroupPlan on_one_node(const std::vector<NodeView>& nodes, const std::vector<wire::Bundle>& bundles,
                      const std::vector<NodeId>& placed) {
  Resources all;
  for (std::size_t i = 0; i < bundles.size(); ++i) {
    if (!placed[i]) all += bundles[i].resources;
  }
  const NodeId fixed = *std::max_element(placed.begin(), placed.end());
  const NodeView* best = nullptr;
  bool ever = false;
  for (const NodeView& node : nodes) {
    const bool labels = std::all_of(bundles.begin(), bundles.end(), [&](const wire::Bundle& bundle) {
      return label_mismatch(node.labels, bundle.labels).empty();
    });
    if (!labels || (fixed && node.node != fixed)) continue;
    ever |= node.total.covers(all);
    if (!node.available.covers(all)) continue;
    // The tightest, so that large groups find whole nodes.
    if (best == nullptr ||
        std::tuple(size_of(node.available), node.node) < std::tuple(size_of(best->available), best->node)) {
      best = &node;
    }
  }
  if (best != nullptr) return {std::vector<NodeId>(bundles.size(), best->node), {}, false};
  return {{},
          fmt::format("all bundles together are {}: no node has that much{}", to_string(all),
                      ever ? " free" : " even when idle"),
          !ever};
}

}  // namespace

GroupPlan place_group(const std::vector<NodeView>& nodes, GroupStrategy strategy,
                      const std::vector<wire::Bundle>& bundles, const std::vector<NodeId>& given) {
  std::vector<NodeId> placed = given;
  placed.resize(bundles.size());
  if (bundles.empty()) return {{}, "a placement group needs at least one bundle", true};
  if (const wire::Bundle* bundle = fits_nowhere(nodes, bundles)) {
    Request request;
    request.resources = bundle->resources;
    request.placement.labels = bundle->labels;
    return {{}, "a bundle: " + nowhere({{}, true, nodes}, request), true};
  }
  if (strategy == GroupStrategy::strict_pack) return on_one_node(nodes, bundles, placed);
  if (strategy == GroupStrategy::strict_spread && bundles.size() > nodes.size()) {
    return {{},
            fmt::format("{} bundles shall be on nodes of their own, and there are {}", bundles.size(), nodes.size()),
            true};
  }
  std::vector<Room> rooms;
  for (const NodeView& node : nodes) rooms.push_back({&node, node.available});
  for (const NodeId node : placed) {
    for (Room& room : rooms) room.bundles += room.node->node == node;
  }
  std::vector<std::size_t> order(bundles.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return size_of(bundles[a].resources) > size_of(bundles[b].resources);
  });
  for (const std::size_t i : order) {
    if (placed[i]) continue;
    Room* best = nullptr;
    const auto rank = [&](const Room& room) {
      const auto held = static_cast<std::int64_t>(room.bundles);
      const std::int64_t used = strategy == GroupStrategy::pack ? -std::min<std::int64_t>(held, 1) : held;
      return std::tuple(used, -size_of(room.left), room.node->node);
    };
    for (Room& room : rooms) {
      if (!fits(room, bundles[i]) || (strategy == GroupStrategy::strict_spread && room.bundles != 0)) continue;
      if (best == nullptr || rank(room) < rank(*best)) best = &room;
    }
    if (best == nullptr) {
      return {{}, fmt::format("no node has room for bundle {} ({}) now", i, to_string(bundles[i].resources)), false};
    }
    best->left -= bundles[i].resources;
    ++best->bundles;
    placed[i] = best->node->node;
  }
  return {placed, {}, false};
}

}  // namespace mobula::scheduler
