#include "scheduler/policies/what_would_fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

namespace mobula::scheduler {
namespace {

Resources lacking(const Resources& has, const Resources& wanted) {
  Resources lack;
  for (const auto& [name, units] : wanted.amounts) lack.set(name, std::max<std::int64_t>(0, units - has.amount(name)));
  return lack;
}

}  // namespace

std::string what_would_fit(const View& view, const Resources& resources, bool may_grow) {
  // The closest lacks the fewest kinds of things; among equals the one with the most cpus.
  const NodeView* closest = nullptr;
  for (const NodeView& node : view.nodes) {
    const std::size_t kinds = lacking(node.total, resources).amounts.size();
    if (closest == nullptr || kinds < lacking(closest->total, resources).amounts.size() ||
        (kinds == lacking(closest->total, resources).amounts.size() &&
         node.total.amount("cpu") > closest->total.amount("cpu"))) {
      closest = &node;
    }
  }
  const std::string asked = to_string(resources);
  if (closest == nullptr) return fmt::format("{} is asked for, and there is no node", asked);
  const std::string nodes =
      view.nodes.size() == 1
          ? fmt::format("{} has only {}", closest->name.empty() ? "this node" : closest->name,
                        to_string(closest->total))
          : fmt::format("none of the {} nodes has that much even when idle; {} comes closest with {}",
                        view.nodes.size(), closest->name, to_string(closest->total));
  return fmt::format("{} is asked for, but {}, so {} more is missing; {}ask for less", asked, nodes,
                     to_string(lacking(closest->total, resources)),
                     may_grow ? fmt::format("start a node with at least {} (mobula node), or ", asked)
                              : "start the runtime with more (StartOptions), or ");
}

}  // namespace mobula::scheduler
