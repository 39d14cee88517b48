// What follows from the end of a process, or of a whole node: the same rules, over everything that lived there.
#include <fmt/format.h>

#include <algorithm>

#include "runtime/owner/owner_impl.h"

namespace mobula {

using Borrow = RefEntry::Borrow;

namespace {
// Of a task that its node killed because memory ran out: these attempts are no fault of its own, but neither are they
// without end, for it may be the one that needs too much.
constexpr std::uint32_t most_pressed = 15;
constexpr Duration first_pressed_wait = std::chrono::seconds(1);
constexpr Duration longest_pressed_wait = std::chrono::seconds(30);
}  // namespace

Error Owner::Impl::death_error(const Gone& gone, ErrorCode code, const std::string& what) const {
  Error error;
  error.code = code;
  const std::string& told = gone.death != nullptr ? gone.death->node_name : gone.name;
  const std::string name = told.empty() ? to_string(gone.node) : told;
  error.node = gone.node == self_.node ? options_.node_name : name;
  if (gone.death != nullptr) {
    const std::string who = gone.death->pid != 0 ? fmt::format("process {}", gone.death->pid) : "its process";
    error.message =
        fmt::format("{}: {} {}", what, who, gone.death->description.empty() ? "ended" : gone.death->description);
    error.pid = gone.death->pid;
    error.signal = gone.death->signal;
    error.backtrace = gone.death->backtrace;
  } else {
    error.message = fmt::format("{}: node {} was declared dead ({})", what, name, gone.reason);
  }
  return error;
}

bool Owner::Impl::is_dead(const ProcessId& process) const {
  if (dead_nodes_.contains(process.node)) return true;
  const auto latest = dead_processes_.find({process.node, process.slot});
  return latest != dead_processes_.end() && process.generation <= latest->second.generation;
}

void Owner::Impl::on_process_died(const ProcessId& process, const wire::ProcessDeath& death, Time now) {
  Death& latest = dead_processes_[{process.node, process.slot}];
  // Told again (something was sent there after all): the story that knows more stands.
  const bool knows_less = process.generation == latest.generation && death.pid == 0;
  if (process.generation >= latest.generation && !knows_less) latest = {process.generation, death};
  const wire::ProcessDeath story = process.generation == latest.generation ? latest.story : death;
  bury({process.node, process, &story, {}}, now);
}

void Owner::Impl::on_node_died(NodeId node, const std::string& reason, Time now, const std::string& name) {
  // Told again when something was sent there after all (to an actor whose place came late): what followed from it ends
  // too.
  dead_nodes_.insert(node);
  bury({node, {}, nullptr, reason, name}, now);
}

void Owner::Impl::out_of_memory(TaskHandle handle, Error error, const std::string& why, Time now) {
  TaskEntry& task = tasks_[handle];
  error.code = ErrorCode::out_of_memory;
  error.message = fmt::format("the node killed the process (pid {}) that ran the task: {}", error.pid, why);
  if (task.retries_left != 0 && task.pressed == most_pressed) {
    error.message += fmt::format("; that was attempt {} that ended so", task.pressed + 1);
  }
  if (task.cancelled || task.retries_left == 0 || task.pressed == most_pressed) {
    task.retries_left = 0;
    return retry_or_fail(handle, std::move(error), now);
  }
  if (task.causes.size() < 8) task.causes.push_back(std::move(error));
  ++task.attempt;
  ++task.pressed;
  // What it needs may come back when others end: each time twice as long a wait.
  const Duration wait =
      std::min<Duration>(first_pressed_wait * (1u << std::min(task.pressed - 1, 8u)), longest_pressed_wait);
  try_again_in(std::max(wait, delay_before(task)), handle, now);
}

void Owner::Impl::bury(const Gone& gone, Time now) {
  // Leases: what the worker had not begun goes to another one as it is; what it had is tried again, or fails.
  std::vector<std::uint32_t> touched;
  std::vector<LeaseHandle> lost;
  leases_.for_each([&](LeaseHandle handle, LeaseEntry& lease) {
    if (gone.covers(lease.worker)) lost.push_back(handle);
  });
  for (const LeaseHandle handle : lost) {
    LeaseEntry& lease = leases_[handle];
    SchedulingClass& cls = classes_[lease.scheduling_class];
    touched.push_back(lease.scheduling_class);
    RingQueue<TaskHandle> in_flight = std::exchange(lease.in_flight, {});
    const ProcessId worker = lease.worker;
    cls.in_flight -= lease.in_flight_count;
    std::erase(cls.leases, handle);
    leases_.erase(handle);
    // From the last to the first, so that the queue keeps their order.
    for (std::size_t i = in_flight.size(); i-- > 0;) {
      const TaskHandle task_handle = in_flight[i];
      TaskEntry* task = tasks_.find(task_handle);
      if (task == nullptr || task->state != TaskEntry::State::sent || task->lease != handle) continue;
      task->lease = {};
      if (!task->cancelled && sink_.withdraw(worker, task->ticket)) {
        enqueue(task_handle, *task, true);
        continue;
      }
      Error error = death_error(gone, gone.process ? ErrorCode::worker_died : ErrorCode::node_died,
                                "the worker that ran the task died");
      error.task = name_of(*task);
      error.attempt = static_cast<std::int32_t>(task->attempt);
      if (gone.death != nullptr && gone.death->preempted && !task->cancelled) {
        ++task->attempt;
        enqueue(task_handle, *task, true);
        continue;
      }
      if (gone.death != nullptr && !gone.death->out_of_memory.empty()) {
        if (gone.death->over_limit) {
          task->retries_left = 0;
          error.code = ErrorCode::out_of_memory;
          error.message = gone.death->out_of_memory;
        } else {
          out_of_memory(task_handle, std::move(error), gone.death->out_of_memory, now);
          continue;
        }
      }
      retry_or_fail(task_handle, std::move(error), now);
    }
  }
  if (!gone.process) {
    for (std::uint32_t scheduling = 0; scheduling < classes_.size(); ++scheduling) {
      SchedulingClass& cls = classes_[scheduling];
      if (const auto asked = cls.asked.find(gone.node); asked != cls.asked.end()) {
        answered(cls, gone.node, asked->second);
        touched.push_back(scheduling);
      }
    }
  }

  // Actors that lived there, those that waited for a worker there, and those that were owned there.
  const std::vector<RefHandle> actors(actors_.begin(), actors_.end());
  for (const RefHandle ref : actors) {
    const RefEntry* entry = refs_.find(ref);
    if (entry == nullptr) continue;
    ActorEntry& actor = *entry->actor();
    if (!entry->owned() && gone.covers(entry->extra->foreign.owner)) {
      Error error = death_error(gone, ErrorCode::actor_died, "the actor ended with the process that owned it");
      error.causes.push_back(death_error(gone, ErrorCode::owner_died, "its owner died"));
      logging_owner_died(ref, now);
      if (refs_.find(ref) == nullptr) continue;
      bury_actor(ref, std::move(error), now);
    } else if (actor.life == ActorEntry::Life::leasing) {
      if (!gone.process && actor.asked_node == gone.node) ask_actor_lease(ref, self_.node, false, options_.job);
    } else if (gone.covers(actor.worker) &&
               (actor.life == ActorEntry::Life::alive || actor.life == ActorEntry::Life::creating ||
                actor.life == ActorEntry::Life::resuming ||
                (actor.life == ActorEntry::Life::foreign && actor.incarnation != 0))) {
      Error error = death_error(gone, ErrorCode::actor_died, "the actor's worker died");
      error.attempt = static_cast<std::int32_t>(actor.incarnation);
      if (gone.death != nullptr && !gone.death->out_of_memory.empty()) {
        Error cause;
        cause.code = ErrorCode::out_of_memory;
        cause.message = (gone.death->over_limit ? "" : "the node killed it: ") + gone.death->out_of_memory;
        error.causes.push_back(std::move(cause));
      }
      actor_worker_died(ref, error, now);
    }
  }

  // Others' interest in our refs.
  const std::vector<RefHandle> shared(shared_.begin(), shared_.end());
  for (const RefHandle ref : shared) {
    RefEntry* entry = refs_.find(ref);
    if (entry == nullptr) continue;
    RefExtra& extra = *entry->extra;
    const auto is_gone = [&](const ProcessId& process) { return gone.covers(process); };
    std::erase_if(extra.resolvers, is_gone);
    std::erase_if(extra.copy_watchers, is_gone);
    if (extra.actor) std::erase_if(extra.actor->locating, [&](const auto& asker) { return gone.covers(asker.first); });
    if (extra.actor && extra.actor->state) {
      std::erase_if(extra.actor->state->unanswered, [&](const RefId& call) { return gone.covers(call.owner); });
    }
    if (extra.durable) {
      for (const ProcessId& borrower : extra.borrowers) {
        if (is_gone(borrower)) hold_for_heirs(ref, borrower, now);
      }
    } else if (std::erase_if(extra.borrowers, is_gone) != 0) {
      maybe_free(ref, now);
    }
  }
  std::vector<RefHandle> unheld;
  std::erase_if(held_, [&](const auto& held) {
    if (!gone.covers(held.first.caller)) return false;
    unheld.insert(unheld.end(), held.second.begin(), held.second.end());
    return true;
  });
  for (const RefHandle ref : unheld) release(ref, now);

  // Refs that were owned there.
  std::vector<RefHandle> orphans;
  for (const auto& [name, ref] : borrowed_) {
    if (gone.covers(name.owner)) orphans.push_back(ref);
  }
  std::sort(orphans.begin(), orphans.end());  // the map's order is not ours to depend on
  for (const RefHandle ref : orphans) {
    RefEntry* entry = refs_.find(ref);
    if (entry == nullptr || entry->borrow == Borrow::orphaned) continue;
    retain(ref);
    entry->borrow = Borrow::orphaned;
    if (entry->state == RefState::pending) {
      wire::Value value;
      value.kind = wire::ValueKind::error;
      value.error = death_error(gone, ErrorCode::owner_died,
                                "the process that owned " + to_string(entry->extra->foreign) + " died");
      become(ref, std::move(value), now);
    }
    registered(ref, now);
    release(ref, now);
  }

  // Objects whose bytes lay there.
  if (!gone.process) {
    std::vector<RefHandle> lost_objects, fewer_copies;
    refs_.for_each([&](RefHandle ref, RefEntry& entry) {
      if (entry.extra) {
        std::erase_if(entry.extra->copies, [&](const auto& copy) { return copy.node == gone.node; });
        if (entry.extra->wanted_copies != 0 && entry.owned()) fewer_copies.push_back(ref);
      }
      if (entry.state == RefState::object && entry.location.node == gone.node) lost_objects.push_back(ref);
    });
    const Error why = death_error(gone, ErrorCode::object_lost, "the object's bytes lay on a node that died");
    for (const RefHandle ref : lost_objects) {
      if (const RefEntry* entry = refs_.find(ref); entry != nullptr) {
        lose(ref, wire::ObjectLocation(entry->location), why, now, true);
      }
    }
    for (const RefHandle ref : fewer_copies) {
      if (refs_.find(ref) != nullptr) tend_copies(ref);
    }
  }

  std::sort(touched.begin(), touched.end());
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  for (const std::uint32_t scheduling : touched) dispatch(scheduling, now);
}

}  // namespace mobula
