#include "runtime/control/control.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace mobula {

Control::Control(ControlOptions options, ControlSink& sink)
    : options_(options),
      sink_(sink),
      groups_({[this](NodeId to, wire::Message&& message) { sink_.send(to, std::move(message)); },
               [this](const ProcessId& to, wire::Message&& message) { sink_.send(to, std::move(message)); },
               [this] { groups_dirty_ = true; }},
              options.may_grow) {}

wire::NodeView* Control::find(NodeId node) {
  const auto found =
      std::find_if(view_.nodes.begin(), view_.nodes.end(), [&](const auto& n) { return n.node == node; });
  return found == view_.nodes.end() ? nullptr : &*found;
}

// This machine may have stood still (it slept, SIGSTOP, far too much load): then it heard nobody for reasons of its
// own, and what the others said lies unread.
void Control::look(Time now) {
  const Duration away = now - std::exchange(looked_, now);
  if (away <= 2 * options_.look_every) return;
  for (auto& [node, member] : members_) {
    member.last_heard += away;
    if (member.disconnected != never) member.disconnected += away;
  }
}

bool Control::on_message(NodeId from, const wire::Message& message, Time now) {
  look(now);
  const bool taken = waits_for_the_rest(from, message) || take(from, message, now);
  settle_if_all_are_here(now);
  tell_groups(now);
  return taken;
}

bool Control::waits_for_the_rest(NodeId from, const wire::Message& message) {
  if (!settling_) return false;
  const bool waits =
      std::holds_alternative<wire::ClaimName>(message) || std::holds_alternative<wire::FindName>(message) ||
      std::holds_alternative<wire::ReleaseName>(message) || std::holds_alternative<wire::CreateDetached>(message) ||
      std::holds_alternative<wire::CreateGroup>(message) || std::holds_alternative<wire::RemoveGroup>(message) ||
      std::holds_alternative<wire::WatchGroup>(message);
  if (waits) waiting_.emplace_back(from, message);
  return waits;
}

bool Control::awaits() const {
  return std::ranges::any_of(members_, [](const auto& entry) { return entry.second.awaited; });
}

void Control::settle_if_all_are_here(Time now) {
  if (!settling_ || awaits() || (!someone_returned_ && now < settle_until_)) return;
  settling_ = false;
  settle_until_ = never;
  groups_.settle(view_.nodes, now);
  for (const auto& [from, message] : std::exchange(waiting_, {})) take(from, message, now);
  groups_dirty_ = true;
}

// Nodes need to know where bundles are before anything can run in them: at once.
void Control::tell_groups(Time now) {
  if (!std::exchange(groups_dirty_, false)) return;
  view_.groups = groups_.views();
  broadcast_view(now);
}

