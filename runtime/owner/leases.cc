// Leases: which worker a ready task goes to, how many workers to ask for, and when to give them back.
//
// Tasks of one scheduling class wait in one queue. Each is sent to the lease with the fewest calls in flight that has
// room; calls that a worker has not begun can be withdrawn, so sending early costs nothing when another lease runs dry.
#include <algorithm>

#include "runtime/owner/owner_impl.h"

namespace mobula {

namespace {
constexpr Duration full_retry = std::chrono::milliseconds(1);
constexpr Duration surplus_keep = std::chrono::milliseconds(10);   // of requests that are no longer needed
constexpr Duration reclaim_holds = std::chrono::milliseconds(60);  // the node repeats itself every 50 ms
constexpr Duration time_slice = std::chrono::milliseconds(200);    // of a lease, once others wait
}  // namespace

void Owner::Impl::enqueue(TaskHandle handle, TaskEntry& task, bool front) {
  SchedulingClass& cls = classes_[scheduling_class_of_[task.task_class]];
  task.state = TaskEntry::State::queued;
  task.lease = {};
  if (front) {
    cls.queue.push_front(handle);
  } else {
    cls.queue.push_back(handle);
  }
  ++cls.queued;
}

bool Owner::Impl::has_room(const LeaseEntry& lease) const {
  return !lease.blocked && !lease.full && !lease.dead && !lease.draining &&
         lease.in_flight_count < (lease.local ? options_.pipeline_depth : 1);
}

LeaseHandle Owner::Impl::roomiest(SchedulingClass& cls) {
  LeaseHandle best;
  std::uint32_t fewest = UINT32_MAX;
  for (const LeaseHandle handle : cls.leases) {
    const LeaseEntry& lease = leases_[handle];
    if (lease.in_flight_count < fewest && has_room(lease)) {
      best = handle;
      fewest = lease.in_flight_count;
      if (fewest == 0) break;
    }
  }
  return best;
}

void Owner::Impl::dispatch(std::uint32_t scheduling_class, Time now) {
  SchedulingClass& cls = classes_[scheduling_class];
  while (cls.queued != 0) {
    const LeaseHandle lease_handle = roomiest(cls);
    if (!lease_handle) break;
    TaskEntry* task = tasks_.find(cls.queue.front());
    while (task == nullptr || task->state != TaskEntry::State::queued) {
      cls.queue.pop_front();
      task = tasks_.find(cls.queue.front());
    }
    const TaskHandle handle = cls.queue.front();
    if (!task->deps.empty() && lacks_arguments(handle, now)) continue;
    LeaseEntry& lease = leases_[lease_handle];
    const SendStatus status = send(handle, *task, lease.worker, lease.id);
    if (status == SendStatus::accepted) {
      cls.queue.pop_front();
      --cls.queued;
      task->state = TaskEntry::State::sent;
      task->lease = lease_handle;
      lease.in_flight.push_back(handle);
      ++lease.in_flight_count;
      ++cls.in_flight;
    } else if (status == SendStatus::full) {
      lease.full = true;
      set_timer(now + full_retry);
    } else {
      // With calls on it, its death follows and moves them. Without it would only be counted as one that can run what
      // waits here.
      lease.dead = true;
      if (lease.in_flight_count == 0) return_lease(lease_handle);
    }
  }
  if (cls.queued == 0) {
    cls.queue.clear();
    if (cls.in_flight > 1 && cls.leases.size() > 1) rebalance(cls, now);
  }
  ask(scheduling_class, now);
}

void Owner::Impl::withdraw_queued(LeaseEntry& lease, std::size_t keep, std::size_t at_most) {
  SchedulingClass& cls = classes_[lease.scheduling_class];
  while (at_most != 0 && lease.in_flight_count > keep && !lease.in_flight.empty()) {
    const TaskHandle handle = lease.in_flight.back();
    TaskEntry* task = tasks_.find(handle);
    if (task == nullptr || task->state != TaskEntry::State::sent) {
      lease.in_flight.pop_back();
      continue;
    }
    // A call whose cancellation is under way is left to its worker, which answers it.
    if (task->cancelled || !sink_.withdraw(lease.worker, task->ticket)) return;
    lease.in_flight.pop_back();
    --lease.in_flight_count;
    --cls.in_flight;
    enqueue(handle, *task, true);
    --at_most;
  }
}

void Owner::Impl::rebalance(SchedulingClass& cls, Time now) {
  // One idle lease takes half of what waits behind the busiest one. What it does not need is stolen again.
  LeaseEntry* idle = nullptr;
  LeaseEntry* busiest = nullptr;
  LeaseHandle idle_handle;
  for (const LeaseHandle handle : cls.leases) {
    LeaseEntry& lease = leases_[handle];
    if (lease.in_flight_count == 0 && has_room(lease)) {
      idle = &lease;
      idle_handle = handle;
    }
    if (lease.in_flight_count > 1 && lease.local &&
        (busiest == nullptr || lease.in_flight_count > busiest->in_flight_count)) {
      busiest = &lease;
    }
  }
  if (idle == nullptr || busiest == nullptr) return;
  const std::size_t share = idle->local ? busiest->in_flight_count / 2 : 1;
  withdraw_queued(*busiest, 1, share);
  while (cls.queued != 0 && has_room(*idle)) {
    TaskEntry* task = tasks_.find(cls.queue.front());
    if (task == nullptr || task->state != TaskEntry::State::queued) {
      cls.queue.pop_front();
      continue;
    }
    const TaskHandle handle = cls.queue.front();
    if (!task->deps.empty() && lacks_arguments(handle, now)) continue;
    const SendStatus status = send(handle, *task, idle->worker, idle->id);
    if (status != SendStatus::accepted) {
      idle->full = status == SendStatus::full;
      idle->dead = status == SendStatus::dead;
      // (See dispatch.)
      if (idle->dead && idle->in_flight_count == 0) return_lease(idle_handle);
      break;
    }
    cls.queue.pop_front();
    --cls.queued;
    task->state = TaskEntry::State::sent;
    task->lease = idle_handle;
    idle->in_flight.push_back(handle);
    ++idle->in_flight_count;
    ++cls.in_flight;
  }
}

void Owner::Impl::ask(std::uint32_t scheduling_class, Time now) {
  SchedulingClass& cls = classes_[scheduling_class];
  const std::size_t waiting = cls.queued + cls.in_flight;
  const std::size_t backlog = waiting > cls.leases.size() ? waiting - cls.leases.size() : 0;
  if (backlog == 0) {
    if (cls.asked_total != 0 && !cls.cancelling) set_timer(now + surplus_keep);
    return;
  }
  const auto want = static_cast<std::uint32_t>(std::min<std::size_t>(backlog, options_.max_lease_requests));
  // In doublings, so that a thousand submissions are ten requests.
  if (cls.asked_total == 0 || cls.cancelling) {
    cls.cancelling = false;
    request(self_.node, scheduling_class, want, false, options_.job);
  } else if (want >= 2 * cls.asked_total) {
    request(self_.node, scheduling_class, want - cls.asked_total, false, options_.job);
  }
}

void Owner::Impl::request(NodeId node, std::uint64_t tag, std::uint32_t count, bool spilled, std::uint64_t job) {
  wire::LeaseRequest message;
  message.tag = tag;
  message.count = count;
  message.spilled = spilled;
  message.program = options_.program;
  SchedulingClass& cls = classes_[tag];
  cls.asked[node] += count;
  cls.asked_total += count;
  message.backlog = static_cast<std::uint32_t>(cls.queued);
  message.resources = cls.options.resources;
  message.placement = cls.options.placement;
  message.priority = cls.options.priority;
  message.preemptible = cls.options.preemptible;
  message.retriable = cls.options.max_retries != 0;
  message.near = cls.options.near;
  message.near_bytes = cls.options.near ? cls.near_bytes : 0;
  message.avoid = cls.avoid;
  message.job = job;
  message.depth = depth_;
  for (std::size_t i = 0; i < cls.queue.size(); ++i) {
    if (const TaskEntry* task = tasks_.find(cls.queue[i])) {
      message.depth = task->depth;
      break;
    }
  }
  sink_.send(node_process(node), std::move(message));
}

void Owner::Impl::cancel_requests(std::uint32_t scheduling_class) {
  SchedulingClass& cls = classes_[scheduling_class];
  cls.cancelling = true;
  for (const auto& [node, count] : cls.asked) {
    sink_.send(node_process(node), wire::LeaseCancel{scheduling_class, count});
  }
}

void Owner::Impl::answered(SchedulingClass& cls, NodeId node, std::uint32_t count) {
  const auto found = cls.asked.find(node);
  if (found == cls.asked.end()) return;  // the node was declared dead in between
  const std::uint32_t answers = std::min(count, found->second);
  found->second -= answers;
  cls.asked_total -= answers;
  if (found->second == 0) cls.asked.erase(found);
  if (cls.asked_total == 0) cls.cancelling = false;
}

void Owner::Impl::on_grant(const ProcessId& from, const wire::LeaseGrant& grant, Time now) {
  if (dead_nodes_.contains(from.node)) return;
  if (grant.tag >> 63) {
    const RefHandle actor = actor_by_tag(grant.tag);
    if (actor && refs_[actor].actor()->life == ActorEntry::Life::leasing) {
      actor_granted(actor, grant, now);
    } else {
      sink_.send(from, wire::LeaseReturn{grant.lease});  // the actor ended meanwhile
    }
    return;
  }
  if (grant.tag >= classes_.size()) return;
  SchedulingClass& cls = classes_[grant.tag];
  answered(cls, from.node, 1);
  const LeaseHandle handle = leases_.emplace();
  LeaseEntry& lease = leases_[handle];
  lease.id = grant.lease;
  lease.worker = grant.worker;
  lease.scheduling_class = static_cast<std::uint32_t>(grant.tag);
  lease.local = grant.worker.node == self_.node;
  lease.since = now;
  cls.leases.push_back(handle);
  cls.refusals.clear();
  dispatch(lease.scheduling_class, now);
  // (Found dead at once, it has gone.)
  if (const LeaseEntry* left = leases_.find(handle); left != nullptr && left->in_flight_count == 0) {
    lease_idle(handle, now);
  }
}

void Owner::Impl::lease_idle(LeaseHandle handle, Time now) {
  LeaseEntry& lease = leases_[handle];
  if (lease.draining || now < others_wait_until_) {
    const std::uint32_t scheduling = lease.scheduling_class;
    return_lease(handle);
    ask(scheduling, now);
    return;
  }
  lease.idle_since = now;
  set_timer(now + options_.idle_lease_keep);
}

void Owner::Impl::return_lease(LeaseHandle handle) {
  LeaseEntry& lease = leases_[handle];
  // A recycled worker gives its lease up itself: said by us, the node could lease it again before it hears of its end.
  if (!lease.recycled) sink_.send(node_process(lease.id.node), wire::LeaseReturn{lease.id});
  std::erase(classes_[lease.scheduling_class].leases, handle);
  leases_.erase(handle);
}

void Owner::Impl::on_redirect(const ProcessId& from, const wire::LeaseRedirect& redirect, Time now) {
  const bool dead = dead_nodes_.contains(redirect.node);
  const NodeId target = dead ? self_.node : redirect.node;
  if (redirect.tag >> 63) {
    const RefHandle actor = actor_by_tag(redirect.tag);
    if (actor && refs_[actor].actor()->life == ActorEntry::Life::leasing) {
      ask_actor_lease(actor, target, !dead, redirect.job);
    }
    return;
  }
  if (redirect.tag >= classes_.size()) return;
  SchedulingClass& cls = classes_[redirect.tag];
  answered(cls, from.node, 1);
  if (cls.queued + cls.in_flight <= cls.leases.size()) return;  // no longer needed
  request(target, redirect.tag, 1, !dead, redirect.job);
  (void)now;
}

void Owner::Impl::on_refused(const ProcessId& from, const wire::LeaseRefused& refused, Time now) {
  if (refused.tag >> 63) {
    const RefHandle ref = actor_by_tag(refused.tag);
    if (!ref) return;
    ActorEntry& actor = *refs_[ref].actor();
    if (actor.life != ActorEntry::Life::leasing || refused.error.code == ErrorCode::none) return;
    const bool told_before = std::find(actor.avoid.begin(), actor.avoid.end(), from.node) != actor.avoid.end();
    if (from.node != self_.node && !told_before) {
      actor.avoid.push_back(from.node);
      ask_actor_lease(ref, self_.node, true, options_.job);
      return;
    }
    Error error = task_error(tasks_[actor.creation], refused.error.code, "no worker could be leased for the actor");
    error.attempt = 0;
    error.causes.push_back(refused.error);
    bury_actor(ref, std::move(error), now);
    return;
  }
  if (refused.tag >= classes_.size()) return;
  const auto scheduling = static_cast<std::uint32_t>(refused.tag);
  SchedulingClass& cls = classes_[scheduling];
  answered(cls, from.node, refused.count);
  if (refused.error.code == ErrorCode::none) {
    ask(scheduling, now);
    return;
  }
  cls.refusals.push_back(refused.error);
  const bool told_before = std::find(cls.avoid.begin(), cls.avoid.end(), from.node) != cls.avoid.end();
  if (from.node != self_.node && !told_before) {
    // That node cannot; this one decides again, among the others. (Inside a placement group there are none: it is sent
    // there again, and the second refusal counts.)
    cls.avoid.push_back(from.node);
    request(self_.node, scheduling, refused.count, true, options_.job);
    return;
  }
  if (!cls.leases.empty()) return;  // what is queued will run on those
  Error error = cls.refusals.back();
  error.causes.insert(error.causes.end(), cls.refusals.begin(), cls.refusals.end() - 1);
  cls.refusals.clear();
  fail_queued(scheduling, error, now);
}

void Owner::Impl::fail_queued(std::uint32_t scheduling_class, const Error& reason, Time now) {
  RingQueue<TaskHandle> queue = std::exchange(classes_[scheduling_class].queue, {});
  for (std::size_t i = 0; i < queue.size(); ++i) {
    TaskEntry* task = tasks_.find(queue[i]);
    if (task == nullptr || task->state != TaskEntry::State::queued) continue;
    wire::Value value;
    value.kind = wire::ValueKind::error;
    value.error = task_error(*task, reason.code, "no worker could be leased for the task");
    value.error.attempt = 0;
    value.error.causes.push_back(reason);
    end_task(queue[i], std::move(value), now);
  }
}

void Owner::Impl::on_worker_blocked(const wire::WorkerBlocked& message, Time now) {
  for (std::uint32_t scheduling = 0; scheduling < classes_.size(); ++scheduling) {
    for (const LeaseHandle handle : classes_[scheduling].leases) {
      LeaseEntry& lease = leases_[handle];
      if (lease.id != message.lease) continue;
      lease.blocked = message.blocked;
      if (message.blocked) withdraw_queued(lease, 0, SIZE_MAX);
      dispatch(scheduling, now);
      return;
    }
  }
}

void Owner::Impl::on_reclaim(Time now) {
  others_wait_until_ = now + reclaim_holds;
  std::vector<LeaseHandle> idle;
  std::vector<std::uint32_t> drained;
  leases_.for_each([&](LeaseHandle handle, LeaseEntry& lease) {
    if (lease.in_flight_count == 0) {
      idle.push_back(handle);
    } else if (!lease.blocked && !lease.draining && now - lease.since >= time_slice) {
      // Others wait: take turns. What has begun ends here, the rest waits for the next lease.
      lease.draining = true;
      withdraw_queued(lease, 0, SIZE_MAX);
      drained.push_back(lease.scheduling_class);
      if (lease.in_flight_count == 0) idle.push_back(handle);
    }
  });
  for (const LeaseHandle handle : idle) return_lease(handle);
  for (const std::uint32_t scheduling : drained) dispatch(scheduling, now);
}

void Owner::Impl::on_recycle(const wire::Recycle& message, Time now) {
  for (std::uint32_t scheduling = 0; scheduling < classes_.size(); ++scheduling) {
    for (const LeaseHandle handle : classes_[scheduling].leases) {
      LeaseEntry& lease = leases_[handle];
      if (lease.id != message.lease) continue;
      lease.draining = lease.recycled = true;
      withdraw_queued(lease, 0, SIZE_MAX);
      if (lease.in_flight_count == 0) lease_idle(handle, now);  // forgets it
      dispatch(scheduling, now);
      return;
    }
  }
}

void Owner::Impl::on_room(const ProcessId& worker, Time now) {
  for (std::uint32_t scheduling = 0; scheduling < classes_.size(); ++scheduling) {
    bool opened = false;
    for (const LeaseHandle handle : classes_[scheduling].leases) {
      LeaseEntry& lease = leases_[handle];
      if (lease.worker != worker || !lease.full) continue;
      lease.full = false;
      opened = true;
    }
    if (opened) dispatch(scheduling, now);
  }
  const std::vector<RefHandle> actors(actors_.begin(), actors_.end());
  for (const RefHandle actor : actors) {
    if (refs_.find(actor) != nullptr && refs_[actor].actor()->worker == worker) pump_actor(actor, now);
  }
}

void Owner::Impl::on_timer(Time now) {
  if (now < timer_) return;
  timer_ = never;
  run_delayed(now);
  end_holds(now);
  std::vector<LeaseHandle> expired;
  for (std::uint32_t scheduling = 0; scheduling < classes_.size(); ++scheduling) {
    bool opened = false;
    for (const LeaseHandle handle : classes_[scheduling].leases) {
      LeaseEntry& lease = leases_[handle];
      opened |= lease.full;
      lease.full = false;
      if (lease.in_flight_count != 0) continue;
      if (lease.dead || now - lease.idle_since >= options_.idle_lease_keep) {
        expired.push_back(handle);
      } else {
        set_timer(lease.idle_since + options_.idle_lease_keep);
      }
    }
    if (opened) dispatch(scheduling, now);
    SchedulingClass& cls = classes_[scheduling];
    if (cls.asked_total != 0 && !cls.cancelling && cls.queued + cls.in_flight <= cls.leases.size()) {
      cancel_requests(scheduling);
    }
  }
  for (const LeaseHandle handle : expired) {
    // dispatch() above may have used it.
    if (LeaseEntry* lease = leases_.find(handle); lease != nullptr && lease->in_flight_count == 0) return_lease(handle);
  }
  const std::vector<RefHandle> actors(actors_.begin(), actors_.end());
  for (const RefHandle ref : actors) {
    if (refs_.find(ref) == nullptr) continue;
    const ActorEntry& actor = *refs_[ref].actor();
    if (!actor.queue.empty() || actor.life == ActorEntry::Life::creating || actor.life == ActorEntry::Life::resuming) {
      pump_actor(ref, now);
    }
    if (refs_.find(ref) != nullptr) save_if_due(ref, now);
  }
}

}  // namespace mobula
