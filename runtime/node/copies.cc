// Copies that owners here asked for: which nodes fetch the object, until enough of them have it
// (docs/design/copies.md).
#include <algorithm>

#include "runtime/node/node_impl.h"

namespace mobula {

namespace {
constexpr Duration again_after = std::chrono::seconds(1);  // at a node that had no room

wire::ValueKept not_kept(std::uint64_t tag, const std::string& why) {
  wire::ValueKept answer;
  answer.tag = tag;
  answer.value.kind = wire::ValueKind::error;
  answer.value.error.code = ErrorCode::unavailable;
  answer.value.error.message = "storing a detached value: the head, which would keep it, is gone (" + why +
                               "); store it again when there is a head, or without `detached`";
  return answer;
}
}  // namespace

void Node::Impl::on_want_copies(const wire::WantCopies& message, Time now) {
  if (message.copies == 0) {
    wishes_.erase(message.ref);
    return;
  }
  Wish& wish = wishes_[message.ref];
  if (wish.want.location != message.location) wish.asked.clear();
  wish.want = message;
  place_copies(message.ref, now);
}

bool Node::Impl::counts_as_copy(const Wish& wish, NodeId node) const {
  if (dead_nodes_.contains(node)) return false;
  const wire::NodeView* known = view_.find(node);
  return !wish.want.durable || known == nullptr || !known->passing;
}

void Node::Impl::place_copies(const RefId& ref, Time now) {
  const auto found = wishes_.find(ref);
  if (found == wishes_.end()) return;
  Wish& wish = found->second;
  if (dead_nodes_.contains(wish.want.location.node)) {
    wishes_.erase(found);  // its owner hears of it too, and says where else it lies
    return;
  }
  std::erase_if(wish.asked, [&](NodeId node) { return dead_nodes_.contains(node); });
  std::set<NodeId> have(wish.want.holders.begin(), wish.want.holders.end());
  std::erase_if(have, [&](NodeId node) { return !counts_as_copy(wish, node); });
  if (have.size() >= wish.want.copies) {
    wishes_.erase(found);
    return;
  }
  have.insert(wish.asked.begin(), wish.asked.end());
  const std::vector<NodeId>& holders = wish.want.holders;
  std::vector<std::pair<std::uint64_t, NodeId>> places;
  for (const wire::NodeView& node : view_.nodes) {
    // Nodes that end with a driver are no place for what others need.
    if (node.passing || have.contains(node.node)) continue;
    if (std::find(holders.begin(), holders.end(), node.node) != holders.end()) continue;
    if (const auto busy = wish.not_before.find(node.node); busy != wish.not_before.end() && now < busy->second) {
      copies_due_ = std::min(copies_due_, busy->second);
      continue;
    }
    // Each object prefers nodes in an order of its own, so that all get their share.
    places.emplace_back(hash_mix(std::hash<RefId>()(ref), node.node.value), node.node);
  }
  std::sort(places.begin(), places.end());
  for (const auto& [order, node] : places) {
    if (have.size() >= wish.want.copies) break;
    have.insert(node);
    wish.asked.insert(node);
    sink_.send(node_process(node), wire::PullObject{ref, wish.want.location});
  }
}

void Node::Impl::place_all_copies(Time now) {
  std::vector<RefId> refs;
  refs.reserve(wishes_.size());
  for (const auto& [ref, wish] : wishes_) refs.push_back(ref);
  for (const RefId& ref : refs) place_copies(ref, now);
}

void Node::Impl::on_copy_here(const ProcessId& from, const wire::ObjectHere& message, Time now) {
  const auto found = wishes_.find(message.ref);
  if (found == wishes_.end() || found->second.want.location != message.location) return;
  Wish& wish = found->second;
  if (wish.asked.erase(from.node) == 0) return;
  if (message.error.code == ErrorCode::none) {
    wish.want.holders.push_back(from.node);
  } else {
    wish.not_before[from.node] = now + again_after;
    copies_due_ = std::min(copies_due_, now + again_after);
    // Not where it was said to be: its owner has to know, and says where else it is.
    if (message.error.code == ErrorCode::object_lost) {
      sink_.send(message.ref.owner, wire::ObjectLost{message.ref, message.location});
    }
  }
  place_copies(message.ref, now);
}

// A value of a local process that the head shall own. The object belongs to this node from now on.
void Node::Impl::on_keep_value(const wire::KeepValue& message) {
  wire::KeepValue kept = message;
  if (kept.value.kind == wire::ValueKind::object && kept.value.location.node == self_) {
    if (!sink_.keep_object(kept.value.location)) return;  // its maker has died: nobody waits for an answer
    on_object_left(node_process(head_), kept.value.location);
    kept.passing = options_.passing;
  }
  if (!head_gone_) {
    sink_.send(node_process(head_), std::move(kept));
    return;
  }
  if (kept.value.kind == wire::ValueKind::object) on_free({kept.value.location});
  sink_.send(kept.asker, not_kept(kept.tag, *head_gone_));
}

// Which of its answers are still to come only those know who asked: tag 0 is for all of them.
void Node::Impl::head_is_gone(const std::string& why, Time now) {
  head_gone_ = why;
  names_due_ = now + options_.names_patience;
  tell_local(not_kept(0, why));
}

}  // namespace mobula
