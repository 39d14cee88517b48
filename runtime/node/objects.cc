// Objects of other nodes: fetched once, kept until their owner frees them. And objects that are on disk.
#include <algorithm>

#include "runtime/node/node_impl.h"

namespace mobula {

void Node::Impl::on_pull(const ProcessId& from, const wire::PullObject& message, Time now) {
  const wire::ObjectLocation& asked = message.location;
  if (asked.node == self_) {
    if (!spills_.knows(asked)) return sink_.send(from, wire::ObjectHere{message.ref, asked, asked, {}});
    spills_.want_object(
        from, asked,
        [this, from, ref = message.ref, asked](const Result<wire::ObjectLocation>& local) {
          sink_.send(from, local.ok() ? wire::ObjectHere{ref, asked, *local, {}}
                                      : wire::ObjectHere{ref, asked, {}, local.error()});
        },
        now);
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
  // (Those who asked first may have died, and the object be on its way all the same.)
  if (coming_.insert(asked).second) begin_pull(asked, now);
}

void Node::Impl::begin_pull(const wire::ObjectLocation& asked, Time now) {
  const Result<bool> expected = sink_.expect_object(asked);
  if (!expected.ok()) return on_object_failed(asked, expected.error());
  if (*expected) return sink_.send(node_process(asked.node), wire::FetchObject{asked});
  spills_.want_room(
      {}, asked.bytes,
      [this, asked](const Error& error, Time then) {
        if (error.code != ErrorCode::none) {
          on_object_failed(asked, error);
        } else if (pulls_.contains(asked)) {
          begin_pull(asked, then);
        } else {
          coming_.erase(asked);
        }
      },
      now);
}

void Node::Impl::on_fetch(const ProcessId& from, const wire::FetchObject& message, Time now) {
  const wire::ObjectLocation& asked = message.location;
  if (!spills_.knows(asked)) return sink_.push_object(from.node, asked, asked);
  spills_.want_object(
      from, asked,
      [this, to = from.node, asked](const Result<wire::ObjectLocation>& local) {
        if (local.ok()) return sink_.push_object(to, asked, *local);
        sink_.send(node_process(to), wire::ObjectChunk{asked, 0, {}, local.error()});
      },
      now);
}

void Node::Impl::on_need_room(const ProcessId& from, const wire::NeedRoom& message, Time now) {
  spills_.want_room(
      from, message.bytes,
      [this, from, tag = message.tag](const Error& error, Time) {
        sink_.send(from, wire::RoomMade{tag, error});
      },
      now);
}

void Node::Impl::on_object_arrived(const wire::ObjectLocation& asked, const wire::ObjectLocation& local) {
  coming_.erase(asked);
  const auto pull = pulls_.find(asked);
  if (pull == pulls_.end()) {
    sink_.free_object(local);  // all who asked have died
    return;
  }
  const std::vector<Waiting> waiting = std::move(pull->second);
  pulls_.erase(pull);
  const ProcessId& owner = waiting.front().ref.owner;
  if ((dead_nodes_.contains(owner.node) || dead_owners_.contains(owner)) &&
      std::all_of(waiting.begin(), waiting.end(), [](const Waiting& one) { return one.process.slot == 0; })) {
    sink_.free_object(local);  // a copy for an owner that has died meanwhile
    return;
  }
  copies_[asked] = local;
  originals_[local] = asked;
  owners_[local] = waiting.front().ref.owner;
  sink_.send(waiting.front().ref.owner, wire::AddCopy{waiting.front().ref, local, options_.passing});
  for (const Waiting& one : waiting) sink_.send(one.process, wire::ObjectHere{one.ref, asked, local, {}});
}

void Node::Impl::on_object_failed(const wire::ObjectLocation& asked, const Error& error) {
  coming_.erase(asked);
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
  if (!spills_.free(message.location)) sink_.free_object(message.location);
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
  std::erase_if(coming_, [&](const auto& asked) { return asked.node == node; });
  Error error;
  error.code = ErrorCode::object_lost;
  error.message = "fetching an object: its node " + to_string(node) + " died";
  for (const auto& asked : lost) on_object_failed(asked, error);
}

}  // namespace mobula
