// Calls: from submission, through their dependencies, to the reply.
#include <algorithm>

#include "runtime/owner/owner_impl.h"
#include "runtime/wire/codec.h"

namespace mobula {

namespace {
constexpr const char* argument_failed = "an argument of the call failed, so it was not run";
}

TaskClass Owner::Impl::task_class(const TaskOptions& options) {
  const auto known = std::find(task_classes_.begin(), task_classes_.end(), options);
  if (known != task_classes_.end()) return static_cast<TaskClass>(known - task_classes_.begin());
  std::uint32_t scheduling = 0;
  while (scheduling < classes_.size() && classes_[scheduling].resources != options.resources) ++scheduling;
  if (scheduling == classes_.size()) {
    classes_.emplace_back();
    classes_.back().resources = options.resources;
  }
  task_classes_.push_back(options);
  scheduling_class_of_.push_back(scheduling);
  return static_cast<TaskClass>(task_classes_.size() - 1);
}

RefHandle Owner::Impl::submit(TaskSpec&& spec, Time now) {
  const RefHandle ref = refs_.emplace();
  const TaskHandle handle = new_task(wire::CallKind::task, ref, spec.function, spec.flags, std::move(spec.args),
                                     std::move(spec.deps), std::move(spec.contained), now);
  TaskEntry& task = tasks_[handle];
  task.task_class = spec.task_class;
  task.retries_left = task_classes_[spec.task_class].max_retries;
  if (task.waiting_deps == 0) start(handle, now);
  return ref;
}

TaskHandle Owner::Impl::new_task(wire::CallKind kind, RefHandle result, const FunctionId& function, std::uint8_t flags,
                                 Bytes&& args, std::vector<RefHandle>&& deps, std::vector<RefHandle>&& contained,
                                 Time now) {
  (void)now;
  const TaskHandle handle = tasks_.emplace();
  TaskEntry& task = tasks_[handle];
  task.kind = kind;
  task.flags = flags;
  task.function = function;
  task.depth = depth_;
  task.parent = parent_;
  task.order = ++order_;
  task.result = result;
  task.args = std::move(args);
  task.deps = std::move(deps);
  task.contained = std::move(contained);
  refs_[result].task = handle;
  for (const RefHandle ref : task.contained) retain(ref);
  for (const RefHandle ref : task.deps) {
    RefEntry& entry = refs_[ref];
    ++entry.count;
    if (entry.state != RefState::pending) continue;
    ++task.waiting_deps;
    entry.more().dependents.push_back(handle);
    if (!entry.owned() && !entry.resolving) {
      entry.resolving = true;
      sink_.send(entry.extra->foreign.owner, wire::Resolve{entry.extra->foreign});
    }
  }
  return handle;
}

void Owner::Impl::dependency_ready(TaskHandle handle, RefHandle dependency, Time now) {
  TaskEntry* task = tasks_.find(handle);
  if (task == nullptr) return;  // cancelled, or failed by another dependency
  --task->waiting_deps;
  // A dependency that failed ends the task at once; start() finds it among the deps.
  if (task->waiting_deps == 0 || refs_[dependency].state == RefState::error) start(handle, now);
}

void Owner::Impl::start(TaskHandle handle, Time now) {
  TaskEntry& task = tasks_[handle];
  for (const RefHandle ref : task.deps) {
    const RefEntry& dependency = refs_[ref];
    if (dependency.state != RefState::error) continue;
    // The dependency's own code stays visible: whoever cancelled, or died, is the reason here as well.
    const Error& cause = dependency.extra->error;
    Error error = task_error(task, cause.code, argument_failed);
    error.attempt = 0;
    if (cause.message == argument_failed && !cause.causes.empty()) {
      // Of a long chain only its root matters; nesting every link would cost the square of its length.
      error.causes = cause.causes;
    } else {
      error.causes.push_back(cause);
    }
    wire::Value outcome;
    outcome.kind = wire::ValueKind::error;
    outcome.error = std::move(error);
    if (task.kind == wire::CallKind::actor_create) {
      actor_created(task.result, std::move(outcome), now);
    } else {
      const RefHandle actor = task.actor;
      if (actor) retain(actor);
      end_task(handle, std::move(outcome), now);
      if (actor) {
        pump_actor(actor, now);
        release(actor, now);
      }
    }
    return;
  }
  switch (task.kind) {
    case wire::CallKind::task: {
      const std::uint32_t scheduling = scheduling_class_of_[task.task_class];
      enqueue(handle, task, false);
      if (classes_[scheduling].queued == 1) {
        dispatch(scheduling, now);
      } else {
        ask(scheduling, now);
      }
      break;
    }
    case wire::CallKind::actor_create: {
      const RefHandle actor = task.result;
      refs_[actor].actor()->life = ActorEntry::Life::leasing;
      ask_actor_lease(actor, self_.node, false);
      break;
    }
    case wire::CallKind::actor_call: {
      task.state = TaskEntry::State::queued;
      pump_actor(task.actor, now);
      break;
    }
  }
}

SendStatus Owner::Impl::send(TaskHandle handle, TaskEntry& task, const ProcessId& worker, const LeaseId& lease) {
  (void)handle;
  wire::CallHeader header;
  header.kind = task.kind;
  header.flags = task.flags;
  header.depth = task.depth;
  header.caller = self_;
  header.index = task.result.index;
  header.generation = task.result.generation;
  header.function = task.function;
  header.attempt = task.attempt;
  header.lease = lease;
  header.args_bytes = static_cast<std::uint32_t>(task.args.size());
  header.deps = static_cast<std::uint32_t>(task.deps.size());
  if (task.kind != wire::CallKind::task) {
    const RefHandle ref = task.kind == wire::CallKind::actor_create ? task.result : task.actor;
    const RefId actor = id(ref);
    const ActorEntry& entry = *refs_[ref].actor();
    header.actor_owner = actor.owner;
    header.actor_index = actor.index;
    header.actor_generation = actor.generation;
    header.incarnation = entry.incarnation;
    header.sequence = ++sequence_;
  }
  dependencies_.clear();
  locations_.clear();
  locations_.reserve(task.deps.size());  // spans into it are taken below
  for (const RefHandle ref : task.deps) {
    const RefEntry& entry = refs_[ref];
    wire::Dependency dependency;
    dependency.ref = id(ref);
    if (entry.state == RefState::inline_value) {
      dependency.bytes = entry.bytes.span();
    } else {
      dependency.kind = wire::DependencyKind::object;
      wire::ObjectLocation location = entry.location;
      if (location.node != worker.node && entry.extra) {
        for (const auto& copy : entry.extra->copies) {
          if (copy.node == worker.node) location = copy;
        }
      }
      locations_.push_back(location);
      dependency.bytes = std::as_bytes(std::span(&locations_.back(), 1));
    }
    dependencies_.push_back(dependency);
  }
  return sink_.send_call(worker, header, task.args.span(), dependencies_, task.ticket);
}

void Owner::Impl::on_reply(const ProcessId& from, const wire::ReplyHeader& header, std::span<const std::byte> payload,
                           std::span<const RefId> contained, Time now) {
  const RefHandle ref{header.index, header.generation};
  RefEntry* entry = refs_.find(ref);
  TaskEntry* task = entry != nullptr && entry->owned() ? tasks_.find(entry->task) : nullptr;
  wire::Value value;
  switch (header.kind) {
    case wire::ReplyKind::value_inline:
      value.bytes.assign(payload);
      break;
    case wire::ReplyKind::value_object: {
      value.kind = wire::ValueKind::object;
      auto location = wire::decode_location(payload);
      if (location.ok()) {
        value.location = *location;
      } else {
        value.kind = wire::ValueKind::error;
        value.error = location.error();
      }
      break;
    }
    case wire::ReplyKind::error:
    case wire::ReplyKind::cancelled:
      value.kind = wire::ValueKind::error;
      if (!payload.empty()) value.error = wire::decode_error(payload);
      break;
    case wire::ReplyKind::not_started:
      break;
  }
  if (task == nullptr || task->attempt != header.attempt || task->state != TaskEntry::State::sent) {
    // It ended meanwhile (a death was told, the actor was killed): let go of what the reply brought.
    if (!contained.empty()) {
      sink_.send(from, wire::ReleaseHeld{header.index, header.generation, header.attempt});
    }
    if (value.kind == wire::ValueKind::object) {
      sink_.send(node_process(value.location.node), wire::FreeObject{value.location});
    }
    return;
  }
  const TaskHandle handle = entry->task;
  if (!contained.empty()) take_contained(from, header, contained, ref);
  if (header.kind == wire::ReplyKind::cancelled && value.error.code == ErrorCode::none) {
    value.error = task_error(*task, ErrorCode::cancelled, "the call was cancelled");
  }

  switch (task->kind) {
    case wire::CallKind::task: {
      const std::uint32_t scheduling = scheduling_class_of_[task->task_class];
      const LeaseHandle lease = task->lease;
      leave_lease(*task, now);
      if (header.kind == wire::ReplyKind::not_started) {
        enqueue(handle, *task, true);
      } else if (header.kind == wire::ReplyKind::error && task_classes_[task->task_class].retry_exceptions &&
                 task->retries_left != 0 && !task->cancelled) {
        retry_or_fail(handle, std::move(value.error), now);
      } else {
        end_task(handle, std::move(value), now);
      }
      dispatch(scheduling, now);
      if (const LeaseEntry* left = leases_.find(lease); left != nullptr && left->in_flight_count == 0) {
        lease_idle(lease, now);
      }
      break;
    }
    case wire::CallKind::actor_create:
      actor_created(ref, std::move(value), now);
      break;
    case wire::CallKind::actor_call: {
      const RefHandle actor = task->actor;
      ActorEntry& home = actor_of(actor);
      if (header.kind == wire::ReplyKind::not_started) {
        requeue_call(home, handle);
        if (!refs_[actor].owned()) {
          home.reachable = false;
          locate(actor);
        }
      } else {
        retain(actor);
        end_task(handle, std::move(value), now);
        while (!home.in_flight.empty() && tasks_.find(home.in_flight.front()) == nullptr) home.in_flight.pop_front();
        if (!home.queue.empty()) pump_actor(actor, now);
        release(actor, now);
      }
      break;
    }
  }
}

void Owner::Impl::leave_lease(TaskEntry& task, Time now) {
  (void)now;
  const LeaseHandle handle = std::exchange(task.lease, {});
  LeaseEntry* lease = leases_.find(handle);
  if (lease == nullptr) return;
  --lease->in_flight_count;
  --classes_[lease->scheduling_class].in_flight;
  lease->full = false;
  // The front is the one that left, or ones that were cancelled before it.
  while (!lease->in_flight.empty()) {
    const TaskEntry* front = tasks_.find(lease->in_flight.front());
    if (front != nullptr && front->state == TaskEntry::State::sent && front->lease == handle) break;
    lease->in_flight.pop_front();
  }
}

void Owner::Impl::end_task(TaskHandle handle, wire::Value&& value, Time now) {
  TaskEntry& task = tasks_[handle];
  const RefHandle result = task.result;
  const RefHandle actor = task.actor;
  const std::vector<RefHandle> deps = std::move(task.deps);
  const std::vector<RefHandle> contained = std::move(task.contained);
  if (task.state == TaskEntry::State::queued && task.kind == wire::CallKind::task) {
    --classes_[scheduling_class_of_[task.task_class]].queued;
  }
  if (value.kind == wire::ValueKind::error && value.error.causes.empty()) value.error.causes = std::move(task.causes);
  tasks_.erase(handle);
  RefEntry& entry = refs_[result];
  entry.task = {};
  become(result, std::move(value), now);
  for (const RefHandle ref : deps) release(ref, now);
  for (const RefHandle ref : contained) release(ref, now);
  if (actor) release(actor, now);
  maybe_free(result, now);
}

void Owner::Impl::retry_or_fail(TaskHandle handle, Error error, Time now) {
  TaskEntry& task = tasks_[handle];
  if (task.cancelled) {
    Error cancelled = task_error(task, ErrorCode::cancelled, "the task was cancelled while it ran");
    cancelled.causes.push_back(std::move(error));
    wire::Value value;
    value.kind = wire::ValueKind::error;
    value.error = std::move(cancelled);
    end_task(handle, std::move(value), now);
    return;
  }
  if (task.retries_left == 0) {
    wire::Value value;
    value.kind = wire::ValueKind::error;
    value.error = std::move(error);
    // Nearest first: what this attempt met, then the attempts before.
    for (auto cause = task.causes.rbegin(); cause != task.causes.rend(); ++cause) value.error.causes.push_back(*cause);
    end_task(handle, std::move(value), now);
    return;
  }
  if (task.retries_left > 0) --task.retries_left;
  if (task.causes.size() < 8) task.causes.push_back(std::move(error));
  ++task.attempt;
  enqueue(handle, task, true);
}

void Owner::Impl::cancel(RefHandle ref, bool force, Time now) {
  RefEntry& entry = refs_[ref];
  if (entry.state != RefState::pending) return;
  if (!entry.owned()) {
    if (entry.actor() == nullptr) sink_.send(entry.extra->foreign.owner, wire::CancelRef{entry.extra->foreign, force});
    return;
  }
  if (entry.actor() == nullptr && entry.task) cancel_task(entry.task, force, now);
}

void Owner::Impl::cancel_task(TaskHandle handle, bool force, Time now) {
  TaskEntry& task = tasks_[handle];
  if (task.kind == wire::CallKind::actor_create) return;
  const RefHandle actor = task.actor;
  ProcessId worker;
  LeaseId lease_id;
  if (task.state == TaskEntry::State::sent) {
    if (task.kind == wire::CallKind::task) {
      const LeaseEntry& lease = leases_[task.lease];
      worker = lease.worker;
      lease_id = lease.id;
    } else {
      worker = actor_of(actor).worker;
    }
    if (!sink_.withdraw(worker, task.ticket)) {
      task.cancelled = true;
      // The message first: a call that sees the flag and returns at once finds it, and does not end in a value.
      sink_.send(worker, wire::CancelCall{task.result.index, task.result.generation, task.attempt});
      sink_.raise_stop(worker, task.ticket);
      if (force && task.kind == wire::CallKind::task) {
        sink_.send(node_process(lease_id.node), wire::LeaseKill{lease_id, "its task was cancelled by force"});
      }
      return;
    }
  }
  const LeaseHandle lease = task.lease;
  const bool was_task = task.kind == wire::CallKind::task;
  const std::uint32_t scheduling = was_task ? scheduling_class_of_[task.task_class] : 0;
  if (lease) leave_lease(task, now);
  wire::Value value;
  value.kind = wire::ValueKind::error;
  value.error = task_error(task, ErrorCode::cancelled, "the call was cancelled before it ran");
  value.error.attempt = 0;
  if (actor) retain(actor);
  end_task(handle, std::move(value), now);
  if (actor) {
    pump_actor(actor, now);
    release(actor, now);
  }
  if (was_task) {
    dispatch(scheduling, now);
    if (const LeaseEntry* left = leases_.find(lease); left != nullptr && left->in_flight_count == 0) {
      lease_idle(lease, now);
    }
  }
}

void Owner::Impl::cancel_children(std::uint64_t parent, Time now) {
  std::vector<TaskHandle> children;
  tasks_.for_each([&](TaskHandle handle, TaskEntry& task) {
    if (task.parent == parent && task.kind != wire::CallKind::actor_create) children.push_back(handle);
  });
  for (const TaskHandle child : children) {
    if (tasks_.find(child) != nullptr) cancel_task(child, false, now);
  }
}

std::string Owner::Impl::name_of(const TaskEntry& task) {
  const std::string& given = task_classes_[task.task_class].name;
  return given.empty() ? sink_.function_name(task.function) : given;
}

Error Owner::Impl::task_error(const TaskEntry& task, ErrorCode code, std::string message) {
  Error error;
  error.code = code;
  error.message = std::move(message);
  error.task = name_of(task);
  error.node = options_.node_name;
  error.attempt = static_cast<std::int32_t>(task.attempt);
  return error;
}

}  // namespace mobula
