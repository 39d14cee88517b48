#include "runtime/control/groups.h"

#include <fmt/format.h>

#include <algorithm>

#include "scheduler/policies/place_group.h"

namespace mobula {

namespace {
constexpr std::uint32_t patience_ms = 1000;  // of a node: leases are given back in that time, or will not be soon
constexpr Duration retry_after = std::chrono::milliseconds(250);
constexpr std::size_t remembered = 256;  // groups that ended, for requests that come late
}  // namespace

bool Groups::Group::placed() const {
  return std::all_of(slots.begin(), slots.end(), [](const Slot& slot) { return slot.phase == Phase::committed; });
}

bool Groups::Group::may_have(NodeId node) const {
  return std::all_of(slots.begin(), slots.end(), [&](const Slot& slot) {
    if (slot.phase == Phase::none) return true;
    if (spec.strategy == wire::GroupStrategy::strict_spread) return slot.node != node;
    return spec.strategy != wire::GroupStrategy::strict_pack || slot.node == node;
  });
}

Groups::Group* Groups::find(const wire::GroupId& id) {
  const auto found = std::find_if(groups_.begin(), groups_.end(), [&](const Group& g) { return g.spec.id == id; });
  return found == groups_.end() ? nullptr : &*found;
}

void Groups::create(const wire::CreateGroup& message, const std::vector<wire::NodeView>& members, Time now) {
  if (find(message.id) != nullptr) return;
  Group& group = groups_.emplace_back();
  group.spec = message;
  group.slots.resize(message.bundles.size());
  group.since = now;
  group.why = "others are being placed first";
  sink_.changed();
  try_next(members, now);
}

void Groups::found(NodeId node, const wire::HeldBundle& bundle) {
  last_attempt_ = std::max(last_attempt_, bundle.attempt);  // it is not to be taken for one of ours
  found_.emplace_back(node, bundle);
}

void Groups::settle(const std::vector<wire::NodeView>& members, Time now) {
  settled_ = true;
  // Those that were ready for use first, then those of the latest attempt. (An older one may be as good: what a head
  // found and could not say so to the node, before it died too.)
  std::ranges::stable_sort(found_, {},
                           [](const auto& found) { return std::pair(!found.second.committed, ~found.second.attempt); });
  for (const auto& [node, bundle] : std::exchange(found_, {})) {
    Group* group = find(bundle.group);
    const bool wanted = group != nullptr && group->ended.empty() && bundle.bundle < group->slots.size();
    if (wanted && (bundle.committed || group->may_have(node)) && group->slots[bundle.bundle].phase == Phase::none) {
      group->slots[bundle.bundle] = {node, Phase::committed, bundle.attempt};
      group->why = "the head was started again, and not all of its bundles were found";
      // (Who waits for the group may have been told that it is placed before the node was.)
      if (!bundle.committed) sink_.to_node(node, wire::CommitBundle{bundle.group, bundle.bundle, bundle.attempt});
    } else {
      sink_.to_node(node, wire::ReturnBundle{bundle.group, bundle.bundle, bundle.attempt,
                                             wanted ? "it was part of an attempt that failed"
                                                    : "its group is no more since the head was started again"});
    }
  }
  for (Group& group : groups_) {
    if (!group.watchers.empty()) tell(group);
  }
  sink_.changed();
  try_next(members, now);
}

void Groups::remove(const wire::GroupId& id, const std::string& reason, const std::vector<wire::NodeView>& members,
                    Time now) {
  Group* group = find(id);
  if (group == nullptr || !group->ended.empty()) return;
  end(*group, ErrorCode::unavailable, reason);
  try_next(members, now);
}

void Groups::end(Group& group, ErrorCode code, const std::string& reason) {
  for (std::size_t i = 0; i < group.slots.size(); ++i) {
    Slot& slot = group.slots[i];
    if (slot.phase != Phase::none) {
      sink_.to_node(slot.node, wire::ReturnBundle{group.spec.id, static_cast<std::uint32_t>(i), slot.attempt, reason});
    }
    slot = {};
  }
  group.ended = reason;
  group.ended_code = code;
  if (reserving_ == group.spec.id) reserving_ = {};
  tell(group);
  std::size_t ended = 0;
  for (const Group& each : groups_) ended += !each.ended.empty();
  if (ended > remembered) {
    groups_.erase(std::find_if(groups_.begin(), groups_.end(), [](const Group& g) { return !g.ended.empty(); }));
  }
  sink_.changed();
}

void Groups::watch(const wire::WatchGroup& message) {
  Group* group = find(message.id);
  if (group == nullptr) {
    wire::GroupPlaced unknown{message.id, {}, {}};
    unknown.error.code = ErrorCode::unavailable;
    unknown.error.message = "the head does not know this placement group: it was removed long ago, or never made";
    sink_.to_process(message.watcher, std::move(unknown));
    return;
  }
  group->watchers.push_back(message.watcher);
  tell(*group);
}

void Groups::tell(Group& group) {
  if (group.ended.empty() && !group.placed()) return;
  wire::GroupPlaced message{group.spec.id, {}, {}};
  if (group.ended.empty()) {
    for (const Slot& slot : group.slots) message.nodes.push_back(slot.node);
  } else {
    message.error.code = group.ended_code;
    message.error.message =
        fmt::format("placement group{}{}: {}", group.spec.name.empty() ? "" : " ", group.spec.name, group.ended);
  }
  for (const ProcessId& watcher : std::exchange(group.watchers, {})) {
    sink_.to_process(watcher, wire::Message(message));
  }
}

// What may be planned with: all that a node has, less the bundles it keeps. Leases are given back for the rest.
std::vector<wire::NodeView> Groups::capacity(const std::vector<wire::NodeView>& members) const {
  std::vector<wire::NodeView> nodes = members;
  for (wire::NodeView& node : nodes) {
    node.available = node.total;
    for (const Group& group : groups_) {
      for (std::size_t i = 0; i < group.slots.size(); ++i) {
        if (group.slots[i].node == node.node) node.available -= group.spec.bundles[i].resources;
      }
    }
  }
  return nodes;
}

bool Groups::begin(Group& group, const std::vector<wire::NodeView>& members, Time now) {
  std::vector<NodeId> kept;
  for (const Slot& slot : group.slots) kept.push_back(slot.phase == Phase::committed ? slot.node : NodeId{});
  const auto without_refusals = [&](std::vector<wire::NodeView> nodes) {
    for (wire::NodeView& node : nodes) {
      if (std::find(group.refused.begin(), group.refused.end(), node.node) != group.refused.end()) node.available = {};
    }
    return nodes;
  };
  // Where there is room now, as far as the head knows (what was reserved since the last news is gone too), else where
  // there will be.
  const std::vector<wire::NodeView> later = capacity(members);
  std::vector<wire::NodeView> soon = members;
  for (std::size_t i = 0; i < soon.size(); ++i) {
    for (const auto& [name, units] : members[i].available.amounts) {
      soon[i].available.set(name, std::min(units, later[i].available.amount(name)));
    }
  }
  scheduler::GroupPlan plan =
      scheduler::place_group(without_refusals(soon), group.spec.strategy, group.spec.bundles, kept);
  if (plan.nodes.empty()) {
    plan = scheduler::place_group(without_refusals(later), group.spec.strategy, group.spec.bundles, kept);
  }
  group.refused.clear();
  if (plan.never && !may_grow_) {
    end(group, ErrorCode::infeasible, plan.reason);
    return false;
  }
  if (plan.nodes.empty()) {
    group.why = plan.reason;
    retry_ = std::min(retry_, now + retry_after);
    return false;
  }
  group.attempt = ++last_attempt_;
  reserving_ = group.spec.id;
  for (std::size_t i = 0; i < group.slots.size(); ++i) {
    Slot& slot = group.slots[i];
    if (slot.phase == Phase::committed) continue;
    slot = {plan.nodes[i], Phase::asked, group.attempt};
    sink_.to_node(slot.node, wire::ReserveBundle{group.spec.id, static_cast<std::uint32_t>(i), group.attempt,
                                                 patience_ms, group.spec.bundles[i].resources});
  }
  return true;
}

void Groups::try_next(const std::vector<wire::NodeView>& members, Time now) {
  if (reserving_ || !settled_) return;
  // (begin() may end a group, and the list drops old ended ones: by id.)
  std::vector<wire::GroupId> waiting;
  for (const Group& group : groups_) {
    if (group.ended.empty() && !group.placed()) waiting.push_back(group.spec.id);
  }
  for (const wire::GroupId& id : waiting) {
    Group* group = find(id);
    if (group != nullptr && begin(*group, members, now)) return;
  }
}

void Groups::on_reply(NodeId from, const wire::BundleReply& message, const std::vector<wire::NodeView>& members,
                      Time now) {
  Group* group = find(message.id);
  Slot* slot = group != nullptr && message.bundle < group->slots.size() ? &group->slots[message.bundle] : nullptr;
  if (slot == nullptr || slot->node != from || slot->attempt != message.attempt || slot->phase != Phase::asked) {
    return;  // it was given back meanwhile, and the node has been told
  }
  if (message.reserved) {
    slot->phase = Phase::reserved;
  } else {
    group->why = message.reason;
    group->refused.push_back(from);
    *slot = {};
  }
  conclude(*group, members, now);
}

// All answers are there: commit, or give back and try again.
void Groups::conclude(Group& group, const std::vector<wire::NodeView>& members, Time now) {
  bool all = true;
  for (const Slot& slot : group.slots) {
    if (slot.phase == Phase::asked) return;
    all &= slot.phase != Phase::none;
  }
  reserving_ = {};
  for (std::size_t i = 0; i < group.slots.size(); ++i) {
    Slot& slot = group.slots[i];
    if (slot.phase != Phase::reserved) continue;
    const auto bundle = static_cast<std::uint32_t>(i);
    if (all) {
      slot.phase = Phase::committed;
      sink_.to_node(slot.node, wire::CommitBundle{group.spec.id, bundle, slot.attempt});
    } else {
      sink_.to_node(slot.node, wire::ReturnBundle{group.spec.id, bundle, slot.attempt,
                                                  "another bundle of its group could not be reserved"});
      slot = {};
    }
  }
  if (all) {
    group.why.clear();
    tell(group);
    sink_.changed();
    try_next(members, now);
  } else {
    retry_ = std::min(retry_, now + retry_after);
  }
}

void Groups::node_died(NodeId node, const std::vector<wire::NodeView>& members, Time now) {
  std::erase_if(found_, [&](const auto& bundle) { return bundle.first == node; });
  bool changed = false;
  for (Group& group : groups_) {
    bool hit = false;
    for (Slot& slot : group.slots) {
      if (slot.node != node) continue;
      slot = {};
      hit = true;
    }
    if (!hit) continue;
    changed = true;
    group.why = fmt::format("node {} died with some of its bundles", to_string(node));
    if (reserving_ == group.spec.id) conclude(group, members, now);
  }
  std::vector<wire::GroupId> orphans;
  for (const Group& group : groups_) {
    if (group.spec.id.creator.node == node && group.ended.empty()) orphans.push_back(group.spec.id);
  }
  for (const wire::GroupId& id : orphans) remove(id, "the node of the process that made it died", members, now);
  if (changed) sink_.changed();
  try_next(members, now);
}

void Groups::process_died(const ProcessId& process, const std::vector<wire::NodeView>& members, Time now) {
  std::vector<wire::GroupId> orphans;
  for (const Group& group : groups_) {
    if (group.spec.id.creator == process && group.ended.empty()) orphans.push_back(group.spec.id);
    // Who is dead is told nothing; the id may be that of a watcher too.
  }
  for (Group& group : groups_) std::erase(group.watchers, process);
  for (const wire::GroupId& id : orphans) remove(id, "the process that made it ended", members, now);
}

void Groups::members_changed(const std::vector<wire::NodeView>& members, Time now) {
  try_next(members, now);
}

void Groups::on_timer(const std::vector<wire::NodeView>& members, Time now) {
  if (now < retry_) return;
  retry_ = never;
  try_next(members, now);
}

std::vector<wire::GroupView> Groups::views() const {
  std::vector<wire::GroupView> views;
  for (const Group& group : groups_) {
    wire::GroupView view{group.spec.id, {}, group.ended};
    if (group.ended.empty()) {
      for (const Slot& slot : group.slots) {
        view.nodes.push_back(slot.phase == Phase::committed ? slot.node : NodeId{});
      }
    }
    views.push_back(std::move(view));
  }
  return views;
}

std::vector<std::string> Groups::waiting(Time now) const {
  std::vector<std::string> lines;
  for (const Group& group : groups_) {
    if (!group.ended.empty() || group.placed()) continue;
    lines.push_back(fmt::format("placement group {}#{}{}{} waits since {:.1f} s: {}", to_string(group.spec.id.creator),
                                group.spec.id.number, group.spec.name.empty() ? "" : " ", group.spec.name,
                                std::chrono::duration<double>(now - group.since).count(), group.why));
  }
  return lines;
}

}  // namespace mobula
