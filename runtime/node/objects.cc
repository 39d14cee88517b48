// Objects of other nodes: fetched once, kept until their owner frees them.
#include "runtime/node/node_impl.h"

namespace mobula {

void Node::Impl::on_pull(const ProcessId& from, const wire::PullObject& message) {
  const wire::ObjectLocation& asked = message.location;
  if (asked.node == self_) {
    sink_.send(from, wire::ObjectHere{message.ref, asked, asked, {}});
    return;
  }
  if (const auto copy = copies_.find(asked); copy != copies_.end()) {
    sink_.send(from, wire::ObjectHere{message.ref, asked, copy->second, {}});
    return;
  }
  if (dead_nodes_.contains(asked.node)) {
    Error error;
    error.code = ErrorCode::object_lost;
    error.message = "fetching an object: its node " + to_string(asked.node) + " is dead";
    sink_.send(from, wire::ObjectHere{message.ref, asked, {}, std::move(error)});
    return;
  }
  std::vector<Waiting>& waiting = pulls_[asked];
  waiting.push_back({from, message.ref});
  if (waiting.size() > 1) return;
  sink_.expect_object(asked);
  sink_.send(node_process(asked.node), wire::FetchObject{asked});
}

void Node::Impl::on_object_arrived(const wire::ObjectLocation& asked, const wire::ObjectLocation& local) {
  const auto pull = pulls_.find(asked);
  if (pull == pulls_.end()) {
    sink_.free_object(local);  // all who asked have died
    return;
  }
  const std::vector<Waiting> waiting = std::move(pull->second);
  pulls_.erase(pull);
  copies_[asked] = local;
  originals_[local] = asked;
  owners_[local] = waiting.front().ref.owner;
  sink_.send(waiting.front().ref.owner, wire::AddCopy{waiting.front().ref, local});
  for (const Waiting& one : waiting) sink_.send(one.process, wire::ObjectHere{one.ref, asked, local, {}});
}

void Node::Impl::on_object_failed(const wire::ObjectLocation& asked, const Error& error) {
  const auto pull = pulls_.find(asked);
  if (pull == pulls_.end()) return;
  const std::vector<Waiting> waiting = std::move(pull->second);
  pulls_.erase(pull);
  for (const Waiting& one : waiting) sink_.send(one.process, wire::ObjectHere{one.ref, asked, {}, error});
}

void Node::Impl::on_object_left(const ProcessId& owner, const wire::ObjectLocation& location) {
  if (dead_nodes_.contains(owner.node) || dead_owners_.contains(owner)) {
    sink_.free_object(location);
    return;
  }
  owners_[location] = owner;
}

void Node::Impl::free_objects_of(NodeId node, const ProcessId& process) {
  std::vector<wire::ObjectLocation> orphans;
  for (const auto& [location, owner] : owners_) {
    if (process ? owner == process : owner.node == node) orphans.push_back(location);
  }
  for (const auto& location : orphans) on_free({location});
}

void Node::Impl::on_free(const wire::FreeObject& message) {
  if (message.location.node != self_) return;
  owners_.erase(message.location);
  if (const auto original = originals_.find(message.location); original != originals_.end()) {
    copies_.erase(original->second);
    originals_.erase(original);
  }
  sink_.free_object(message.location);
}

void Node::Impl::forget_requester(const ProcessId& process) {
  for (auto pull = pulls_.begin(); pull != pulls_.end();) {
    std::erase_if(pull->second, [&](const Waiting& waiting) { return waiting.process == process; });
    pull = pull->second.empty() ? pulls_.erase(pull) : std::next(pull);
  }
}

void Node::Impl::pulls_from_dead(NodeId node) {
  std::vector<wire::ObjectLocation> lost;
  for (const auto& [asked, waiting] : pulls_) {
    if (asked.node == node) lost.push_back(asked);
  }
  Error error;
  error.code = ErrorCode::object_lost;
  error.message = "fetching an object: its node " + to_string(node) + " died";
  for (const auto& asked : lost) on_object_failed(asked, error);
}

}  // namespace mobula
