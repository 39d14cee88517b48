// Calls: from submission, through their dependencies, to the reply.
#include <algorithm>

#include "runtime/owner/owner_impl.h"
#include "runtime/wire/codec.h"

namespace mobula {

namespace {
constexpr const char* argument_failed = "an argument of the call failed, so it was not run";
constexpr std::uint64_t worth_moving_to = 1 << 20;  // bytes of arguments: below, they go where the task goes

// Of what tells most classes apart.
std::size_t hash_of(const TaskOptions& options) {
  std::size_t hash = std::hash<std::string>()(options.name);
  hash = hash_mix(hash, static_cast<std::uint32_t>(options.max_retries));
  hash = hash_mix(hash, static_cast<std::uint32_t>(options.priority));
  hash = hash_mix(hash, options.surroundings);
  hash = hash_mix(hash, options.copies);
  return hash_mix(hash, options.near.value);
}
}  // namespace

TaskClass Owner::Impl::task_class(const TaskOptions& options) {
  // (A program may give each task a name of its own.)
  const std::size_t hash = hash_of(options);
  const auto [first, last] = task_class_by_hash_.equal_range(hash);
  for (auto known = first; known != last; ++known) {
    if (task_classes_[known->second] == options) return known->second;
  }
  const auto number = static_cast<TaskClass>(task_classes_.size());
  TaskOptions shared = options;
  shared.name.clear();
  shared.max_retries = options.max_retries == 0 ? 0 : 1;  // whether a death is the end, which the node wants to know
  shared.backoff = {};
  shared.copies = 1;
  std::uint32_t scheduling = 0;
  while (scheduling < classes_.size() && classes_[scheduling].options != shared) ++scheduling;
  if (scheduling == classes_.size()) {
    classes_.emplace_back();
    classes_.back().options = std::move(shared);
  }
  task_classes_.push_back(options);
  scheduling_class_of_.push_back(scheduling);
  task_class_by_hash_.emplace(hash, number);
  return number;
}

RefHandle Owner::Impl::submit(TaskSpec&& spec, Time now, std::vector<RefHandle>* more) {
  const RefHandle ref = refs_.emplace();
  const TaskHandle handle = new_task(wire::CallKind::task, ref, spec.function, spec.flags, std::move(spec.args),
                                     std::move(spec.deps), std::move(spec.contained), now);
  TaskEntry& task = tasks_[handle];
  task.task_class = spec.task_class;
  task.retries_left = task_classes_[spec.task_class].max_retries;
  if (spec.stream || spec.results > 1) shape_results(handle, spec, more);
  want_copies_of_results(handle);
  if (task.waiting_deps == 0) start(handle, now);
  return ref;
}

void Owner::Impl::shape_results(TaskHandle handle, const TaskSpec& spec, std::vector<RefHandle>* more) {
  TaskEntry& task = tasks_[handle];
  if (spec.stream) {
    task.stream = true;
    StreamEntry& stream = *(refs_[task.result].more().stream = std::make_unique<StreamEntry>());
    stream.window = std::max(1u, spec.window);
    return;
  }
  for (std::uint32_t i = 1; i < spec.results; ++i) {
    const RefHandle ref = refs_.emplace();
    refs_[ref].task = handle;
    refs_[task.result].more().more_results.push_back(ref);
  }
  task.many = true;
  if (more != nullptr) *more = refs_[task.result].extra->more_results;
}

void Owner::Impl::want_copies_of_results(TaskHandle handle) {
  const TaskEntry& task = tasks_[handle];
  const std::uint32_t copies = task_classes_[task.task_class].copies;
  if (copies <= 1 || task.stream) return;
  refs_[task.result].more().wanted_copies = copies;
  for (const RefHandle ref : refs_[task.result].extra->more_results) refs_[ref].more().wanted_copies = copies;
}

TaskHandle Owner::Impl::new_task(wire::CallKind kind, RefHandle result, const FunctionId& function, std::uint8_t flags,
                                 Bytes&& args, std::vector<RefHandle>&& deps, std::vector<RefHandle>&& contained,
                                 Time now) {
  const TaskHandle handle = tasks_.emplace();
  TaskEntry& task = tasks_[handle];
  task.since = now;
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
  if (task == nullptr || task->waiting_deps == 0) return;  // cancelled, or failed by another dependency
  --task->waiting_deps;
  // A dependency that failed ends the task at once; start() finds it among the deps.
  if (task->waiting_deps == 0 || refs_[dependency].state == RefState::error) start(handle, now);
}

void Owner::Impl::start(TaskHandle handle, Time now) {
  TaskEntry& task = tasks_[handle];
  if ((task.flags & wire::call_replays) != 0) {
    task.waiting_deps = 0;
    replay(task.actor, now);
    return;
  }
  bool lacks = false;
  for (const RefHandle ref : task.deps) {
    const RefEntry& dependency = refs_[ref];
    lacks |= dependency.state == RefState::pending;
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
  if (lacks) {  // lost while the call waited for something else
    task.state = TaskEntry::State::waiting;
    return await_arguments(handle);
  }
  switch (task.kind) {
    case wire::CallKind::task: {
      if (!task.deps.empty()) follow_arguments(task);
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
      ask_actor_lease(actor, self_.node, false, options_.job);
      break;
    }
    case wire::CallKind::actor_call: {
      task.state = TaskEntry::State::queued;
      ActorEntry& actor = actor_of(task.actor);
      if (actor.life == ActorEntry::Life::dead) {
        fail_call(handle, actor.death, false, now);
        return;
      }
      if (task.attempt > 1) {
        requeue_call(actor, handle);
      } else if (actor.unordered) {
        actor.queue.push_back(handle);
      }
      pump_actor(task.actor, now);
      break;
    }
  }
}

// A task whose arguments are large and lie on another node waits with others like it, for leases near them.
void Owner::Impl::follow_arguments(TaskEntry& task) {
  std::map<NodeId, std::uint64_t> bytes;
  for (const RefHandle ref : task.deps) {
    const RefEntry& dependency = refs_[ref];
    if (dependency.state != RefState::object) continue;
    if (dependency.extra && dependency.extra->local.node) {
      bytes[self_.node] += dependency.location.bytes;
      continue;
    }
    bytes[dependency.location.node] += dependency.location.bytes;
  }
  const auto most =
      std::max_element(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == bytes.end() || most->first == self_.node || most->second < worth_moving_to) return;
  TaskOptions options = task_classes_[task.task_class];
  options.near = most->first;
  task.task_class = task_class(options);
  classes_[scheduling_class_of_[task.task_class]].near_bytes = most->second;
}

SendStatus Owner::Impl::send(TaskHandle handle, TaskEntry& task, const ProcessId& worker, const LeaseId& lease) {
  (void)handle;
  RefHandle state;  // a dependency beyond those of the task
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
  header.group = task.group;
  if (task.stream) header.first_item = refs_[task.result].extra->stream->received;
  if ((task.flags & wire::call_replays) != 0) header.first_item = 1u << 31;  // nobody wants its items
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
    if (task.kind == wire::CallKind::actor_create && entry.state) {
      header.sequence = entry.state->last_order;
      if (entry.state->checkpoint) {
        header.flags |= wire::call_restores;
        ++header.deps;
        state = entry.state->checkpoint;
      }
    }
  }
  dependencies_.clear();
  locations_.clear();
  locations_.reserve(header.deps);  // spans into it are taken below
  for (std::uint32_t i = 0; i < header.deps; ++i) {
    const RefHandle ref = i < task.deps.size() ? task.deps[i] : state;
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
    case wire::ReplyKind::item_inline:
      value.bytes.assign(payload);
      break;
    case wire::ReplyKind::item_object:
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
    case wire::ReplyKind::values:
      for (const wire::Part& part : wire::parse_values(payload)) {
        wire::Value& one = more_values_.emplace_back();
        if (const auto location = wire::decode_location(part.bytes); part.object && location.ok()) {
          one.kind = wire::ValueKind::object;
          one.location = *location;
        } else {
          one.bytes.assign(part.bytes);
        }
      }
      break;
    case wire::ReplyKind::argument_lost:
    case wire::ReplyKind::not_started:
      break;
  }
  if (header.kind == wire::ReplyKind::item_inline || header.kind == wire::ReplyKind::item_object) {
    on_item(from, header, std::move(value), contained, now);
    return;
  }
  if (task == nullptr || task->attempt != header.attempt || task->state != TaskEntry::State::sent) {
    // It ended meanwhile (a death was told, the actor was killed): let go of what the reply brought.
    if (!contained.empty()) {
      sink_.send(from, wire::ReleaseHeld{header.index, header.generation, header.attempt, header.item});
    }
    more_values_.push_back(std::move(value));
    for (const wire::Value& one : std::exchange(more_values_, {})) {
      if (one.kind != wire::ValueKind::object) continue;
      sink_.send(node_process(one.location.node), wire::FreeObject{one.location});
    }
    return;
  }
  const TaskHandle handle = entry->task;
  if ((task->flags & wire::call_replays) != 0) {
    more_values_.push_back(std::move(value));
    replayed(from, header, !contained.empty(), now);
    return;
  }
  if (!contained.empty()) take_contained(from, header, contained, ref);
  if ((task->flags & wire::call_saves) != 0) {
    saved(handle, header.kind, std::move(value), header.order, now);
    return;
  }
  if (header.kind == wire::ReplyKind::values) {
    if (!task->many || more_values_.size() != entry->extra->more_results.size() + 1) {
      value.kind = wire::ValueKind::error;
      value.error =
          task_error(*task, ErrorCode::bad_message, "the reply holds another number of results than were asked for");
      more_values_.clear();
    } else {
      value = std::move(more_values_.front());
      more_values_.erase(more_values_.begin());
    }
  }
  if (header.kind == wire::ReplyKind::cancelled && value.error.code == ErrorCode::none) {
    value.error = task_error(*task, ErrorCode::cancelled, "the call was cancelled");
  }

  wire::ObjectLocation lost;
  if (header.kind == wire::ReplyKind::argument_lost) {
    if (const auto location = wire::decode_location(payload); location.ok()) lost = *location;
  }
  const bool may_retry = header.kind == wire::ReplyKind::error && (header.flags & wire::reply_may_retry) != 0;
  switch (task->kind) {
    case wire::CallKind::task: {
      const std::uint32_t scheduling = scheduling_class_of_[task->task_class];
      const LeaseHandle lease = task->lease;
      leave_lease(*task, now);
      if (header.kind == wire::ReplyKind::not_started) {
        enqueue(handle, *task, true);
      } else if (header.kind == wire::ReplyKind::argument_lost) {
        argument_lost(handle, header.item, lost, now);
      } else if (may_retry && task->retries_left != 0 && !task->cancelled) {
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
      if (header.kind == wire::ReplyKind::argument_lost) {
        give_back_worker(ref);
        argument_lost(handle, header.item, lost, now);
      } else {
        actor_created(ref, std::move(value), now);
      }
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
      } else if (header.kind == wire::ReplyKind::argument_lost) {
        retain(actor);
        argument_lost(handle, header.item, lost, now);
        pump_actor(actor, now);
        release(actor, now);
      } else if (header.order != 0 && home.logged && !refs_[actor].owned()) {
        logging_[handle].may_retry = may_retry;
        tell_owner(handle, header, std::move(value));
      } else {
        retain(actor);
        const bool again = may_retry && task->retries_left != 0 && !task->cancelled;
        if (header.order != 0 && home.state) log_call(actor, *task, header.order, again, now);
        if (again) {
          retry_or_fail(handle, std::move(value.error), now);
        } else {
          end_task(handle, std::move(value), now);
        }
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

void Owner::Impl::end_more(RefHandle first, const wire::Value& value, Time now) {
  const std::vector<RefHandle> others = std::exchange(refs_[first].extra->more_results, {});
  std::vector<wire::Value> values = std::exchange(more_values_, {});
  values.resize(others.size(), value);
  // What any of them contains is kept by the first one, and so the first one by all.
  const bool shares = value.kind != wire::ValueKind::error && !refs_[first].extra->contained.empty();
  for (std::size_t i = 0; i < others.size(); ++i) {
    if (refs_.find(others[i]) == nullptr) {  // freed, before the call was made again for another one
      if (values[i].kind == wire::ValueKind::object) {
        sink_.send(node_process(values[i].location.node), wire::FreeObject{values[i].location});
      }
      continue;
    }
    RefEntry& entry = refs_[others[i]];
    entry.task = {};
    ++entry.count;
    if (shares && entry.state == RefState::pending) {
      retain(first);
      entry.more().contained.push_back(first);
    }
    deliver(others[i], std::move(values[i]), now);
    release(others[i], now);
  }
}

void Owner::Impl::end_task(TaskHandle handle, wire::Value&& value, Time now) {
  TaskEntry& task = tasks_[handle];
  const RefHandle result = task.result;
  const RefHandle actor = task.actor;
  const bool many = task.many;
  const bool elsewhere = lies_elsewhere(value) || std::any_of(more_values_.begin(), more_values_.end(),
                                                              [this](const auto& one) { return lies_elsewhere(one); });
  const bool keeps = elsewhere && may_run_again(task);
  if (task.keepers != 0) forget_results(handle);
  std::vector<RefHandle> others, deps, contained;
  if (keeps) {
    if (many) others = refs_[result].extra->more_results;
  } else {
    deps = std::move(task.deps);
    contained = std::move(task.contained);
  }
  if (task.kind == wire::CallKind::actor_call) --actor_of(actor).pending;
  if (task.state == TaskEntry::State::queued && task.kind == wire::CallKind::task) {
    --classes_[scheduling_class_of_[task.task_class]].queued;
  }
  if (value.kind == wire::ValueKind::error && value.error.causes.empty()) value.error.causes = std::move(task.causes);
  if (keeps) {
    task.state = TaskEntry::State::kept;
  } else {
    tasks_.erase(handle);
  }
  RefEntry& entry = refs_[result];
  entry.task = {};
  ++entry.count;
  if (many) end_more(result, value, now);
  deliver(result, std::move(value), now);
  if (keeps) keep_lineage(handle, others, now);
  for (const RefHandle ref : deps) release(ref, now);
  for (const RefHandle ref : contained) release(ref, now);
  if (actor) release(actor, now);
  release(result, now);
}

void Owner::Impl::deliver(RefHandle ref, wire::Value&& value, Time now) {
  if (refs_[ref].state == RefState::pending) return become(ref, std::move(value), now);
  if (value.kind == wire::ValueKind::object) {
    sink_.send(node_process(value.location.node), wire::FreeObject{value.location});
  }
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
  try_again(handle, now);
}

Duration Owner::Impl::delay_before(const TaskEntry& task) const {
  const Backoff& backoff = task_classes_[task.task_class].backoff;
  if (backoff.first.count() <= 0) return {};
  double wait = static_cast<double>(Duration(backoff.first).count());
  const auto most = static_cast<double>(Duration(backoff.most).count());
  for (std::uint32_t attempt = 2; attempt < task.attempt && wait < most; ++attempt) wait *= backoff.factor;
  wait = std::min(wait, most);
  // From -1 to 1, by who and which attempt: the same in every replay.
  const std::uint64_t bits = hash_mix(hash_mix(std::hash<ProcessId>()(self_), task.order), task.attempt);
  const double unit = static_cast<double>(bits >> 11) / static_cast<double>(1ull << 52) - 1;
  return Duration(static_cast<std::int64_t>(wait * (1 + backoff.jitter * unit)));
}

void Owner::Impl::try_again(TaskHandle handle, Time now) {
  TaskEntry& task = tasks_[handle];
  if (const Duration wait = delay_before(task); wait.count() > 0) {
    try_again_in(wait, handle, now);
  } else if (task.kind == wire::CallKind::task) {
    enqueue(handle, task, true);  // the caller dispatches
  } else {
    requeue_call(actor_of(task.actor), handle);
  }
}

void Owner::Impl::try_again_in(Duration wait, TaskHandle handle, Time now) {
  tasks_[handle].state = TaskEntry::State::waiting;
  delayed_.emplace(now + wait, handle);
  set_timer(now + wait);
}

void Owner::Impl::run_delayed(Time now) {
  while (!delayed_.empty() && delayed_.begin()->first <= now) {
    const TaskHandle handle = delayed_.begin()->second;
    delayed_.erase(delayed_.begin());
    if (tasks_.find(handle) != nullptr) start(handle, now);  // otherwise it was cancelled
  }
  while (!kill_at_.empty() && kill_at_.begin()->first <= now) {
    const auto [handle, attempt] = kill_at_.begin()->second;
    kill_at_.erase(kill_at_.begin());
    const TaskEntry* task = tasks_.find(handle);
    if (task == nullptr || task->state != TaskEntry::State::sent || task->attempt != attempt) continue;
    const LeaseId lease = leases_[task->lease].id;
    sink_.send(node_process(lease.node),
               wire::LeaseKill{lease, "its task did not end within the grace of its cancellation"});
  }
  if (!delayed_.empty()) set_timer(delayed_.begin()->first);
  if (!kill_at_.empty()) set_timer(kill_at_.begin()->first);
}

void Owner::Impl::cancel(RefHandle ref, const Owner::Cancel& how, Time now) {
  RefEntry& entry = refs_[ref];
  if (entry.state != RefState::pending) return;
  if (!entry.owned()) {
    if (entry.actor() == nullptr)
      sink_.send(entry.extra->foreign.owner,
                 wire::CancelRef{entry.extra->foreign, how.force, how.recursive, how.grace.count()});
    return;
  }
  if (entry.actor() == nullptr && entry.task) cancel_task(entry.task, how, now);
}

void Owner::Impl::cancel_task(TaskHandle handle, const Owner::Cancel& how, Time now) {
  TaskEntry& task = tasks_[handle];
  if (task.kind == wire::CallKind::actor_create || task.state == TaskEntry::State::logging) return;
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
      sink_.send(worker, wire::CancelCall{task.result.index, task.result.generation, task.attempt, how.recursive});
      sink_.raise_stop(worker, task.ticket, how.recursive);
      if (task.kind != wire::CallKind::task) return;
      if (how.force) {
        sink_.send(node_process(lease_id.node), wire::LeaseKill{lease_id, "its task was cancelled by force"});
      } else if (how.grace >= Duration::zero()) {
        kill_at_.emplace(now + how.grace, std::pair(handle, task.attempt));
        set_timer(now + how.grace);
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
    if (tasks_.find(child) != nullptr) cancel_task(child, {}, now);
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
