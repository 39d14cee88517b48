#include "runtime/worker/worker.h"

#include <algorithm>

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

void Worker::answer(const wire::CallHeader& header, wire::ReplyKind kind, std::span<const std::byte> payload) {
  wire::ReplyHeader reply;
  reply.kind = kind;
  reply.index = header.index;
  reply.generation = header.generation;
  reply.attempt = header.attempt;
  reply.bytes = static_cast<std::uint32_t>(payload.size());
  sink_.reply(header.caller, reply, payload, {});
}

bool Worker::accept(const wire::CallHeader& header, Time now) {
  (void)now;
  if (exiting_) {
    answer(header, wire::ReplyKind::not_started);
    return false;
  }
  if (!cancelled_early_.empty()) {
    const Cancelled key{header.caller, header.index, header.generation, header.attempt};
    if (const auto found = std::find(cancelled_early_.begin(), cancelled_early_.end(), key);
        found != cancelled_early_.end()) {
      cancelled_early_.erase(found);
      answer(header, wire::ReplyKind::cancelled);
      return false;
    }
  }
  // The lease's owner died: nobody waits for the call, and nobody would hear the reply.
  if (std::find(dead_leases_.begin(), dead_leases_.end(), header.lease) != dead_leases_.end()) return false;
  switch (header.kind) {
    case wire::CallKind::task:
      break;
    case wire::CallKind::actor_create:
      if (actor_) {
        answer(
            header, wire::ReplyKind::error,
            wire::encode_error(error(ErrorCode::invalid, "creating an actor: the worker is the home of another one")));
        return false;
      }
      break;
    case wire::CallKind::actor_call: {
      if (actor_ != header.actor() || incarnation_ != header.incarnation) {
        answer(header, wire::ReplyKind::not_started);
        return false;
      }
      std::uint64_t& last = last_sequence_[header.caller];
      if (header.sequence <= last) return false;  // it came twice; the first one answers
      last = header.sequence;
      break;
    }
  }
  state_ = State::running;
  stop_ = false;
  blocked_ = 0;
  call_ = header;
  owner_.set_context(header.depth + 1, ++call_number_);
  return true;
}

void Worker::finish(wire::ReplyKind kind, std::span<const std::byte> payload, std::span<const RefHandle> contained,
                    Time now) {
  owner_.set_context(1, 0);
  if (call_.kind == wire::CallKind::actor_create && kind == wire::ReplyKind::value_inline) {
    actor_ = call_.actor();
    incarnation_ = call_.incarnation;
    actor_lease_ = call_.lease;
    last_sequence_.clear();
  }
  reply_kind_ = kind;
  Bytes cancelled;
  if (stop_ && call_.kind != wire::CallKind::actor_create) {
    if (kind == wire::ReplyKind::value_object) {
      if (const auto location = wire::decode_location(payload); location.ok()) {
        sink_.send(node_process(self_.node), wire::FreeObject{*location});
      }
    }
    Error why = error(ErrorCode::cancelled, "the call was cancelled while it ran");
    why.attempt = static_cast<std::int32_t>(call_.attempt);
    cancelled = wire::encode_error(why);
    reply_kind_ = wire::ReplyKind::cancelled;
    payload = cancelled;
    contained = {};
  }
  if (reply_kind_ == wire::ReplyKind::value_object && call_.caller.node == self_.node) {
    if (const auto location = wire::decode_location(payload); location.ok()) {
      if (made_.size() == max_made) made_.pop_front();
      made_.emplace_back(call_.caller, *location);
    }
  }
  for (const RefHandle ref : contained) {
    owner_.retain(ref);
    reply_contained_.push_back(ref);
  }
  if (owner_.settle_borrows()) {
    if (reply_contained_.empty()) {
      // The common case: nothing to copy, nothing to hold.
      answer(call_, reply_kind_, payload);
      become_idle(now);
      return;
    }
    reply_payload_.assign(payload);
    send_reply(now);
    return;
  }
  reply_payload_.assign(payload);
  state_ = State::settling;
}

void Worker::send_reply(Time now) {
  wire::ReplyHeader reply;
  reply.kind = reply_kind_;
  reply.index = call_.index;
  reply.generation = call_.generation;
  reply.attempt = call_.attempt;
  reply.bytes = static_cast<std::uint32_t>(reply_payload_.size());
  reply.contained_refs = static_cast<std::uint32_t>(reply_contained_.size());
  std::vector<RefId> names;
  for (const RefHandle ref : reply_contained_) names.push_back(owner_.id(ref));
  if (!reply_contained_.empty()) {
    owner_.hold_for(call_.caller, call_.index, call_.generation, call_.attempt, reply_contained_);
    for (const RefHandle ref : reply_contained_) owner_.release(ref, now);
    reply_contained_.clear();
  }
  sink_.reply(call_.caller, reply, reply_payload_.span(), names);
  reply_payload_.clear();
  become_idle(now);
}

