// Actors that keep their state over a death: the log of what was answered, checkpoints that cut it short, and the way
// back after a death (docs/design/actor-state.md).
//
//   answered by the worker -> logged here (a call of another process: then that one is told) -> in a checkpoint
//   the worker died -> constructor, load(checkpoint), the logged calls in order -> alive
#include <algorithm>

#include "runtime/owner/owner_impl.h"

namespace mobula {

using Life = ActorEntry::Life;

namespace {
constexpr Duration save_again_after = std::chrono::seconds(1);
}  // namespace

// ---- the log

void Owner::Impl::log_call(RefHandle actor, TaskEntry& task, std::uint64_t order, bool runs_again, Time now) {
  TaskEntry call;
  call.flags = task.flags;
  call.function = task.function;
  call.group = task.group;
  call.task_class = task.task_class;
  call.depth = task.depth;
  if (runs_again) {
    call.args = task.args;
    call.deps = task.deps;
    call.contained = task.contained;
    for (const RefHandle ref : call.deps) retain(ref);
    for (const RefHandle ref : call.contained) retain(ref);
  } else {
    call.args = std::move(task.args);
    call.deps = std::exchange(task.deps, {});
    call.contained = std::exchange(task.contained, {});
  }
  add_to_log(actor, std::move(call), order, id(task.result), now);
}

void Owner::Impl::add_to_log(RefHandle ref, TaskEntry&& call, std::uint64_t order, const RefId& origin, Time now) {
  const ActorEntry& actor = *refs_[ref].actor();
  ActorState& state = *actor.state;
  call.kind = wire::CallKind::actor_call;
  call.state = TaskEntry::State::kept;
  call.flags |= wire::call_replays;
  call.actor = ref;  // not counted
  const TaskHandle handle = tasks_.emplace(std::move(call));
  state.last_order = std::max(state.last_order, order);
  if (order <= state.checkpoint_order) return forget_call(handle, now);
  if (state.log.empty()) state.logging_since = now;
  auto place = state.log.end();
  while (place != state.log.begin() && std::prev(place)->order > order) --place;
  state.log.insert(place, {order, handle, origin});
  save_if_due(ref, now);
}

void Owner::Impl::forget_call(TaskHandle handle, Time now) {
  TaskEntry& task = tasks_[handle];
  const std::vector<RefHandle> deps = std::move(task.deps);
  const std::vector<RefHandle> contained = std::move(task.contained);
  tasks_.erase(handle);
  for (const RefHandle ref : deps) release(ref, now);
  for (const RefHandle ref : contained) release(ref, now);
}

// ---- calls of other processes

void Owner::Impl::tell_owner(TaskHandle handle, const wire::ReplyHeader& header, wire::Value&& value) {
  TaskEntry& task = tasks_[handle];
  const RefEntry& home = refs_[task.actor];
  Answer& answer = logging_[handle];
  answer.value = std::move(value);
  answer.more = std::exchange(more_values_, {});
  task.state = TaskEntry::State::logging;
  wire::LogCall message;
  message.actor = as_actor(home.extra->foreign);
  message.incarnation = home.actor()->incarnation;
  message.order = header.order;
  message.call = id(task.result);
  message.attempt = task.attempt;
  message.function = task.function;
  message.flags = task.flags;
  message.group = task.group;
  message.args = task.args;
  for (const RefHandle ref : task.deps) {
    message.deps.push_back(id(ref));
    message.values.push_back(value_of(refs_[ref]));
  }
  for (const RefHandle ref : task.contained) message.contained.push_back(id(ref));
  sink_.send(message.actor.owner, std::move(message));
}

void Owner::Impl::on_log_call(const ProcessId& from, const wire::LogCall& message, Time now) {
  const RefHandle ref = find_owned(message.actor.index, message.actor.generation);
  ActorEntry* actor = ref ? refs_[ref].actor() : nullptr;
  const SlabHandle pending =
      pending_holds_.emplace(from, wire::Message(wire::CallLogged{message.call, message.attempt, true}), 1u);
  if (actor != nullptr && actor->state) {
    if (actor->state->unanswered.erase(message.call) != 0) {
      // In the checkpoint, whichever life it was that ran it.
    } else if (actor->life != Life::alive || actor->incarnation != message.incarnation) {
      std::get<wire::CallLogged>(pending_holds_[pending].message).accepted = false;
    } else if (message.order > actor->state->checkpoint_order) {
      TaskEntry call;
      call.flags = message.flags;
      call.function = message.function;
      call.group = message.group;
      call.args = message.args;
      retain(ref);
      for (std::size_t i = 0; i < message.deps.size(); ++i) {
        const RefHandle dep = borrow_held(message.deps[i], pending);
        call.deps.push_back(dep);
        if (refs_[dep].state == RefState::pending && !refs_[dep].owned()) {
          become(dep, wire::Value(message.values[i]), now);
        }
      }
      for (const RefId& name : message.contained) call.contained.push_back(borrow_held(name, pending));
      add_to_log(ref, std::move(call), message.order, message.call, now);
      release(ref, now);
    }
  }  // else it never resumes, and what was answered stands
  release_hold(pending);
}

void Owner::Impl::on_call_logged(const wire::CallLogged& message, Time now) {
  const RefHandle result = find_owned(message.call.index, message.call.generation);
  if (!result) return;
  const TaskHandle handle = refs_[result].task;
  const TaskEntry* task = tasks_.find(handle);
  if (task == nullptr || task->state != TaskEntry::State::logging || task->attempt != message.attempt) return;
  if (message.accepted) return end_logged(handle, now);
  // The life in which it ran has ended, and with it what the call did.
  Answer answer = std::move(logging_.extract(handle).mapped());
  answer.more.push_back(std::move(answer.value));
  for (const wire::Value& value : answer.more) {
    if (value.kind == wire::ValueKind::object) {
      sink_.send(node_process(value.location.node), wire::FreeObject{value.location});
    }
  }
  Error why;
  why.code = ErrorCode::actor_died;
  why.message = "the actor's worker died before the call was logged";
  why.node = options_.node_name;
  const RefHandle actor = task->actor;
  retain(actor);
  interrupted(actor, handle, why, now);
  pump_actor(actor, now);
  release(actor, now);
}

void Owner::Impl::end_logged(TaskHandle handle, Time now) {
  Answer answer = std::move(logging_.extract(handle).mapped());
  const TaskEntry& task = tasks_[handle];
  const RefHandle actor = task.actor;
  retain(actor);
  more_values_ = std::move(answer.more);
  if (answer.may_retry && task.retries_left != 0 && !task.cancelled) {
    more_values_.clear();
    retry_or_fail(handle, std::move(answer.value.error), now);
  } else {
    end_task(handle, std::move(answer.value), now);
  }
  ActorEntry& home = *refs_[actor].actor();
  while (!home.in_flight.empty() && tasks_.find(home.in_flight.front()) == nullptr) home.in_flight.pop_front();
  if (!home.queue.empty()) pump_actor(actor, now);
  release(actor, now);
}

void Owner::Impl::logging_owner_died(RefHandle actor, Time now) {
  // It never resumes: what was answered stands.
  std::vector<TaskHandle> answered;
  for (const auto& [handle, answer] : logging_) {
    if (tasks_[handle].actor == actor) answered.push_back(handle);
  }
  for (const TaskHandle handle : answered) {
    if (logging_.contains(handle)) end_logged(handle, now);
  }
}

// ---- checkpoints

void Owner::Impl::save_if_due(RefHandle ref, Time now) {
  ActorEntry* const actor = refs_[ref].actor();
  if (actor == nullptr || !actor->state || actor->life != Life::alive) return;
  ActorState& state = *actor->state;
  if (state.saving || state.saved || state.log.empty()) return;
  const ActorOptions& options = actor->options;
  const bool many = options.checkpoint_every != 0 && state.log.size() >= options.checkpoint_every;
  const bool timed = options.checkpoint_period > Duration::zero();
  if (!many && (!timed || now < state.logging_since + options.checkpoint_period)) {
    if (timed) set_timer(state.logging_since + options.checkpoint_period);
    return;
  }
  if (now < state.not_before) return set_timer(state.not_before);
  const RefHandle result = refs_.emplace();
  const TaskHandle handle = tasks_.emplace();
  TaskEntry& task = tasks_[handle];
  task.kind = wire::CallKind::actor_call;
  task.flags = wire::call_saves;
  task.function = tasks_[actor->creation].function;
  task.order = ++order_;
  task.actor = ref;  // not counted
  task.result = result;
  refs_[result].task = handle;
  if (send(handle, task, actor->worker, actor->lease) == SendStatus::accepted) {
    task.state = TaskEntry::State::sent;
    state.saving = handle;
    return;
  }
  tasks_.erase(handle);
  refs_.erase(result);
  state.not_before = now + std::chrono::milliseconds(1);
  set_timer(state.not_before);
}

void Owner::Impl::on_calls_saved(const wire::CallsSaved& message) {
  const RefHandle ref = find_owned(message.actor.index, message.actor.generation);
  const ActorEntry* actor = ref ? refs_[ref].actor() : nullptr;
  if (actor == nullptr || !actor->state || actor->incarnation != message.incarnation) return;
  auto& calls = actor->state->saved_calls;
  calls.insert(calls.end(), message.calls.begin(), message.calls.end());
}

void Owner::Impl::saved(TaskHandle handle, wire::ReplyKind kind, wire::Value&& value, std::uint64_t order, Time now) {
  const RefHandle ref = tasks_[handle].actor;
  const RefHandle result = tasks_[handle].result;
  ActorEntry& actor = *refs_[ref].actor();
  ActorState& state = *actor.state;
  Error failed = task_error(tasks_[handle], ErrorCode::actor_died, "the actor's state could not be saved");
  tasks_.erase(handle);
  refs_[result].task = {};
  state.saving = {};
  if (kind != wire::ReplyKind::value_inline && kind != wire::ReplyKind::value_object) {
    release(result, now);
    state.not_before = now + save_again_after;
    set_timer(state.not_before);
    // Its own save() failed, and would again: an actor that only seems to be safe is worse than one that ends.
    if (value.kind != wire::ValueKind::error || value.error.code != ErrorCode::exception) return;
    failed.causes.push_back(std::move(value.error));
    sink_.send(node_process(actor.lease.node), wire::LeaseKill{actor.lease, "its state could not be saved"});
    bury_actor(ref, std::move(failed), now);
    return;
  }
  state.saved = result;
  state.saved_order = order;
  become(result, std::move(value), now);
  if (!localize(result)) return checkpoint_here(ref, now);
  refs_[result].watched = false;
  refs_[result].more().checkpoint_of = ref;
}

void Owner::Impl::checkpoint_here(RefHandle ref, Time now) {
  ActorState& state = *refs_[ref].actor()->state;
  const RefHandle before = std::exchange(state.checkpoint, std::exchange(state.saved, {}));
  state.checkpoint_order = state.saved_order;
  if (state.checkpoint && refs_[state.checkpoint].state == RefState::object) {
    // Where the actor lives on this node there is only the one; else it was brought here, and there are two.
    refs_[state.checkpoint].more().wanted_copies = 2;
    tend_copies(state.checkpoint);
  }
  state.last_order = std::max(state.last_order, state.saved_order);
  state.unanswered.insert(state.saved_calls.begin(), state.saved_calls.end());
  state.saved_calls.clear();
  std::vector<TaskHandle> covered;
  for (; !state.log.empty() && state.log.front().order <= state.checkpoint_order; state.log.pop_front()) {
    covered.push_back(state.log.front().call);
    state.unanswered.erase(state.log.front().origin);
  }
  state.logging_since = now;
  retain(ref);
  if (before) release(before, now);
  for (const TaskHandle handle : covered) forget_call(handle, now);
  save_if_due(ref, now);
  release(ref, now);
}

void Owner::Impl::stop_saving(ActorState& state, Time now) {
  if (TaskEntry* task = tasks_.find(state.saving)) {
    refs_.erase(task->result);
    tasks_.erase(state.saving);
  }
  state.saving = {};
  state.saved_calls.clear();
  if (const RefHandle result = std::exchange(state.saved, {})) release(result, now);
}

// ---- resuming

void Owner::Impl::resume_actor(RefHandle ref, Time now) {
  ActorEntry& actor = *refs_[ref].actor();
  rewind(*actor.state);
  actor.life = Life::resuming;
  replay(ref, now);
}

void Owner::Impl::replay(RefHandle ref, Time now) {
  ActorEntry& actor = *refs_[ref].actor();
  if (actor.life != Life::resuming) return;
  ActorState& state = *actor.state;
  while (state.replayed < state.log.size()) {
    const TaskHandle handle = state.log[state.replayed].call;
    TaskEntry& task = tasks_[handle];
    if (task.waiting_deps != 0) return;
    for (const RefHandle dep : task.deps) {
      RefEntry& entry = refs_[dep];
      if (entry.state == RefState::error) {
        Error error = task_error(task, ErrorCode::actor_died,
                                 "the actor cannot resume: an argument of a call that it has to repeat is lost");
        error.causes.push_back(entry.extra->error);
        sink_.send(node_process(actor.lease.node), wire::LeaseKill{actor.lease, "it cannot resume"});
        return bury_actor(ref, std::move(error), now);
      }
      if (entry.state != RefState::pending) continue;
      ++task.waiting_deps;
      entry.more().dependents.push_back(handle);
    }
    if (task.waiting_deps != 0) return;
    const RefHandle result = refs_.emplace();
    refs_[result].task = handle;
    task.result = result;
    const SendStatus status = send(handle, task, actor.worker, actor.lease);
    if (status != SendStatus::accepted) {
      refs_.erase(result);
      task.result = {};
      if (status == SendStatus::full) set_timer(now + std::chrono::milliseconds(1));
      return;
    }
    task.state = TaskEntry::State::sent;
    ++state.replayed;
    ++state.replaying;
  }
  if (state.replaying != 0) return;
  actor_lives(ref, now);
  if (refs_.find(ref) != nullptr) save_if_due(ref, now);
}

void Owner::Impl::replayed(const ProcessId& from, const wire::ReplyHeader& header, bool has_refs, Time now) {
  const RefHandle result{header.index, header.generation};
  TaskEntry& task = tasks_[refs_[result].task];
  if (has_refs) sink_.send(from, wire::ReleaseHeld{header.index, header.generation, header.attempt, header.item});
  for (const wire::Value& value : std::exchange(more_values_, {})) {
    if (value.kind == wire::ValueKind::object) {
      sink_.send(node_process(value.location.node), wire::FreeObject{value.location});
    }
  }
  refs_.erase(result);
  task.result = {};
  task.state = TaskEntry::State::kept;
  ActorEntry& actor = *refs_[task.actor].actor();
  --actor.state->replaying;
  if (header.kind == wire::ReplyKind::not_started || header.kind == wire::ReplyKind::argument_lost) {
    // What comes after it ran without it: once more from the checkpoint.
    sink_.send(node_process(actor.lease.node), wire::LeaseKill{actor.lease, "it could not resume"});
    return;
  }
  replay(task.actor, now);
}

void Owner::Impl::rewind(ActorState& state) {
  state.replayed = state.replaying = 0;
  for (const ActorState::Logged& logged : state.log) {
    TaskEntry& task = tasks_[logged.call];
    if (task.result) refs_.erase(std::exchange(task.result, {}));
    task.state = TaskEntry::State::kept;
    task.waiting_deps = 0;
  }
}

void Owner::Impl::drop_state(ActorEntry& actor, Time now) {
  const std::unique_ptr<ActorState> state = std::move(actor.state);
  if (!state) return;
  stop_saving(*state, now);
  rewind(*state);
  for (const ActorState::Logged& logged : state->log) forget_call(logged.call, now);
  if (state->checkpoint) release(state->checkpoint, now);
}

std::vector<RefId> Owner::Impl::answered_calls_of(const ActorEntry& actor, const ProcessId& caller) const {
  std::vector<RefId> calls;
  if (!actor.state) return calls;
  for (const RefId& call : actor.state->unanswered) {
    if (call.owner == caller) calls.push_back(call);
  }
  return calls;
}

}  // namespace mobula
