#include "runtime/control/control.h"

#include <fmt/format.h>

#include <algorithm>

namespace mobula {

Control::Control(ControlOptions options, ControlSink& sink) : options_(options), sink_(sink) {}

wire::NodeView* Control::find(NodeId node) {
  const auto found =
      std::find_if(view_.nodes.begin(), view_.nodes.end(), [&](const auto& n) { return n.node == node; });
  return found == view_.nodes.end() ? nullptr : &*found;
}

bool Control::on_message(NodeId from, const wire::Message& message, Time now) {
  if (const auto* join = std::get_if<wire::JoinCluster>(&message)) {
    if (const auto buried = buried_.find(from); buried != buried_.end()) {
      sink_.send(from, wire::JoinReply{false, buried->second.reason});
      return true;
    }
    members_[from] = {now, never};
    visitors_.erase(from);
    if (wire::NodeView* known = find(from)) {
      *known = join->self;
    } else {
      view_.nodes.push_back(join->self);
    }
    sink_.send(from, wire::JoinReply{true, {}});
    broadcast_view(now);
    return true;
  }
  if (const auto* beat = std::get_if<wire::Heartbeat>(&message)) {
    const auto member = members_.find(from);
    if (member == members_.end()) {
      const auto buried = buried_.find(from);
      sink_.send(from, wire::NodeDied{from, buried == buried_.end() ? "the head does not know this node: join again"
                                                                    : buried->second.reason});
      return true;
    }
    member->second = {now, never};
    wire::NodeView& view = *find(from);
    if (view.available != beat->available || view.queued != beat->queued) {
      view.available = beat->available;
      view.queued = beat->queued;
      changed(now);
    }
    return true;
  }
  if (std::holds_alternative<wire::StatusRequest>(message)) {
    if (!members_.contains(from)) visitors_.insert(from);
    sink_.send(from, status(now));
    return true;
  }
  if (const auto* leave = std::get_if<wire::LeaveCluster>(&message)) {
    if (members_.contains(leave->node) && leave->node == from) bury(from, "it left", now);
    return true;
  }
  return false;
}

void Control::on_disconnected(NodeId node, Time now) {
  const auto member = members_.find(node);
  if (member != members_.end() && member->second.disconnected == never) member->second.disconnected = now;
  if (visitors_.erase(node) > 0) sink_.visitor_left(node);
}

void Control::on_connected(NodeId node, Time now) {
  const auto member = members_.find(node);
  if (member != members_.end()) member->second = {now, never};
}

Time Control::deadline(const Member& member) const {
  const Time silence = member.last_heard + options_.heartbeat_timeout;
  return member.disconnected == never ? silence : std::min(silence, member.disconnected + options_.disconnect_grace);
}

void Control::on_timer(Time now) {
  std::vector<std::pair<NodeId, std::string>> dead;
  for (const auto& [node, member] : members_) {
    if (node == options_.self || now < deadline(member)) continue;
    const auto silent = std::chrono::duration<double>(now - member.last_heard).count();
    dead.emplace_back(
        node, member.disconnected == never
                  ? fmt::format("no heartbeat for {:.1f} s", silent)
                  : fmt::format("its connection closed and did not come back, no heartbeat for {:.1f} s", silent));
  }
  for (const auto& [node, reason] : dead) bury(node, reason, now);
  if (view_dirty_ && now >= view_due_) broadcast_view(now);
}

Time Control::next_timer() const {
  Time next = view_dirty_ ? view_due_ : never;
  for (const auto& [node, member] : members_) {
    if (node != options_.self) next = std::min(next, deadline(member));
  }
  return next;
}

void Control::bury(NodeId node, const std::string& reason, Time now) {
  members_.erase(node);
  const wire::NodeView* known = find(node);
  buried_[node] = {known != nullptr ? known->name : std::string(), reason, now};
  std::erase_if(view_.nodes, [&](const auto& view) { return view.node == node; });
  for (const auto& [member, state] : members_) sink_.send(member, wire::NodeDied{node, reason});
  // If it lives after all, it must learn that the others have given it up.
  sink_.send(node, wire::NodeDied{node, reason});
  sink_.node_died(node, reason);
  broadcast_view(now);
}

wire::StatusReply Control::status(Time now) const {
  constexpr std::size_t most_gone = 20;
  const auto ms_since = [now](Time then) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(now - then).count();
  };
  wire::StatusReply reply;
  reply.view_version = view_.version;
  for (const wire::NodeView& view : view_.nodes) {
    const Member& member = members_.at(view.node);
    const bool head = view.node == options_.self;
    // The head need not hear of itself.
    reply.members.push_back({view, head, member.disconnected == never, head ? 0 : ms_since(member.last_heard)});
  }
  for (const auto& [node, buried] : buried_) {
    reply.gone.push_back({node, buried.name, buried.reason, ms_since(buried.when)});
  }
  std::ranges::sort(reply.gone, {}, [](const auto& gone) { return std::pair(gone.gone_for_ms, gone.node); });
  if (reply.gone.size() > most_gone) reply.gone.resize(most_gone);
  return reply;
}

void Control::changed(Time now) {
  if (view_dirty_) return;
  view_dirty_ = true;
  view_due_ = std::max(now, view_sent_ + options_.view_interval);
}

void Control::broadcast_view(Time now) {
  view_dirty_ = false;
  view_due_ = never;
  view_sent_ = now;
  ++view_.version;
  for (const auto& [member, state] : members_) sink_.send(member, wire::Message(view_));
}

}  // namespace mobula
