// Refs: counting them, learning their values, telling who waits, freeing.
#include <algorithm>

#include "runtime/owner/owner_impl.h"

namespace mobula {

RefId Owner::Impl::id(RefHandle ref) const {
  const RefEntry& entry = refs_[ref];
  return entry.owned() ? RefId{self_, ref.index, ref.generation} : entry.extra->foreign;
}

RefHandle Owner::Impl::find_owned(std::uint32_t index, std::uint32_t generation) {
  const RefHandle ref{index, generation};
  const RefEntry* entry = refs_.find(ref);
  return entry != nullptr && entry->owned() ? ref : RefHandle{};
}

void Owner::Impl::release(RefHandle ref, Time now) {
  RefEntry& entry = refs_[ref];
  if (--entry.count == 0) maybe_free(ref, now);
}

RefHandle Owner::Impl::put(wire::Value&& value, std::vector<RefHandle> contained, std::uint32_t copies) {
  const RefHandle ref = refs_.emplace();
  RefEntry& entry = refs_[ref];
  if (copies > 1) entry.more().wanted_copies = copies;
  for (const RefHandle inner : contained) retain(inner);
  if (!contained.empty()) entry.more().contained = std::move(contained);
  become(ref, std::move(value), Time{});
  return ref;
}

RefView Owner::Impl::view(RefHandle ref) const {
  const RefEntry& entry = refs_[ref];
  RefView view{entry.state, {}, {}, nullptr};
  switch (entry.state) {
    case RefState::pending:
      break;
    case RefState::inline_value:
      view.bytes = entry.bytes.span();
      break;
    case RefState::object:
      view.location = entry.extra && entry.extra->local.node ? entry.extra->local : entry.location;
      if (entry.extra && entry.extra->error.code != ErrorCode::none) view.error = &entry.extra->error;
      break;
    case RefState::error:
      view.error = &entry.extra->error;
      break;
  }
  return view;
}

wire::Value Owner::Impl::value_of(const RefEntry& entry) const {
  wire::Value value;
  switch (entry.state) {
    case RefState::pending:
      break;
    case RefState::inline_value:
      value.bytes = entry.bytes;
      break;
    case RefState::object:
      value.kind = wire::ValueKind::object;
      value.location = entry.location;
      break;
    case RefState::error:
      value.kind = wire::ValueKind::error;
      value.error = entry.extra->error;
      break;
  }
  return value;
}

void Owner::Impl::watch(RefHandle ref) {
  RefEntry& entry = refs_[ref];
  if (entry.state != RefState::pending) {
    sink_.ready(ref);
    return;
  }
  entry.watched = true;
  if (!entry.owned() && !entry.resolving && entry.actor() == nullptr) {
    entry.resolving = true;
    sink_.send(entry.extra->foreign.owner, wire::Resolve{entry.extra->foreign});
  }
}

bool Owner::Impl::localize(RefHandle ref) {
  RefEntry& entry = refs_[ref];
  if (entry.state != RefState::object || entry.location.node == self_.node) return false;
  RefExtra& extra = entry.more();
  if (extra.local.node) return false;
  entry.watched = true;
  if (!entry.localizing) {
    entry.localizing = true;
    extra.error = {};
    sink_.send(node_process(self_.node), wire::PullObject{id(ref), entry.location});
  }
  return true;
}

void Owner::Impl::on_object_here(const wire::ObjectHere& message, Time now) {
  RefHandle ref;
  if (message.ref.owner == self_) {
    ref = find_owned(message.ref.index, message.ref.generation);
  } else if (const auto found = borrowed_.find(message.ref); found != borrowed_.end()) {
    ref = found->second;
  }
  RefEntry* entry = refs_.find(ref);
  if (entry == nullptr || !entry->localizing) return;
  if (message.location != entry->location) return;  // asked for before its node died; it comes from elsewhere now
  entry->localizing = false;
  if (entry->extra && entry->extra->dormant) return;  // nobody wants it any more
  if (message.error.code == ErrorCode::none) {
    entry->more().local = message.local;
  } else if (message.error.code == ErrorCode::object_lost && !entry->more().checkpoint_of) {
    entry->localizing = true;  // if it lies elsewhere too, it is fetched from there
    lose(ref, message.location, message.error, now);
    if (RefEntry* still = refs_.find(ref)) still->localizing &= still->state == RefState::object;
    return;
  } else {
    entry->more().error = message.error;
    const ErrorCode code = message.error.code;
    const bool no_room =
        code == ErrorCode::out_of_memory || code == ErrorCode::disk_full || code == ErrorCode::unavailable;
    // Without room here the object is still there, and whoever asks later may get it.
    if (!no_room) {
      if (entry->owned()) free_bytes(*entry);
      entry->state = RefState::error;
      tend_copies(ref);
    }
  }
  if (entry->watched) {
    entry->watched = false;
    sink_.ready(ref);
  }
  if (const RefHandle actor = std::exchange(entry->more().checkpoint_of, {})) {
    if (entry->state == RefState::object) return checkpoint_here(actor, now);
    ActorState& state = *refs_[actor].actor()->state;
    state.not_before = now + std::chrono::seconds(1);
    set_timer(state.not_before);
    release(std::exchange(state.saved, {}), now);
  }
}

void Owner::Impl::on_add_copy(const wire::AddCopy& message) {
  const RefHandle ref = find_owned(message.ref.index, message.ref.generation);
  if (!ref || refs_[ref].state != RefState::object || !refs_[ref].location.node) {
    // Freed, or lost, while the copy was on its way.
    sink_.send(node_process(message.location.node), wire::FreeObject{message.location});
    return;
  }
  refs_[ref].more().copies.push_back(message.location);
  if (message.passing) passing_nodes_.insert(message.location.node);
  tend_copies(ref);
}

void Owner::Impl::become(RefHandle ref, wire::Value&& value, Time now) {
  RefEntry& entry = refs_[ref];
  switch (value.kind) {
    case wire::ValueKind::inline_value:
      entry.state = RefState::inline_value;
      entry.bytes = std::move(value.bytes);
      break;
    case wire::ValueKind::object:
      entry.state = RefState::object;
      entry.location = value.location;
      break;
    case wire::ValueKind::error:
      entry.state = RefState::error;
      entry.more().error = std::move(value.error);
      break;
  }
  become_ready(ref, now);
}

void Owner::Impl::become_ready(RefHandle ref, Time now) {
  {
    RefEntry& entry = refs_[ref];
    if (entry.extra && (entry.extra->wanted_copies != 0 || !entry.extra->copy_watchers.empty())) tend_copies(ref);
    if (entry.watched) {
      entry.watched = false;
      sink_.ready(ref);
    }
    if (!entry.extra || (entry.extra->dependents.empty() && entry.extra->resolvers.empty())) return;
    ++entry.count;  // until all were told
  }
  told_later_.push_back(ref);
  if (telling_) return;
  telling_ = true;
  while (!told_later_.empty()) {
    const RefHandle next = told_later_.back();
    told_later_.pop_back();
    const std::vector<TaskHandle> dependents = std::exchange(refs_[next].extra->dependents, {});
    const std::vector<ProcessId> resolvers = std::exchange(refs_[next].extra->resolvers, {});
    for (const ProcessId& process : resolvers) {
      sink_.send(process, wire::Resolved{id(next), value_of(refs_[next])});
    }
    for (const TaskHandle task : dependents) dependency_ready(task, next, now);
    release(next, now);
  }
  telling_ = false;
}

void Owner::Impl::maybe_free(RefHandle ref, Time now) {
  {
    const RefEntry* entry = refs_.find(ref);
    if (entry == nullptr || entry->count != 0) return;
    if (entry->extra && !entry->extra->borrowers.empty()) return;
  }
  freed_later_.push_back(ref);
  if (freeing_) return;
  freeing_ = true;
  while (!freed_later_.empty()) {
    const RefHandle next = freed_later_.back();
    freed_later_.pop_back();
    RefEntry* entry = refs_.find(next);
    if (entry == nullptr || entry->count != 0 || (entry->extra && !entry->extra->borrowers.empty())) continue;
    if (ActorEntry* actor = entry->actor(); actor != nullptr && entry->owned()) {
      if (actor->life != ActorEntry::Life::dead) {
        end_actor(next, now);
        entry = refs_.find(next);
        if (entry == nullptr || entry->count != 0 || entry->actor()->life != ActorEntry::Life::dead) continue;
      }
    } else if (entry->owned()) {
      if (entry->stream() != nullptr) {
        close_stream(next, now);
        entry = refs_.find(next);
        if (entry == nullptr || entry->count != 0) continue;
      }
      if (entry->task) continue;  // freed when its task ends
      if (needed_by_lineage(next)) {
        fall_asleep(next);
        continue;
      }
      free_bytes(*entry);
      stop_copying(next);
      if (entry->extra && entry->extra->lineage) leave_lineage(next, now);
    } else {
      if (entry->borrow == RefEntry::Borrow::requested) continue;  // freed when the acknowledgement comes
      if (entry->borrow == RefEntry::Borrow::registered) {
        sink_.send(entry->extra->foreign.owner, wire::DropBorrow{entry->extra->foreign});
      }
      borrowed_.erase(entry->extra->foreign);
    }
    if (entry->extra) {
      for (const RefHandle inner : entry->extra->contained) {
        if (--refs_[inner].count == 0) freed_later_.push_back(inner);
      }
      shared_.erase(next);
      if (entry->extra->actor) actors_.erase(next);
    }
    refs_.erase(next);
  }
  freeing_ = false;
}

}  // namespace mobula
