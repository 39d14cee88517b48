#include "scheduler/view/eligible.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace mobula::scheduler {

namespace {

bool listed(std::string_view list, const std::string& value) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    if (list.substr(0, comma) == value) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
  return false;
}

bool is_called(const NodeView& node, const std::string& name) {
  return node.name == name || to_string(node.node) == name;
}

}  // namespace

bool label_matches(const std::map<std::string, std::string>& labels, const std::string& key,
                   const std::string& wanted) {
  std::string_view rest = wanted;
  const bool negated = !rest.empty() && rest.front() == '!';
  if (negated) rest.remove_prefix(1);
  const auto found = labels.find(key);
  bool matches = false;
  if (found != labels.end()) {
    if (rest.starts_with("in(") && rest.ends_with(")")) {
      matches = listed(rest.substr(3, rest.size() - 4), found->second);
    } else {
      matches = rest.empty() || found->second == rest;
    }
  }
  return matches != negated;
}

std::string label_mismatch(const std::map<std::string, std::string>& labels,
                           const std::map<std::string, std::string>& wanted) {
  for (const auto& [key, value] : wanted) {
    if (label_matches(labels, key, value)) continue;
    const auto found = labels.find(key);
    return found == labels.end() ? fmt::format("it has no label {} (\"{}\" is asked for)", key, value)
                                 : fmt::format("its {} is {} (\"{}\" is asked for)", key, found->second, value);
  }
  return {};
}

std::string never_on(const NodeView& node, const Request& request) {
  const wire::Placement& placement = request.placement;
  if (!placement.node.empty() && !is_called(node, placement.node)) {
    return fmt::format("only {} will do", placement.node);
  }
  if (!placement.labels.empty()) {
    if (std::string mismatch = label_mismatch(node.labels, placement.labels); !mismatch.empty()) return mismatch;
  }
  if (placement.durable && node.passing) return "it ends with its driver";
  if (std::find(request.avoid.begin(), request.avoid.end(), node.node) != request.avoid.end()) {
    return "it refused, see the error";
  }
  if (!node.total.covers(request.resources)) {
    return fmt::format("even idle it has only {}", to_string(node.total));
  }
  return {};
}

std::string not_now_on(const NodeView& node, const Request& request) {
  if (!node.available.covers(request.resources)) {
    return fmt::format("{} of {} free", to_string(node.available), to_string(node.total));
  }
  if (node.queued != 0) return fmt::format("{} wait there already", node.queued);
  return {};
}

std::int64_t load_of(const NodeView& node, const Resources& asked) {
  const auto load = [&](const std::string& name) -> std::int64_t {
    const std::int64_t total = node.total.amount(name);
    if (total <= 0) return 1000000;
    return (total - node.available.amount(name)) * 1000000 / total;
  };
  if (asked.empty()) return load("cpu");
  std::int64_t highest = 0;
  for (const auto& [name, units] : asked.amounts) highest = std::max(highest, load(name));
  return highest;
}

const Request& softened(const View& view, const Request& request, Request& scratch) {
  if (request.placement.node.empty() || !request.placement.soft) return request;
  for (const NodeView& node : view.nodes) {
    if (is_called(node, request.placement.node) && never_on(node, request).empty()) return request;
  }
  scratch = request;
  scratch.placement.node.clear();
  return scratch;
}

std::string nowhere(const View& view, const Request& request) {
  constexpr std::size_t shown = 4;
  std::string text = fmt::format("{} is asked for, but none of the {} node(s) will ever do",
                                 to_string(request.resources), view.nodes.size());
  std::size_t listed_nodes = 0;
  for (const NodeView& node : view.nodes) {
    if (++listed_nodes > shown) {
      text += fmt::format("; and {} more", view.nodes.size() - shown);
      break;
    }
    text += fmt::format("{} {}: {}", listed_nodes == 1 ? ":" : ";", node.name, never_on(node, request));
  }
  return text;
}

}  // namespace mobula::scheduler
