// Borrowing: refs of other processes that this one holds, and refs of this one that others hold.
//
//   unregistered  alive because of the running call's spec, or of a cover; its owner does not know of us
//   requested     AddBorrow is on its way; kept until the acknowledgement even if nobody here needs it any more
//   registered    alive because of us, until DropBorrow
//   orphaned      its owner died
#include <algorithm>

#include "runtime/owner/owner_impl.h"

namespace mobula {

using Borrow = RefEntry::Borrow;

RefHandle Owner::Impl::borrow(const RefId& name, bool actor, RefHandle cover) {
  if (name.owner == self_) {
    if (const RefHandle ref = find_owned(name.index, name.generation)) {
      retain(ref);
      return ref;
    }
  } else if (const auto known = borrowed_.find(name); known != borrowed_.end()) {
    retain(known->second);
    if (actor) actor_of(known->second);
    return known->second;
  }
  const RefHandle ref = refs_.emplace();
  RefEntry& entry = refs_[ref];
  // (A ref may come long after its owner died: the request to be registered would never be answered.)
  if (name.owner == self_ || is_dead(name.owner)) {
    // Cannot come from a value that this runtime keeps alive; the reader learns it at get().
    entry.borrow = name.owner == self_ ? Borrow::owned : Borrow::orphaned;
    entry.more().foreign = name;
    entry.more().error.code = name.owner == self_ ? ErrorCode::object_lost : ErrorCode::owner_died;
    entry.more().error.message = to_string(name) + " was decoded from a value, but is gone already";
    entry.state = RefState::error;
    if (name.owner != self_) borrowed_.emplace(name, ref);
    return ref;
  }
  entry.borrow = Borrow::unregistered;
  entry.more().foreign = name;
  borrowed_.emplace(name, ref);
  if (actor) actor_of(ref);
  if (cover) {
    retain(cover);
    entry.more().covers.push_back(cover);
    register_borrow(ref);
  } else if (parent_ != 0) {
    unregistered_.push_back(ref);
  } else {
    register_borrow(ref);
  }
  return ref;
}

void Owner::Impl::register_borrow(RefHandle ref) {
  RefEntry& entry = refs_[ref];
  entry.borrow = Borrow::requested;
  sink_.send(entry.extra->foreign.owner, wire::AddBorrow{entry.extra->foreign});
}

std::uint64_t Owner::Impl::settle_borrows() {
  if (unregistered_.empty() && settling_.empty()) return 0;
  const std::uint64_t token = last_token_ + 1;
  for (const RefHandle ref : std::exchange(unregistered_, {})) {
    RefEntry* entry = refs_.find(ref);
    if (entry == nullptr || entry->borrow != Borrow::unregistered) continue;
    entry->settling = true;
    entry->more().settle_token = last_token_ = token;
    ++settling_[token];
    register_borrow(ref);
  }
  return settling_.empty() ? 0 : settling_.rbegin()->first;
}

void Owner::Impl::hold_for(const ProcessId& caller, std::uint32_t index, std::uint32_t generation,
                           std::uint32_t attempt, std::uint32_t item, std::span<const RefHandle> refs) {
  if (is_dead(caller)) return;
  std::vector<RefHandle>& held = held_[{caller, index, generation, attempt, item}];
  for (const RefHandle ref : refs) {
    retain(ref);
    held.push_back(ref);
  }
}

void Owner::Impl::take_contained(const ProcessId& from, const wire::ReplyHeader& header,
                                 std::span<const RefId> contained, RefHandle holder) {
  const wire::ReleaseHeld message{header.index, header.generation, header.attempt, header.item};
  const SlabHandle pending = pending_holds_.emplace(from, wire::Message(message), 1u);
  for (const RefId& name : contained) refs_[holder].more().contained.push_back(borrow_held(name, pending));
  release_hold(pending);
}

RefHandle Owner::Impl::borrow_held(const RefId& name, SlabHandle pending) {
  // The sender's hold covers it until we are registered: no cover of ours is needed.
  const std::uint64_t parent = std::exchange(parent_, 0);
  const RefHandle ref = borrow(name, false, {});
  parent_ = parent;
  RefEntry& entry = refs_[ref];
  if (entry.borrow == Borrow::unregistered) register_borrow(ref);
  if (entry.borrow == Borrow::requested) {
    ++pending_holds_[pending].remaining;
    entry.more().acks_for.push_back(pending);
  }
  return ref;
}

void Owner::Impl::release_hold(SlabHandle pending) {
  PendingHold& hold = pending_holds_[pending];
  if (--hold.remaining != 0) return;
  sink_.send(hold.to, std::move(hold.message));
  pending_holds_.erase(pending);
}

void Owner::Impl::registered(RefHandle ref, Time now) {
  RefEntry& entry = refs_[ref];
  if (std::exchange(entry.settling, false)) {
    const auto outstanding = settling_.find(entry.extra->settle_token);
    if (--outstanding->second == 0) settling_.erase(outstanding);
  }
  const std::vector<SlabHandle> holds = std::exchange(entry.extra->acks_for, {});
  const std::vector<RefHandle> covers = std::exchange(entry.extra->covers, {});
  for (const SlabHandle hold : holds) release_hold(hold);
  for (const RefHandle cover : covers) release(cover, now);
  maybe_free(ref, now);
}

void Owner::Impl::on_add_borrow(const ProcessId& from, const RefId& name) {
  const RefHandle ref = find_owned(name.index, name.generation);
  if (ref) {
    refs_[ref].more().borrowers.push_back(from);
    shared_.insert(ref);
  }
  sink_.send(from, wire::BorrowAck{name, static_cast<bool>(ref)});
}

void Owner::Impl::on_borrow_ack(const wire::BorrowAck& message, Time now) {
  const auto found = borrowed_.find(message.ref);
  if (found == borrowed_.end()) return;
  const RefHandle ref = found->second;
  RefEntry& entry = refs_[ref];
  if (entry.borrow != Borrow::requested) return;
  entry.borrow = message.known ? Borrow::registered : Borrow::orphaned;
  if (!message.known && entry.state == RefState::pending) {
    wire::Value value;
    value.kind = wire::ValueKind::error;
    value.error.code = ErrorCode::object_lost;
    value.error.message = to_string(message.ref) + ": its owner has freed it";
    retain(ref);
    become(ref, std::move(value), now);
    registered(ref, now);
    release(ref, now);
    return;
  }
  registered(ref, now);
}

void Owner::Impl::on_drop_borrow(const ProcessId& from, const RefId& name, Time now) {
  const RefHandle ref = find_owned(name.index, name.generation);
  if (!ref || !refs_[ref].extra) return;
  auto& borrowers = refs_[ref].extra->borrowers;
  const auto found = std::find(borrowers.begin(), borrowers.end(), from);
  if (found == borrowers.end()) return;
  borrowers.erase(found);
  maybe_free(ref, now);
}

void Owner::Impl::on_resolve(const ProcessId& from, const RefId& name) {
  const RefHandle ref = find_owned(name.index, name.generation);
  if (!ref) {
    wire::Value value;
    value.kind = wire::ValueKind::error;
    value.error.code = ErrorCode::object_lost;
    value.error.message = to_string(name) + ": its owner has freed it";
    sink_.send(from, wire::Resolved{name, std::move(value)});
  } else if (refs_[ref].state != RefState::pending) {
    sink_.send(from, wire::Resolved{name, value_of(refs_[ref])});
  } else {
    refs_[ref].more().resolvers.push_back(from);
    shared_.insert(ref);
  }
}

void Owner::Impl::on_resolved(wire::Resolved&& message, Time now) {
  const auto found = borrowed_.find(message.ref);
  if (found == borrowed_.end() || refs_[found->second].state != RefState::pending) return;
  const RefHandle ref = found->second;
  retain(ref);
  become(ref, std::move(message.value), now);
  release(ref, now);
}

void Owner::Impl::on_release_held(const ProcessId& from, const wire::ReleaseHeld& message, Time now) {
  const auto found = held_.find({from, message.index, message.generation, message.attempt, message.item});
  if (found == held_.end()) return;
  const std::vector<RefHandle> refs = std::move(found->second);
  held_.erase(found);
  for (const RefHandle ref : refs) release(ref, now);
}

}  // namespace mobula
