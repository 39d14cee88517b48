#include "runtime/worker/worker.h"

#include <algorithm>
#include <utility>

#include "runtime/wire/codec.h"

namespace mobula {

namespace {
// Cancellations remembered for calls that have not come yet. Most are of calls that have ended already and are never
// met, so the list is bounded; forgetting one only means that a call runs that nobody waits for.
constexpr std::size_t max_cancelled_early = 256;
// Results that may lie unread in a caller's lane; older ones have been read.
constexpr std::size_t max_made = 256;
}  // namespace

Worker::Worker(ProcessId self, std::string node_name, std::int32_t pid, Owner& owner, WorkerSink& sink)
    : self_(self), node_name_(std::move(node_name)), pid_(pid), owner_(owner), sink_(sink) {}

Error Worker::error(ErrorCode code, std::string message) const {
  Error error;
  error.code = code;
  error.message = std::move(message);
  error.node = node_name_;
  error.pid = pid_;
  return error;
}

void Worker::answer(const wire::CallHeader& header, wire::ReplyKind kind, std::span<const std::byte> payload,
                    std::uint8_t flags, std::uint32_t item, std::uint64_t order) {
  wire::ReplyHeader reply;
  reply.kind = kind;
  reply.flags = flags;
  reply.index = header.index;
  reply.generation = header.generation;
  reply.attempt = header.attempt;
  reply.bytes = static_cast<std::uint32_t>(payload.size());
  reply.item = item;
  reply.order = order;
  sink_.reply(header.caller, reply, payload, {});
}

bool Worker::room(const wire::CallHeader& header) const {
  if (groups_.empty()) return true;
  const auto group = groups_.find(header.group);
  return group == groups_.end() || group->second.second < group->second.first;
}

RunningCall* Worker::accept(const wire::CallHeader& header, Time now) {
  (void)now;
  if (leaving_ || (actor_exits_ && header.kind == wire::CallKind::actor_call)) {
    answer(header, wire::ReplyKind::not_started);
    return nullptr;
  }
  if (!cancelled_early_.empty()) {
    const Cancelled key{header.caller, header.index, header.generation, header.attempt};
    if (const auto found = std::find(cancelled_early_.begin(), cancelled_early_.end(), key);
        found != cancelled_early_.end()) {
      cancelled_early_.erase(found);
      answer(header, wire::ReplyKind::cancelled);
      return nullptr;
    }
  }
  // The lease's owner died: nobody waits for the call, and nobody would hear the reply.
  if (std::find(dead_leases_.begin(), dead_leases_.end(), header.lease) != dead_leases_.end()) return nullptr;
  switch (header.kind) {
    case wire::CallKind::task:
      break;
    case wire::CallKind::actor_create:
      if (actor_) {
        answer(
            header, wire::ReplyKind::error,
            wire::encode_error(error(ErrorCode::invalid, "creating an actor: the worker is the home of another one")));
        return nullptr;
      }
      break;
    case wire::CallKind::actor_call: {
      if (actor_ != header.actor() || incarnation_ != header.incarnation) {
        answer(header, wire::ReplyKind::not_started);
        return nullptr;
      }
      std::uint64_t& last = last_sequence_[{header.caller, header.group}];
      if (header.sequence <= last) return nullptr;  // it came twice; the first one answers
      last = header.sequence;
      if (groups_.empty() ? header.group == 0 : groups_.contains(header.group)) break;
      answer(header, wire::ReplyKind::error,
             wire::encode_error(error(ErrorCode::invalid,
                                      "the actor has no concurrency group of the name that the call was given; those "
                                      "that it has were named in the options of spawn()")));
      return nullptr;
    }
  }
  if (free_.empty()) free_.push_back(calls_.emplace_back(std::make_unique<RunningCall>()).get());
  RunningCall& call = *free_.back();
  free_.pop_back();
  active_.push_back(&call);
  call.header = header;
  call.number = ++call_number_;
  call.consumed = header.first_item;
  call.items = 0;
  call.order = 0;
  if (logged_ && header.kind == wire::CallKind::actor_call && (header.flags & wire::call_replays) == 0) {
    if ((header.flags & wire::call_saves) == 0) {
      ++order_;
      if (header.caller != actor_.owner) since_saved_.push_back(header.result());
    }
    call.order = order_;
  }
  if (!groups_.empty()) ++groups_[header.group].second;
  owner_.set_context(header.depth + 1, call.number);
  return &call;
}

void Worker::remember_made(const wire::CallHeader& header, std::span<const std::byte> payload) {
  if (header.caller.node != self_.node) return;
  if (const auto location = wire::decode_location(payload); location.ok()) {
    if (made_.size() == max_made) made_.pop_front();
    made_.emplace_back(header.caller, *location);
  }
}

void Worker::finish(RunningCall& call, wire::ReplyKind kind, std::span<const std::byte> payload,
                    std::span<const RefHandle> contained, Time now, std::uint8_t flags) {
  owner_.set_context(1, 0);
  if (call.header.kind == wire::CallKind::actor_create && kind == wire::ReplyKind::value_inline) {
    actor_ = call.header.actor();
    incarnation_ = call.header.incarnation;
    actor_lease_ = call.header.lease;
    last_sequence_.clear();
    logged_ = (call.header.flags & wire::call_logged) != 0;
    order_ = call.header.sequence;
    since_saved_.clear();
  }
  if ((call.header.flags & wire::call_saves) != 0 && !since_saved_.empty()) {
    sink_.send(actor_.owner, wire::CallsSaved{actor_, incarnation_, std::exchange(since_saved_, {})});
  }
  call.reply_kind = kind;
  call.reply_flags = flags;
  Bytes cancelled;
  if (call.stop && call.header.kind != wire::CallKind::actor_create) {
    if (kind == wire::ReplyKind::value_object) {
      if (const auto location = wire::decode_location(payload); location.ok()) {
        sink_.send(node_process(self_.node), wire::FreeObject{*location});
      }
    } else if (kind == wire::ReplyKind::values) {
      for (const wire::Part& part : wire::parse_values(payload)) {
        if (!part.object) continue;
        sink_.send(node_process(self_.node), wire::FreeObject{*wire::decode_location(part.bytes)});
      }
    }
    Error why = error(ErrorCode::cancelled, "the call was cancelled while it ran");
    why.attempt = static_cast<std::int32_t>(call.header.attempt);
    cancelled = wire::encode_error(why);
    call.reply_kind = wire::ReplyKind::cancelled;
    payload = cancelled;
    contained = {};
  }
  // What was stopped, or never ran, is nothing to repeat.
  if (call.reply_kind == wire::ReplyKind::cancelled || kind == wire::ReplyKind::argument_lost) call.order = 0;
  if (call.reply_kind == wire::ReplyKind::value_object) {
    remember_made(call.header, payload);
  } else if (call.reply_kind == wire::ReplyKind::values) {
    for (const wire::Part& part : wire::parse_values(payload)) {
      if (part.object) remember_made(call.header, part.bytes);
    }
  }
  if (call.recycle) {
    // Before the reply, so that nothing is sent here after it.
    leaving_ = recycling_ = true;
    sink_.send(call.header.caller, wire::Recycle{call.header.lease});
  }
  for (const RefHandle ref : contained) {
    owner_.retain(ref);
    call.contained.push_back(ref);
  }
  call.settle_token = owner_.settle_borrows();
  if (call.settle_token == 0) {
    if (call.contained.empty()) {
      // The common case: nothing to copy, nothing to hold.
      answer(call.header, call.reply_kind, payload, call.reply_flags, call.items, call.order);
      ended(call, now);
      return;
    }
    call.payload.assign(payload);
    send_reply(call, now);
    return;
  }
  call.payload.assign(payload);
  call.settling = true;
  ++settling_;
}

void Worker::send_reply(RunningCall& call, Time now) {
  wire::ReplyHeader reply;
  reply.kind = call.reply_kind;
  reply.flags = call.reply_flags;
  reply.index = call.header.index;
  reply.generation = call.header.generation;
  reply.attempt = call.header.attempt;
  reply.item = call.items;
  reply.order = call.order;
  reply.bytes = static_cast<std::uint32_t>(call.payload.size());
  reply.contained_refs = static_cast<std::uint32_t>(call.contained.size());
  std::vector<RefId> names;
  for (const RefHandle ref : call.contained) names.push_back(owner_.id(ref));
  if (!call.contained.empty()) {
    owner_.hold_for(call.header.caller, call.header.index, call.header.generation, call.header.attempt, call.items,
                    call.contained);
    for (const RefHandle ref : call.contained) owner_.release(ref, now);
    call.contained.clear();
  }
  sink_.reply(call.header.caller, reply, call.payload.span(), names);
  call.payload.clear();
  ended(call, now);
}

void Worker::item(RunningCall& call, wire::ReplyKind kind, std::span<const std::byte> payload,
                  std::span<const RefHandle> contained) {
  const std::uint32_t number = call.items++;
  if (number < call.header.first_item || call.stop) {
    if (kind == wire::ReplyKind::item_object) {
      if (const auto location = wire::decode_location(payload); location.ok()) {
        sink_.send(node_process(self_.node), wire::FreeObject{*location});
      }
    }
    return;
  }
  if (kind == wire::ReplyKind::item_object) remember_made(call.header, payload);
  if (contained.empty()) return answer(call.header, kind, payload, 0, number);
  // Refs that were borrowed from the arguments need not be registered first: the caller keeps them while the call runs,
  // and asks for its own before it hears of the end.
  wire::ReplyHeader reply;
  reply.kind = kind;
  reply.index = call.header.index;
  reply.generation = call.header.generation;
  reply.attempt = call.header.attempt;
  reply.item = number;
  reply.bytes = static_cast<std::uint32_t>(payload.size());
  reply.contained_refs = static_cast<std::uint32_t>(contained.size());
  std::vector<RefId> names;
  for (const RefHandle ref : contained) names.push_back(owner_.id(ref));
  owner_.hold_for(call.header.caller, call.header.index, call.header.generation, call.header.attempt, number,
                  contained);
  sink_.reply(call.header.caller, reply, payload, names);
}

void Worker::ended(RunningCall& call, Time now) {
  if (active_.back() == &call) {
    active_.pop_back();
  } else {
    std::erase(active_, &call);
  }
  if (!groups_.empty()) --groups_[call.header.group].second;
  if (call.exits) actor_exits_ = true;
  const bool recycled = std::exchange(call.recycle, false);
  const LeaseId lease = call.header.lease;
  settling_ -= call.settling;
  blocked_ -= call.blocked != 0;
  call.stop = call.settling = call.exits = false;
  call.waits_for.clear();
  call.blocked = 0;
  call.shell = nullptr;
  free_.push_back(&call);
  if (recycled) sink_.send(node_process(self_.node), wire::Recycle{lease});
  if (active_.empty()) rest(now);
}

void Worker::rest(Time now) {
  told_blocked_ = false;
  for (const LeaseId lease : std::exchange(revoked_, {})) {
    if (actor_ && actor_lease_ == lease) {
      end_actor(now);
    } else {
      sink_.send(node_process(self_.node), wire::LeaseReleased{lease});
    }
  }
  if (actor_ && actor_exits_) {
    Error why = error(ErrorCode::actor_died, "the actor ended itself by exit_actor()");
    why.attempt = static_cast<std::int32_t>(incarnation_);
    sink_.send(actor_.owner, wire::ActorExited{actor_, incarnation_, std::move(why)});
    end_actor(now);
  } else if (actor_ && actor_ending_) {
    end_actor(now);
  }
  leave_if_free();
}

void Worker::leave_if_free() {
  if (!recycling_ || exited_ || !active_.empty() || !owner_.idle()) return;
  exited_ = true;
  sink_.exit();
}

void Worker::end_actor(Time now) {
  (void)now;
  actor_ending_ = actor_exits_ = false;
  sink_.destroy_actor();
  sink_.send(node_process(self_.node), wire::LeaseReleased{actor_lease_});
  actor_ = {};
  actor_lease_ = {};
  incarnation_ = 0;
  logged_ = false;
  since_saved_.clear();
  last_sequence_.clear();
  set_manners({});
}

void Worker::set_manners(const ActorManners& manners) {
  limit_ = std::max(1u, manners.max_concurrency);
  holds_cpu_ = manners.holds_cpu;
  groups_.clear();
  if (manners.groups.empty()) return;
  for (const auto& [group, at_once] : manners.groups) groups_[group] = {std::max(1u, at_once), 0};
  groups_[0] = {limit_, 0};
  // The constructor itself is a call of no group.
  for (const RunningCall* call : active_) ++groups_[call->header.group].second;
}

void Worker::tell_blocked(const RunningCall& call) {
  // An actor lends its cpu once all its calls wait; one that has none has nothing to tell.
  const bool all = blocked_ == active_.size();
  if (all == told_blocked_) return;
  told_blocked_ = all;
  if (holds_cpu_) sink_.send(node_process(self_.node), wire::Blocked{call.header.lease, all});
  // Only a task's caller holds the lease; an actor's callers keep their order and wait.
  if (call.header.kind == wire::CallKind::task) {
    sink_.send(call.header.caller, wire::WorkerBlocked{call.header.lease, all});
  }
}

void Worker::block(RunningCall& call) {
  if (call.blocked++ != 0) return;
  ++blocked_;
  tell_blocked(call);
}

void Worker::unblock(RunningCall& call) {
  if (call.blocked == 0 || --call.blocked != 0) return;
  --blocked_;
  tell_blocked(call);
}

void Worker::stop(RunningCall& call, bool recursive, Time now) {
  if (call.stop || call.settling) return;
  call.stop = true;
  sink_.raise_stop(call);
  if (recursive) owner_.cancel_children(call.number, now);
}

RunningCall* Worker::find(const ProcessId& caller, std::uint32_t index, std::uint32_t generation,
                          std::uint32_t attempt) const {
  for (RunningCall* call : active_) {
    const wire::CallHeader& header = call->header;
    if (header.index == index && header.generation == generation && header.attempt == attempt &&
        header.caller == caller) {
      return call;
    }
  }
  return nullptr;
}

bool Worker::on_message(const ProcessId& from, const wire::Message& message, Time now) {
  if (const auto* cancel = std::get_if<wire::CancelCall>(&message)) {
    if (RunningCall* call = find(from, cancel->index, cancel->generation, cancel->attempt)) {
      stop(*call, cancel->recursive, now);
    } else {
      if (cancelled_early_.size() == max_cancelled_early) cancelled_early_.erase(cancelled_early_.begin());
      cancelled_early_.push_back({from, cancel->index, cancel->generation, cancel->attempt});
    }
    return true;
  }
  if (const auto* consumed = std::get_if<wire::StreamConsumed>(&message)) {
    if (RunningCall* call = find(from, consumed->index, consumed->generation, consumed->attempt)) {
      call->consumed = std::max(call->consumed, consumed->consumed);
      sink_.stream_room(*call);
    }
    return true;
  }
  if (const auto* end = std::get_if<wire::EndActor>(&message)) {
    if (actor_ == end->actor && incarnation_ == end->incarnation) {
      if (active_.empty()) {
        end_actor(now);
      } else {
        actor_ending_ = true;
      }
    }
    return true;
  }
  if (const auto* revoke = std::get_if<wire::LeaseRevoke>(&message)) {
    if (dead_leases_.size() == max_cancelled_early) dead_leases_.erase(dead_leases_.begin());
    dead_leases_.push_back(revoke->lease);
    bool runs = false;
    for (std::size_t i = 0; i < active_.size(); ++i) {
      if (active_[i]->header.lease != revoke->lease) continue;
      runs = true;
      stop(*active_[i], true, now);
    }
    if (runs) {
      revoked_.push_back(revoke->lease);
    } else if (actor_ && actor_lease_ == revoke->lease) {
      end_actor(now);
    } else {
      sink_.send(node_process(self_.node), wire::LeaseReleased{revoke->lease});
    }
    return true;
  }
  if (const auto* probe = std::get_if<wire::WaitProbe>(&message)) {
    if (probe->stage == wire::WaitStage::confirmed) {
      confirm(*probe);
    } else {
      on_probe(*probe, now);
    }
    return true;
  }
  if (std::holds_alternative<wire::Retire>(message)) {
    if (active_.empty() && !actor_ && owner_.idle()) {
      leaving_ = true;
      if (!std::exchange(exited_, true)) sink_.exit();
    } else {
      sink_.send(node_process(self_.node), wire::StayAlive{});
    }
    return true;
  }
  return false;
}

void Worker::after_owner_step(Time now) {
  for (std::size_t i = 0; settling_ != 0 && i < active_.size();) {
    RunningCall& call = *active_[i];
    if (call.settling && owner_.borrows_settled(call.settle_token)) {
      send_reply(call, now);  // takes it out of the list
    } else {
      ++i;
    }
  }
  leave_if_free();
}

void Worker::on_process_died(const ProcessId& process, Time now) {
  // Freeing what the caller had freed, or what went with it, is no error: locations carry a generation.
  std::erase_if(made_, [&](const auto& made) {
    if (made.first != process) return false;
    sink_.send(node_process(self_.node), wire::FreeObject{made.second});
    return true;
  });
  std::erase_if(cancelled_early_, [&](const Cancelled& cancelled) { return cancelled.caller == process; });
  std::erase_if(last_sequence_, [&](const auto& entry) { return entry.first.first == process; });
  for (std::size_t i = 0; i < active_.size(); ++i) {
    if (active_[i]->header.caller == process) stop(*active_[i], true, now);
  }
  after_owner_step(now);
}

void Worker::on_node_died(NodeId node, Time now) {
  std::erase_if(cancelled_early_, [&](const Cancelled& cancelled) { return cancelled.caller.node == node; });
  std::erase_if(last_sequence_, [&](const auto& entry) { return entry.first.first.node == node; });
  const std::vector<RunningCall*> active = active_;
  for (const RunningCall* call : active) {
    if (call->header.caller.node == node) on_process_died(call->header.caller, now);
  }
  after_owner_step(now);
}

}  // namespace mobula