void Worker::become_idle(Time now) {
  state_ = State::idle;
  stop_ = false;
  if (revoked_) {
    const LeaseId lease = revoked_->lease;
    revoked_.reset();
    if (actor_ && actor_lease_ == lease) {
      end_actor(now);
    } else {
      sink_.send(node_process(self_.node), wire::LeaseReleased{lease});
    }
  } else if (actor_ending_) {
    end_actor(now);
  }
}

void Worker::end_actor(Time now) {
  (void)now;
  actor_ending_ = false;
  sink_.destroy_actor();
  sink_.send(node_process(self_.node), wire::LeaseReleased{actor_lease_});
  actor_ = {};
  actor_lease_ = {};
  incarnation_ = 0;
  last_sequence_.clear();
}

void Worker::block() {
  if (blocked_++ != 0 || state_ != State::running) return;
  sink_.send(node_process(self_.node), wire::Blocked{call_.lease, true});
  // Only a task's caller holds the lease; an actor's callers keep their order and wait.
  if (call_.kind == wire::CallKind::task) sink_.send(call_.caller, wire::WorkerBlocked{call_.lease, true});
}

void Worker::unblock() {
  if (blocked_ == 0 || --blocked_ != 0 || state_ != State::running) return;
  sink_.send(node_process(self_.node), wire::Blocked{call_.lease, false});
  if (call_.kind == wire::CallKind::task) sink_.send(call_.caller, wire::WorkerBlocked{call_.lease, false});
}

void Worker::stop(Time now) {
  if (state_ != State::running || stop_) return;
  stop_ = true;
  sink_.raise_stop();
  owner_.cancel_children(call_number_, now);
}

bool Worker::on_message(const ProcessId& from, const wire::Message& message, Time now) {
  if (const auto* cancel = std::get_if<wire::CancelCall>(&message)) {
    const bool current = call_.caller == from && call_.index == cancel->index &&
                         call_.generation == cancel->generation && call_.attempt == cancel->attempt;
    if (current) {
      stop(now);
    } else {
      if (cancelled_early_.size() == max_cancelled_early) cancelled_early_.erase(cancelled_early_.begin());
      cancelled_early_.push_back({from, cancel->index, cancel->generation, cancel->attempt});
    }
    return true;
  }
  if (const auto* end = std::get_if<wire::EndActor>(&message)) {
    if (actor_ == end->actor && incarnation_ == end->incarnation) {
      if (state_ == State::idle) {
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
    if (state_ != State::idle && call_.lease == revoke->lease) {
      revoked_ = *revoke;
      stop(now);
    } else if (actor_ && actor_lease_ == revoke->lease) {
      end_actor(now);
    } else {
      sink_.send(node_process(self_.node), wire::LeaseReleased{revoke->lease});
    }
    return true;
  }
  if (std::holds_alternative<wire::Retire>(message)) {
    if (state_ == State::idle && !actor_ && owner_.idle()) {
      exiting_ = true;
      sink_.exit();
    } else {
      sink_.send(node_process(self_.node), wire::StayAlive{});
    }
    return true;
  }
  return false;
}

void Worker::after_owner_step(Time now) {
  if (state_ == State::settling && owner_.borrows_settled()) send_reply(now);
}

void Worker::on_process_died(const ProcessId& process, Time now) {
  // Freeing what the caller had freed, or what went with it, is no error: locations carry a generation.
  std::erase_if(made_, [&](const auto& made) {
    if (made.first != process) return false;
    sink_.send(node_process(self_.node), wire::FreeObject{made.second});
    return true;
  });
  std::erase_if(cancelled_early_, [&](const Cancelled& cancelled) { return cancelled.caller == process; });
  last_sequence_.erase(process);
  if (call_.caller == process) stop(now);
  after_owner_step(now);
}

void Worker::on_node_died(NodeId node, Time now) {
  std::erase_if(cancelled_early_, [&](const Cancelled& cancelled) { return cancelled.caller.node == node; });
  std::erase_if(last_sequence_, [&](const auto& entry) { return entry.first.node == node; });
  if (call_.caller.node == node) on_process_died(call_.caller, now);
  after_owner_step(now);
}

}  // namespace mobula
