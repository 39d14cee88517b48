// Copies that were asked for, and values that this process owns for others (docs/design/copies.md).
//
//   put, result there        the node is told: on so many nodes (WantCopies)
//   a node fetched it        AddCopy, as for any copy; enough of them: those who watch are told
//   a node with it died      one of the others is the original now (lose), and the node is told again
#include <fmt/format.h>

#include <algorithm>

#include "runtime/owner/owner_impl.h"

namespace mobula {

namespace {
// Longer than a node may be silent before it is declared dead: what a process handed on before it died has told of
// itself by then, or died too.
constexpr Duration hold_of_dead = std::chrono::seconds(10);

Error error_of(ErrorCode code, std::string message) {
  Error error;
  error.code = code;
  error.message = std::move(message);
  return error;
}
}  // namespace

std::vector<NodeId> Owner::Impl::holders_of(const RefEntry& entry) const {
  std::vector<NodeId> nodes;
  if (entry.state != RefState::object || !entry.location.node) return nodes;
  const auto add = [&](NodeId node) {
    const bool counts = !(entry.extra && entry.extra->durable && passing_nodes_.contains(node));
    if (counts && std::find(nodes.begin(), nodes.end(), node) == nodes.end()) nodes.push_back(node);
  };
  add(entry.location.node);
  if (entry.extra) {
    for (const auto& copy : entry.extra->copies) add(copy.node);
  }
  return nodes;
}

void Owner::Impl::tend_copies(RefHandle ref) {
  RefEntry& entry = refs_[ref];
  if (!entry.extra || !entry.owned()) return;
  RefExtra& extra = *entry.extra;
  const bool is_object = entry.state == RefState::object && entry.location.node;
  std::vector<NodeId> holders = holders_of(entry);
  if (is_object && !extra.dormant && extra.wanted_copies > holders.size()) {
    extra.wishes_copies = true;
    sink_.send(node_process(self_.node),
               wire::WantCopies{id(ref), entry.location, extra.wanted_copies, extra.durable, std::move(holders)});
  } else {
    stop_copying(ref);
  }
  tell_copies(ref);
}

void Owner::Impl::stop_copying(RefHandle ref) {
  RefEntry& entry = refs_[ref];
  if (!entry.extra || !std::exchange(entry.extra->wishes_copies, false)) return;
  sink_.send(node_process(self_.node), wire::WantCopies{id(ref), {}, 0, false, {}});
}

// None: the value is not there, or on fewer nodes than was asked for.
std::optional<wire::CopiesHeld> Owner::Impl::copies_held(RefHandle ref) const {
  const RefEntry& entry = refs_[ref];
  wire::CopiesHeld held{id(ref), 1, {}};
  if (entry.state == RefState::pending) return {};
  if (entry.state == RefState::error) {
    held.copies = 0;
    held.error = entry.extra->error;
  } else if (entry.state == RefState::object) {
    held.copies = static_cast<std::uint32_t>(holders_of(entry).size());
    if (held.copies < std::max(1u, entry.extra ? entry.extra->wanted_copies : 1u)) return {};
  }
  return held;
}

void Owner::Impl::tell_copies(RefHandle ref) {
  RefEntry& entry = refs_[ref];
  RefExtra& extra = *entry.extra;
  // What is kept for others is safe once one copy lies where nothing ends with a driver.
  if (extra.keep_tag != 0 && (entry.state != RefState::object || !holders_of(entry).empty())) {
    const std::uint64_t tag = std::exchange(extra.keep_tag, 0);
    for (const ProcessId& asker : extra.borrowers) {
      sink_.send(asker, wire::ValueKept{tag, id(ref), value_of(entry)});
    }
  }
  if (extra.copy_watchers.empty()) return;
  const auto held = copies_held(ref);
  if (!held) return;
  for (const ProcessId& watcher : std::exchange(extra.copy_watchers, {})) {
    if (watcher == self_) {
      sink_.ready(ref);
    } else {
      sink_.send(watcher, wire::CopiesHeld(*held));
    }
  }
}

void Owner::Impl::on_watch_copies(const ProcessId& from, const RefId& name) {
  const RefHandle ref = find_owned(name.index, name.generation);
  if (!ref) {
    sink_.send(from, wire::CopiesHeld{name, 0,
                                      error_of(ErrorCode::object_lost, to_string(name) + ": its owner has freed it")});
    return;
  }
  refs_[ref].more().copy_watchers.push_back(from);
  shared_.insert(ref);
  tell_copies(ref);
}

void Owner::Impl::on_copies_held(const wire::CopiesHeld& message) {
  const auto found = borrowed_.find(message.ref);
  if (found == borrowed_.end()) return;
  RefExtra& extra = refs_[found->second].more();
  if (!extra.asked_copies) return;
  extra.told_copies = std::make_unique<wire::CopiesHeld>(message);
  sink_.ready(found->second);
}

std::optional<Result<std::uint32_t>> Owner::Impl::take_copies(RefHandle ref) {
  RefEntry& entry = refs_[ref];
  std::optional<wire::CopiesHeld> held;
  if (entry.owned()) {
    held = copies_held(ref);
    std::vector<ProcessId>& watchers = entry.more().copy_watchers;
    if (held) {
      std::erase(watchers, self_);
    } else if (std::find(watchers.begin(), watchers.end(), self_) == watchers.end()) {
      watchers.push_back(self_);
    }
  } else if (entry.borrow == RefEntry::Borrow::orphaned) {
    held.emplace();
    held->error = error_of(ErrorCode::owner_died, "the process that owned " + to_string(entry.extra->foreign) +
                                                      " died, and its copies with it");
  } else if (!std::exchange(entry.extra->asked_copies, true)) {
    sink_.send(entry.extra->foreign.owner, wire::WatchCopies{entry.extra->foreign});
  } else if (entry.extra->told_copies) {
    held = *std::exchange(entry.extra->told_copies, nullptr);
    entry.extra->asked_copies = false;
  }
  if (!held) return {};
  if (held->error.code != ErrorCode::none) return Result<std::uint32_t>(held->error);
  return Result<std::uint32_t>(held->copies);
}

// ---- values that the head's owner keeps for others

std::uint64_t Owner::Impl::keep_value(wire::KeepValue&& wanted) {
  wanted.tag = ++last_question_;
  wanted.asker = self_;
  keeping_.insert(wanted.tag);
  sink_.send(node_process(self_.node), std::move(wanted));
  return last_question_;
}

// Tag 0, from the node: the head is gone, and answers none of them.
void Owner::Impl::on_value_kept(const wire::ValueKept& message) {
  if (message.tag == 0) {
    for (const std::uint64_t tag : std::exchange(keeping_, {})) kept_values_[tag] = message;
  } else if (keeping_.erase(message.tag) != 0) {
    kept_values_[message.tag] = message;
  } else if (message.ref.owner && !is_dead(message.ref.owner)) {
    // The head is there after all, but who asked has been told otherwise.
    sink_.send(message.ref.owner, wire::DropBorrow{message.ref});
  }
}

std::optional<Result<RefHandle>> Owner::Impl::take_kept(std::uint64_t tag) {
  const auto found = kept_values_.extract(tag);
  if (!found) return {};
  wire::ValueKept& kept = found.mapped();
  if (!kept.ref.owner) return Result<RefHandle>(std::move(kept.value.error));
  const RefHandle ref = refs_.emplace();
  RefEntry& entry = refs_[ref];
  entry.borrow = is_dead(kept.ref.owner) ? RefEntry::Borrow::orphaned : RefEntry::Borrow::registered;
  entry.more().foreign = kept.ref;
  borrowed_.emplace(kept.ref, ref);
  become(ref, std::move(kept.value), Time{});
  return Result<RefHandle>(ref);
}

void Owner::Impl::on_keep_value(const wire::KeepValue& message, Time now) {
  const bool is_object = message.value.kind == wire::ValueKind::object;
  std::vector<RefHandle> contained;
  for (const RefId& name : message.contained) {
    const RefHandle inner = name.owner == self_ ? find_owned(name.index, name.generation) : RefHandle{};
    if (inner) contained.push_back(inner);
  }
  const bool complete = contained.size() == message.contained.size();
  if (is_dead(message.asker) || !complete) {
    if (is_object) sink_.send(node_process(message.value.location.node), wire::FreeObject{message.value.location});
    if (complete) return;
    wire::ValueKept refused;
    refused.tag = message.tag;
    refused.value.kind = wire::ValueKind::error;
    refused.value.error =
        error_of(ErrorCode::object_lost, "storing a detached value: a reference inside it has been freed meanwhile");
    sink_.send(message.asker, std::move(refused));
    return;
  }
  if (is_object && message.passing) passing_nodes_.insert(message.value.location.node);
  const RefHandle ref = put(wire::Value(message.value), std::move(contained));
  RefExtra& extra = refs_[ref].more();
  extra.durable = true;
  extra.wanted_copies = std::max(1u, message.copies);
  extra.keep_tag = message.tag;
  extra.borrowers.push_back(message.asker);
  shared_.insert(ref);
  if (is_object && dead_nodes_.contains(message.value.location.node)) {
    lose(ref, message.value.location, error_of(ErrorCode::object_lost, "its node died"), now, true);
  }
  tend_copies(ref);
  release(ref, now);
}

// A value that outlives its holders may just have been handed on by one that died: whoever gets it has said so soon.
void Owner::Impl::hold_for_heirs(RefHandle ref, const ProcessId& dead, Time now) {
  holds_of_dead_.emplace(now + hold_of_dead, std::pair(ref, dead));
  set_timer(now + hold_of_dead);
}

void Owner::Impl::end_holds(Time now) {
  while (!holds_of_dead_.empty() && holds_of_dead_.begin()->first <= now) {
    const auto [ref, dead] = holds_of_dead_.begin()->second;
    holds_of_dead_.erase(holds_of_dead_.begin());
    if (refs_.find(ref) == nullptr) continue;
    std::erase(refs_[ref].extra->borrowers, dead);
    maybe_free(ref, now);
  }
  if (!holds_of_dead_.empty()) set_timer(holds_of_dead_.begin()->first);
}

}  // namespace mobula