bool Control::take(NodeId from, const wire::Message& message, Time now) {
  if (const auto* joins = std::get_if<wire::JoinCluster>(&message)) return join(from, joins->self, now), true;
  if (const auto* returns = std::get_if<wire::RejoinCluster>(&message)) return rejoin(from, *returns, now), true;
  if (const auto* beat = std::get_if<wire::Heartbeat>(&message)) {
    const auto member = members_.find(from);
    if (member == members_.end()) {
      const auto buried = buried_.find(from);
      sink_.send(from, wire::NodeDied{from, buried == buried_.end() ? "the head does not know this node: join again"
                                                                    : buried->second.reason});
      return true;
    }
    member->second.last_heard = now;
    member->second.disconnected = never;
    member->second.store = beat->store;
    if (member->second.jobs != beat->jobs) {
      member->second.jobs = beat->jobs;
      changed(now);
    }
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
  return on_name_message(message, now) || on_group_message(from, message, now);
}

void Control::join(NodeId from, const wire::NodeView& self, Time now) {
  if (const auto buried = buried_.find(from); buried != buried_.end()) {
    sink_.send(from, wire::JoinReply{false, buried->second.reason});
    return;
  }
  members_[from] = {now, never};
  visitors_.erase(from);
  if (wire::NodeView* known = find(from)) {
    *known = self;
  } else {
    view_.nodes.push_back(self);
  }
  if (from == options_.self && options_.settle > Duration{0}) {
    settling_ = true;
    settle_until_ = now + options_.settle;
    groups_.unsettle();
  }
  sink_.send(from, wire::JoinReply{true, {}});
  broadcast_view(now);
  groups_.members_changed(view_.nodes, now);
}

// Of the members before, some may be dead by now, and some not have found this head yet: these are waited for as long
// as for any member that is silent.
void Control::rejoin(NodeId from, const wire::RejoinCluster& message, Time now) {
  if (!buried_.contains(from)) {
    settling_ = someone_returned_ = true;
    groups_.unsettle();
    members_[from].awaited = true;  // nothing is told to it before its own news are in
    // (Those whom nobody here has for a member need not be told of.)
    const auto bury_once = [&](NodeId node, const std::string& reason) {
      if (members_.contains(node) && node != options_.self && node != from) {
        bury(node, reason, now);
      } else {
        buried_.try_emplace(node, Buried{"", reason, now, true});
      }
    };
    bury_once(message.head, "it ended, and the head was started again");
    for (const NodeId node : message.gone) bury_once(node, "it was dead before the head was started again");
    for (const wire::NodeView& member : message.members) {
      if (members_.contains(member.node) || buried_.contains(member.node)) continue;
      members_[member.node] = {.last_heard = now, .awaited = true};
      view_.nodes.push_back(member);
    }
    for (const wire::ClaimName& claim : message.names) directory_.claim(claim);
    for (const wire::CreateGroup& group : message.groups) groups_.create(group, view_.nodes, now);
    for (const wire::HeldBundle& bundle : message.bundles) groups_.found(from, bundle);
  }
  join(from, message.self, now);
  for (const wire::NodeView& member : message.members) {
    const auto buried = buried_.find(member.node);
    if (buried != buried_.end()) sink_.send(from, wire::NodeDied{member.node, buried->second.reason, member.name});
  }
}

bool Control::on_group_message(NodeId from, const wire::Message& message, Time now) {
  if (const auto* create = std::get_if<wire::CreateGroup>(&message)) {
    if (members_.contains(create->id.creator.node)) groups_.create(*create, view_.nodes, now);
  } else if (const auto* remove = std::get_if<wire::RemoveGroup>(&message)) {
    groups_.remove(remove->id, "it was removed", view_.nodes, now);
  } else if (const auto* watch = std::get_if<wire::WatchGroup>(&message)) {
    groups_.watch(*watch);
  } else if (const auto* reply = std::get_if<wire::BundleReply>(&message)) {
    groups_.on_reply(from, *reply, view_.nodes, now);
  } else {
    return false;
  }
  return true;
}

bool Control::on_name_message(const wire::Message& message, Time now) {
  if (const auto* why = std::get_if<wire::Why>(&message)) {
    return on_why(*why, now), true;
  }
  if (const auto* claim = std::get_if<wire::ClaimName>(&message)) {
    // A claim of a node that was buried meanwhile would never be released.
    if (members_.contains(claim->actor.owner.node)) {
      wire::NameReply reply = directory_.claim(*claim);
      // The node first, which would have to tell another head.
      if (reply.error.code == ErrorCode::none) sink_.send(claim->actor.owner.node, wire::Message(reply));
      sink_.send(claim->actor.owner, std::move(reply));
    }
  } else if (const auto* find = std::get_if<wire::FindName>(&message)) {
    sink_.send(find->asker, wire::Message(directory_.find(*find)));
  } else if (const auto* release = std::get_if<wire::ReleaseName>(&message)) {
    directory_.release(*release);
  } else if (const auto* detached = std::get_if<wire::CreateDetached>(&message)) {
    wire::ClaimName named{detached->tag, detached->name, {}, detached->type, detached->program};
    const auto known = directory_.names().find(detached->name);
    if (known == directory_.names().end()) named.actor = sink_.keep(*detached);
    sink_.send(detached->asker, wire::Message(directory_.claim(named)));
  } else {
    return false;
  }
  return true;
}

void Control::on_why(const wire::Why& message, Time now) {
  wire::WhyAnswer answer{message.id, {}, static_cast<std::uint32_t>(members_.size())};
  for (const auto& [name, entry] : directory_.names()) {
    if (name.name != message.subject) continue;
    answer.lines.push_back(fmt::format("the name '{}' in namespace '{}' is that of a {}, {}, owned by process {}",
                                       name.name, name.space, entry.type, to_string(entry.actor),
                                       to_string(entry.actor.owner)));
  }
  for (std::string& line : groups_.waiting(now)) answer.lines.push_back(std::move(line));
  // How many will answer is told before they are asked.
  sink_.send(message.asker, std::move(answer));
  wire::Why question = message;
  question.all = true;
  for (const auto& [node, member] : members_) sink_.send(node, wire::Message(question));
}

void Control::on_process_died(const ProcessId& process, Time now) {
  look(now);
  std::erase_if(waiting_, [&](const auto& entry) {
    const auto* claim = std::get_if<wire::ClaimName>(&entry.second);
    const auto* group = std::get_if<wire::CreateGroup>(&entry.second);
    return (claim != nullptr && claim->actor.owner == process) || (group != nullptr && group->id.creator == process);
  });
  directory_.process_died(process);
  groups_.process_died(process, view_.nodes, now);
  tell_groups(now);
}

void Control::on_disconnected(NodeId node, Time now) {
  look(now);
  const auto member = members_.find(node);
  if (member != members_.end() && member->second.disconnected == never) member->second.disconnected = now;
  if (visitors_.erase(node) > 0) sink_.visitor_left(node);
}

void Control::on_connected(NodeId node, Time now) {
  look(now);
  const auto member = members_.find(node);
  if (member == members_.end()) return;
  member->second.last_heard = now;
  member->second.disconnected = never;
}

Time Control::deadline(const Member& member) const {
  const Time silence = member.last_heard + options_.heartbeat_timeout;
  return member.disconnected == never ? silence : std::min(silence, member.disconnected + options_.disconnect_grace);
}

void Control::on_timer(Time now) {
  look(now);
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
  groups_.on_timer(view_.nodes, now);
  settle_if_all_are_here(now);
  tell_groups(now);
  if (view_dirty_ && now >= view_due_) broadcast_view(now);
}

Time Control::next_timer() const {
  Time next = std::min(view_dirty_ ? view_due_ : never, groups_.next_timer());
  if (!someone_returned_) next = std::min(next, settle_until_);
  for (const auto& [node, member] : members_) {
    if (node != options_.self) next = std::min({next, deadline(member), looked_ + options_.look_every});
  }
  return next;
}

void Control::bury(NodeId node, const std::string& reason, Time now) {
  members_.erase(node);
  directory_.node_died(node);
  const wire::NodeView* known = find(node);
  const std::string name = known != nullptr ? known->name : std::string();
  buried_[node] = {name, reason, now, false};
  std::erase_if(view_.nodes, [&](const auto& view) { return view.node == node; });
  for (const auto& [member, state] : members_) {
    if (!state.awaited) sink_.send(member, wire::NodeDied{node, reason, name});
  }
  // If it lives after all, it must learn that the others have given it up.
  sink_.send(node, wire::NodeDied{node, reason, name});
  sink_.node_died(node, reason);
  groups_.node_died(node, view_.nodes, now);
  groups_dirty_ = false;
  view_.groups = groups_.views();
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
    reply.members.push_back({view, head, member.disconnected == never, head ? 0 : ms_since(member.last_heard),
                             head ? sink_.own_store() : member.store});
  }
  for (const auto& [node, buried] : buried_) {
    if (!buried.before) reply.gone.push_back({node, buried.name, buried.reason, ms_since(buried.when)});
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
  if (settling_ && someone_returned_) return;  // those who returned know more; all of it goes out when it is settled
  view_sent_ = now;
  ++view_.version;
  std::map<std::uint64_t, Resources> uses;
  for (const auto& [member, state] : members_) {
    for (const wire::JobUse& use : state.jobs) uses[use.job] += use.held;
  }
  view_.jobs.clear();
  for (auto& [job, held] : uses) view_.jobs.push_back({job, std::move(held)});
  for (const auto& [member, state] : members_) sink_.send(member, wire::Message(view_));
}

}  // namespace mobula
