// Actors: creating and restarting those that this process owns, and calling any (docs/design/actors-belong-to-their-
// creator.md). Calls of one process on one actor wait in one queue and are sent in order, to the instance that is
// known.
#include <algorithm>

#include "runtime/owner/owner_impl.h"

namespace mobula {

using Life = ActorEntry::Life;

RefHandle Owner::Impl::create_actor(ActorSpec&& spec, Time now, bool claim) {
  const RefHandle ref = refs_.emplace();
  auto actor = std::make_unique<ActorEntry>();
  actor->life = Life::waiting;
  actor->restarts_left = spec.options.max_restarts;
  actor->max_call_retries = spec.options.max_call_retries;
  actor->max_pending_calls = spec.options.max_pending_calls;
  actor->unordered = spec.options.unordered;
  actor->options = spec.options;
  if (spec.options.keeps_state) {
    actor->state = std::make_unique<ActorState>();
    spec.flags |= wire::call_logged;
  }
  refs_[ref].more().actor = std::move(actor);
  actors_.insert(ref);
  const TaskHandle handle = new_task(wire::CallKind::actor_create, ref, spec.constructor, spec.flags,
                                     std::move(spec.args), std::move(spec.deps), std::move(spec.contained), now);
  TaskEntry& task = tasks_[handle];
  task.task_class = task_class({.name = spec.options.name, .resources = spec.options.resources});
  refs_[ref].actor()->creation = handle;
  if (claim) {
    refs_[ref].actor()->naming = true;
    ++task.waiting_deps;  // for its name, as for an argument
  }
  if (task.waiting_deps == 0) start(handle, now);
  return ref;
}

ActorEntry& Owner::Impl::actor_of(RefHandle ref) {
  RefExtra& extra = refs_[ref].more();
  if (!extra.actor) {
    extra.actor = std::make_unique<ActorEntry>();
    actors_.insert(ref);
  }
  return *extra.actor;
}

RefHandle Owner::Impl::actor_by_tag(std::uint64_t tag) {
  const auto index = static_cast<std::uint32_t>(tag);
  const auto generation = static_cast<std::uint32_t>(tag >> 32 & 0x7fffffffu);
  for (const std::uint32_t candidate : {generation, generation | 0x80000000u}) {
    const RefHandle ref{index, candidate};
    if (const RefEntry* entry = refs_.find(ref); entry != nullptr && entry->owned() && entry->actor()) return ref;
  }
  return {};
}

void Owner::Impl::ask_actor_lease(RefHandle ref, NodeId node, bool spilled, std::uint64_t job) {
  ActorEntry& actor = *refs_[ref].actor();
  actor.asked_node = node;
  wire::LeaseRequest message;
  message.tag = actor_tag(ref);
  message.depth = tasks_[actor.creation].depth;
  message.backlog = 1;
  message.dedicated = true;
  message.spilled = spilled;
  message.resources = actor.options.resources;
  message.program = actor.options.program.path.empty() ? options_.program : actor.options.program;
  message.placement = actor.options.placement;
  message.priority = actor.options.priority;
  message.avoid = actor.avoid;
  message.job = job;
  message.retriable = actor.restarts_left != 0 && actor.options.max_call_retries != 0;
  sink_.send(node_process(node), std::move(message));
}

void Owner::Impl::actor_granted(RefHandle ref, const wire::LeaseGrant& grant, Time now) {
  ActorEntry& actor = *refs_[ref].actor();
  actor.worker = grant.worker;
  actor.lease = grant.lease;
  ++actor.incarnation;
  actor.life = Life::creating;
  TaskEntry& task = tasks_[actor.creation];
  task.attempt = actor.incarnation;
  task.state = TaskEntry::State::queued;
  send_creation(ref, now);
}

void Owner::Impl::send_creation(RefHandle ref, Time now) {
  ActorEntry& actor = *refs_[ref].actor();
  TaskEntry& task = tasks_[actor.creation];
  if (!task.deps.empty() && lacks_arguments(actor.creation, now)) return give_back_worker(ref);
  switch (send(actor.creation, task, actor.worker, actor.lease)) {
    case SendStatus::accepted:
      task.state = TaskEntry::State::sent;
      break;
    case SendStatus::full:
      set_timer(now + std::chrono::milliseconds(1));
      break;
    case SendStatus::dead:
      break;  // its death will be told, and is a restart
  }
}

void Owner::Impl::actor_created(RefHandle ref, wire::Value&& outcome, Time now) {
  ActorEntry& actor = *refs_[ref].actor();
  if (outcome.kind == wire::ValueKind::error) {
    Error error = task_error(tasks_[actor.creation], ErrorCode::actor_died, "the actor's constructor failed");
    error.causes.push_back(std::move(outcome.error));
    if (actor.life == Life::creating) sink_.send(node_process(actor.lease.node), wire::LeaseReturn{actor.lease});
    bury_actor(ref, std::move(error), now);
    return;
  }
  ++refs_[ref].count;
  if (refs_[ref].state == RefState::pending) become(ref, std::move(outcome), now);
  if (actor.state) {
    resume_actor(ref, now);
  } else {
    actor_lives(ref, now);
  }
  release(ref, now);
}

void Owner::Impl::actor_lives(RefHandle ref, Time now) {
  ActorEntry& actor = *refs_[ref].actor();
  actor.life = Life::alive;
  actor.reachable = true;
  answer_locating(ref);
  pump_actor(ref, now);
}

void Owner::Impl::give_back_worker(RefHandle ref) {
  ActorEntry& actor = *refs_[ref].actor();
  sink_.send(node_process(actor.lease.node), wire::LeaseReturn{actor.lease});
  actor.life = Life::waiting;  // for its arguments
}

RefHandle Owner::Impl::call(RefHandle actor_ref, TaskSpec&& spec, Time now, std::vector<RefHandle>* more) {
  ActorEntry& actor = actor_of(actor_ref);
  const RefHandle ref = refs_.emplace();
  const TaskHandle handle = new_task(wire::CallKind::actor_call, ref, spec.function, spec.flags, std::move(spec.args),
                                     std::move(spec.deps), std::move(spec.contained), now);
  TaskEntry& task = tasks_[handle];
  task.task_class = spec.task_class;
  task.actor = actor_ref;
  task.group = spec.group;
  retain(actor_ref);
  ++actor.pending;
  if (spec.stream || spec.results > 1) shape_results(handle, spec, more);
  want_copies_of_results(handle);
  if (actor.life == Life::dead) {
    fail_call(handle, actor.death, false, now);
    return ref;
  }
  if (!actor.unordered) actor.queue.push_back(handle);
  if (task.waiting_deps == 0) start(handle, now);
  return ref;
}

void Owner::Impl::pump_actor(RefHandle ref, Time now) {
  ActorEntry& actor = *refs_[ref].actor();
  if (actor.life == Life::creating && tasks_[actor.creation].state != TaskEntry::State::sent) send_creation(ref, now);
  if (actor.life == Life::resuming) return replay(ref, now);
  while (!actor.queue.empty()) {
    const TaskHandle handle = actor.queue.front();
    TaskEntry* task = tasks_.find(handle);
    if (task == nullptr || task->state == TaskEntry::State::sent) {
      actor.queue.pop_front();
      continue;
    }
    if (task->state != TaskEntry::State::waiting && !task->deps.empty()) lacks_arguments(handle, now);
    if (task->state == TaskEntry::State::waiting) {
      if (!actor.unordered) return;  // later calls wait with it: order is promised
      actor.queue.pop_front();
      continue;
    }
    if (!actor.reachable) {
      if (actor.life == Life::foreign) locate(ref);
      return;
    }
    if (task->attempt == 1) task->retries_left = actor.max_call_retries;
    const SendStatus status = send(handle, *task, actor.worker, actor.lease);
    if (status == SendStatus::full) {
      set_timer(now + std::chrono::milliseconds(1));
      return;
    }
    if (status == SendStatus::dead) {
      actor.reachable = false;  // its death will be told
      return;
    }
    task->state = TaskEntry::State::sent;
    actor.queue.pop_front();
    // Calls that overtook a long one have ended, but lie behind it.
    if (actor.in_flight.size() > 64 && actor.in_flight.size() > 2 * std::size_t{actor.pending}) {
      RingQueue<TaskHandle> live;
      for (std::size_t i = 0; i < actor.in_flight.size(); ++i) {
        if (tasks_.find(actor.in_flight[i]) != nullptr) live.push_back(actor.in_flight[i]);
      }
      actor.in_flight = std::move(live);
    }
    actor.in_flight.push_back(handle);
  }
}

void Owner::Impl::requeue_call(ActorEntry& actor, TaskHandle handle) {
  TaskEntry& task = tasks_[handle];
  task.state = TaskEntry::State::queued;
  auto place = actor.queue.begin();
  while (place != actor.queue.end()) {
    const TaskEntry* other = tasks_.find(*place);
    if (other != nullptr && other->order > task.order) break;
    ++place;
  }
  actor.queue.insert(place, handle);
}

void Owner::Impl::fail_call(TaskHandle handle, const Error& death, bool begun, Time now) {
  TaskEntry& task = tasks_[handle];
  wire::Value value;
  value.kind = wire::ValueKind::error;
  value.error = task_error(task, task.cancelled ? ErrorCode::cancelled : death.code,
                           begun ? "the actor died with the call in flight: it may have run, fully or in part"
                                 : "the actor is gone, so the call was not run");
  if (!begun) value.error.attempt = 0;
  value.error.node = death.node;
  value.error.signal = death.signal;
  value.error.pid = death.pid;
  value.error.backtrace = death.backtrace;
  value.error.causes.push_back(death);
  end_task(handle, std::move(value), now);
}

void Owner::Impl::actor_worker_died(RefHandle ref, const Error& why, Time now) {
  ActorEntry& actor = *refs_[ref].actor();
  const ProcessId worker = actor.worker;
  actor.reachable = false;
  actor.asked = false;
  retain(ref);
  RingQueue<TaskHandle> in_flight = std::exchange(actor.in_flight, {});
  for (std::size_t i = 0; i < in_flight.size(); ++i) {
    TaskEntry* task = tasks_.find(in_flight[i]);
    if (task == nullptr || task->state != TaskEntry::State::sent) continue;
    if (!task->cancelled && sink_.withdraw(worker, task->ticket)) {
      requeue_call(actor, in_flight[i]);
    } else {
      interrupted(ref, in_flight[i], why, now);
    }
  }
  if (actor.state) {
    stop_saving(*actor.state, now);
    rewind(*actor.state);
  }
  if (actor.life == Life::foreign) {
    if (!actor.queue.empty()) locate(ref);
  } else if (actor.life != Life::dead) {
    const RefEntry& entry = refs_[ref];
    const bool needed = entry.count > 1 || !entry.extra->borrowers.empty();
    if (needed && actor.restarts_left != 0) {
      if (actor.restarts_left > 0) --actor.restarts_left;
      actor.life = Life::leasing;
      TaskEntry& creation = tasks_[actor.creation];
      creation.state = TaskEntry::State::waiting;
      ask_actor_lease(ref, self_.node, false, options_.job);
    } else {
      bury_actor(ref, why, now);
    }
  }
  release(ref, now);
}

void Owner::Impl::interrupted(RefHandle ref, TaskHandle handle, const Error& why, Time now) {
  TaskEntry& task = tasks_[handle];
  if (task.cancelled || task.retries_left == 0) return fail_call(handle, why, true, now);
  if (task.retries_left > 0) --task.retries_left;
  ++task.attempt;
  if (task.causes.size() < 8) task.causes.push_back(why);
  requeue_call(*refs_[ref].actor(), handle);
}

void Owner::Impl::forget_creation(ActorEntry& actor, Time now) {
  if (TaskEntry* task = tasks_.find(actor.creation)) {
    refs_[task->result].task = {};
    forget_call(std::exchange(actor.creation, {}), now);
  }
  drop_state(actor, now);
}

void Owner::Impl::bury_actor(RefHandle ref, Error error, Time now) {
  ActorEntry& actor = *refs_[ref].actor();
  if (actor.life == Life::dead) return;
  retain(ref);
  actor.life = Life::dead;
  actor.reachable = false;
  actor.death = std::move(error);
  release_name(ref);
  forget_creation(actor, now);
  RingQueue<TaskHandle> in_flight = std::exchange(actor.in_flight, {});
  for (std::size_t i = 0; i < in_flight.size(); ++i) {
    TaskEntry* task = tasks_.find(in_flight[i]);
    if (task != nullptr && task->state == TaskEntry::State::sent) fail_call(in_flight[i], actor.death, true, now);
  }
  const std::deque<TaskHandle> queue = std::exchange(actor.queue, {});
  for (const TaskHandle handle : queue) {
    if (tasks_.find(handle) != nullptr) fail_call(handle, actor.death, false, now);
  }
  if (refs_[ref].owned()) {
    answer_locating(ref);
    if (refs_[ref].state == RefState::pending) {
      wire::Value value;
      value.kind = wire::ValueKind::error;
      value.error = actor.death;
      become(ref, std::move(value), now);
    }
  }
  release(ref, now);
}

void Owner::Impl::end_actor(RefHandle ref, Time now) {
  ActorEntry& actor = *refs_[ref].actor();
  switch (actor.life) {
    case Life::foreign:
    case Life::dead:
      return;
    case Life::creating:
      return;  // ends when the constructor answered
    case Life::waiting:
      break;
    case Life::leasing:
      sink_.send(node_process(actor.asked_node), wire::LeaseCancel{actor_tag(ref), 1});
      break;
    case Life::resuming:
    case Life::alive:
      sink_.send(actor.worker, wire::EndActor{as_actor(id(ref)), actor.incarnation, actor.lease});
      break;
  }
  actor.life = Life::dead;
  actor.reachable = false;
  release_name(ref);
  forget_creation(actor, now);
}

void Owner::Impl::kill(RefHandle ref, Time now) {
  if (!refs_[ref].owned()) {
    sink_.send(refs_[ref].extra->foreign.owner, wire::ActorKill{as_actor(refs_[ref].extra->foreign)});
    return;
  }
  ActorEntry* actor = refs_[ref].actor();
  if (actor == nullptr || actor->life == Life::dead) return;
  Error error = task_error(tasks_[actor->creation], ErrorCode::actor_died, "the actor was killed by kill()");
  error.attempt = static_cast<std::int32_t>(actor->incarnation);
  if (actor->life == Life::leasing) {
    sink_.send(node_process(actor->asked_node), wire::LeaseCancel{actor_tag(ref), 1});
  } else if (actor->life != Life::waiting) {
    sink_.send(node_process(actor->lease.node), wire::LeaseKill{actor->lease, "its actor was killed by kill()"});
  }
  bury_actor(ref, std::move(error), now);
}

void Owner::Impl::locate(RefHandle ref) {
  ActorEntry& actor = *refs_[ref].actor();
  if (actor.asked) return;
  actor.asked = true;
  const RefId& foreign = refs_[ref].extra->foreign;
  sink_.send(foreign.owner, wire::ActorLocate{as_actor(foreign), actor.incarnation});
}

void Owner::Impl::answer_locating(RefHandle ref) {
  ActorEntry& actor = *refs_[ref].actor();
  const ActorId name = as_actor(id(ref));
  std::erase_if(actor.locating, [&](const auto& asker) {
    if (actor.life == Life::dead) {
      sink_.send(asker.first, wire::ActorGone{name, actor.death});
      return true;
    }
    if (actor.life != Life::alive || actor.incarnation <= asker.second) return false;
    sink_.send(asker.first, wire::ActorAt{name, actor.incarnation, actor.worker, actor.lease, actor.max_call_retries,
                                          actor.max_pending_calls, actor.unordered, actor.state != nullptr,
                                          answered_calls_of(actor, asker.first)});
    return true;
  });
}

void Owner::Impl::on_actor_locate(const ProcessId& from, const wire::ActorLocate& message) {
  const RefHandle ref = find_owned(message.actor.index, message.actor.generation);
  if (!ref || refs_[ref].actor() == nullptr) {
    Error error;
    error.code = ErrorCode::actor_died;
    error.message = "the actor ended: its owner holds no handle of it any more";
    sink_.send(from, wire::ActorGone{message.actor, std::move(error)});
    return;
  }
  refs_[ref].actor()->locating.emplace_back(from, message.known_incarnation);
  shared_.insert(ref);
  answer_locating(ref);
}

void Owner::Impl::on_actor_at(const wire::ActorAt& message, Time now) {
  const auto found = borrowed_.find(message.actor.ref());
  if (found == borrowed_.end()) return;
  ActorEntry& actor = actor_of(found->second);
  if (actor.life != Life::foreign || message.incarnation <= actor.incarnation) return;
  actor.asked = false;
  actor.reachable = true;
  actor.worker = message.worker;
  actor.lease = message.lease;
  actor.incarnation = message.incarnation;
  actor.max_call_retries = message.max_call_retries;
  actor.max_pending_calls = message.max_pending_calls;
  actor.unordered = message.unordered;
  actor.logged = message.logged;
  const RefHandle ref = found->second;
  retain(ref);
  for (const RefId& call : message.answered) {
    // Its effect is in the state that lives on, so that it must not run again; but its result went with the worker.
    const RefHandle result = find_owned(call.index, call.generation);
    if (!result || tasks_.find(refs_[result].task) == nullptr) continue;
    const TaskHandle handle = refs_[result].task;
    if (tasks_[handle].state != TaskEntry::State::queued || tasks_[handle].attempt == 1) continue;
    wire::Value lost;
    lost.kind = wire::ValueKind::error;
    lost.error = task_error(tasks_[handle], ErrorCode::actor_died,
                            "the actor died with the result: the call ran, and what it did is in the actor's state");
    end_task(handle, std::move(lost), now);
  }
  refuse_surplus(ref, now);
  pump_actor(ref, now);
  release(ref, now);
}

void Owner::Impl::refuse_surplus(RefHandle ref, Time now) {
  // Made before the actor's options were known here: the latest ones are too many.
  ActorEntry& actor = *refs_[ref].actor();
  retain(ref);
  while (actor.max_pending_calls != 0 && actor.pending > actor.max_pending_calls && !actor.queue.empty()) {
    const TaskHandle handle = actor.queue.back();
    actor.queue.pop_back();
    const TaskEntry* task = tasks_.find(handle);
    if (task == nullptr || task->state == TaskEntry::State::sent) continue;
    wire::Value value;
    value.kind = wire::ValueKind::error;
    value.error = task_error(*task, ErrorCode::too_many_calls, too_many_calls(actor.max_pending_calls));
    value.error.attempt = 0;
    end_task(handle, std::move(value), now);
  }
  // An unordered actor's queue holds none that wait.
  if (actor.unordered) {
    std::erase_if(actor.queue, [this](TaskHandle handle) {
      const TaskEntry* task = tasks_.find(handle);
      return task == nullptr || task->state == TaskEntry::State::waiting;
    });
  }
  release(ref, now);
}

void Owner::Impl::on_actor_exited(const wire::ActorExited& message, Time now) {
  const RefHandle ref = find_owned(message.actor.index, message.actor.generation);
  if (!ref || refs_[ref].actor() == nullptr) return;
  ActorEntry& actor = *refs_[ref].actor();
  if ((actor.life != Life::alive && actor.life != Life::resuming) || actor.incarnation != message.incarnation) return;
  // What it had not begun it refuses, or will never see.
  RingQueue<TaskHandle> in_flight = std::exchange(actor.in_flight, {});
  for (std::size_t i = 0; i < in_flight.size(); ++i) {
    const TaskEntry* task = tasks_.find(in_flight[i]);
    if (task != nullptr && task->state == TaskEntry::State::sent) requeue_call(actor, in_flight[i]);
  }
  bury_actor(ref, message.error, now);
}

void Owner::Impl::on_actor_gone(const wire::ActorGone& message, Time now) {
  const auto found = borrowed_.find(message.actor.ref());
  if (found == borrowed_.end()) return;
  actor_of(found->second);
  bury_actor(found->second, message.error, now);
}

}  // namespace mobula
