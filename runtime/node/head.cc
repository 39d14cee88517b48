// A head that dies and is started again knows nothing. What it knew of this node lies here: names and groups of local
// processes, bundles that were set aside, who the members are and who is dead. All of it goes to the new head in one
// message, so that what it knows of a node is whole or not there (docs/internals/head.md).
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "runtime/node/node_impl.h"

namespace mobula {

wire::NodeView Node::Impl::self_view() const {
  wire::NodeView self;
  self.node = self_;
  self.name = options_.name;
  self.address = options_.address;
  self.total = options_.resources;
  self.available = available_;
  self.labels = options_.labels;
  self.passing = options_.passing;
  return self;
}

void Node::Impl::head_is_here() {
  head_gone_.reset();
  names_due_ = never;
  nameless_ = false;
}

// Tag 0 is for every question that waits.
wire::NameReply Node::Impl::nobody_names(std::uint64_t tag) const {
  wire::NameReply reply;
  reply.tag = tag;
  reply.error.code = ErrorCode::unavailable;
  reply.error.message = fmt::format(
      "names are kept by the head, and there has been none for {} s ({}); start it again with `mobula head` at the "
      "same "
      "address with the same keys: the cluster goes on where it was",
      std::chrono::duration_cast<std::chrono::seconds>(options_.names_patience).count(), *head_gone_);
  return reply;
}

void Node::Impl::remember(const wire::Message& asked) {
  if (const auto* release = std::get_if<wire::ReleaseName>(&asked)) {
    const auto known = names_.find(release->name);
    if (known != names_.end() && known->second.actor == release->actor) names_.erase(known);
  } else if (const auto* create = std::get_if<wire::CreateGroup>(&asked)) {
    groups_[create->id] = *create;
  } else if (const auto* remove = std::get_if<wire::RemoveGroup>(&asked)) {
    groups_.erase(remove->id);
    removed_.insert(remove->id);
  }
}

// The head tells the node before the process: whoever knows that it has a name can rely on it.
void Node::Impl::on_named(const wire::NameReply& message) {
  const ProcessId& owner = message.actor.owner;
  if (!workers_.contains(owner) && !drivers_.contains(owner)) return;
  names_[message.name] = {message.tag, message.name, message.actor, message.type, message.program};
}

void Node::Impl::forget_ended_groups(const std::vector<wire::GroupView>& groups) {
  for (const wire::GroupView& group : groups) {
    if (!group.ended.empty()) groups_.erase(group.id);
  }
  std::erase_if(removed_, [&](const wire::GroupId& id) {
    return std::ranges::none_of(groups, [&](const auto& group) { return group.id == id && group.ended.empty(); });
  });
}

void Node::Impl::forget_what_it_made(const ProcessId& process) {
  std::erase_if(names_, [&](const auto& entry) { return entry.second.actor.owner == process; });
  std::erase_if(groups_, [&](const auto& entry) { return entry.first.creator == process; });
}

void Node::Impl::on_new_head(NodeId head, Time now) {
  const NodeId before = std::exchange(head_, head);
  head_due_ = never;
  head_is_here();
  reservations_.clear();  // nobody waits for these any more
  if (taken_in_ || joined_) {
    rejoin(before);
  } else {  // the one before died too early to know of anything
    sink_.send(node_process(head_), wire::JoinCluster{self_view()});
    for (const auto& [id, group] : groups_) sink_.send(node_process(head_), wire::Message(group));
  }
  for (const wire::GroupId& id : removed_) sink_.send(node_process(head_), wire::RemoveGroup{id});
  tell_local(wire::HeadChanged{head_});
  heartbeat(now);
}

void Node::Impl::rejoin(NodeId before) {
  wire::RejoinCluster message;
  message.self = self_view();
  message.head = before;
  for (const wire::NodeView& node : view_.nodes) {
    if (node.node != self_ && node.node != before) message.members.push_back(node);
  }
  message.gone.assign(dead_nodes_.begin(), dead_nodes_.end());
  for (const auto& [name, claim] : names_) message.names.push_back(claim);
  for (const auto& [id, group] : groups_) message.groups.push_back(group);
  for (const auto& [key, bundle] : bundles_) {
    message.bundles.push_back({key.first, key.second, bundle.attempt, bundle.committed});
  }
  sink_.send(node_process(head_), std::move(message));
  // Deaths are told to those in the view, and the next view comes when all have returned.
  if (view_.find(head_) == nullptr) view_.nodes.emplace_back().node = head_;
}

}  // namespace mobula
