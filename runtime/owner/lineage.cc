// Lineage: a call whose result lies on another node is kept after its end, so that it can run again if that node dies.
//
//   result of a kept call lost -> its arguments, where they were freed meanwhile, are made first -> the call runs again
//
// What a kept call needs is not kept for its sake: an argument that another kept call can make again is freed when
// nobody else needs it (`dormant`), one that cannot (a put() value) stays.
#include <fmt/format.h>

#include <algorithm>

#include "runtime/owner/owner_impl.h"

namespace mobula {

bool Owner::Impl::lies_elsewhere(const wire::Value& value) const {
  return value.kind == wire::ValueKind::object && value.location.node != self_.node;
}

bool Owner::Impl::may_run_again(const TaskEntry& task) {
  if (task.stream || (task.flags & (wire::call_saves | wire::call_replays)) != 0) return false;
  if (task.kind == wire::CallKind::task) {
    if (task_classes_[task.task_class].max_retries == 0) return false;
  } else {
    // What an actor that keeps its state did must not happen twice.
    const ActorEntry& actor = actor_of(task.actor);
    if (actor.max_call_retries == 0 || actor.state || actor.logged) return false;
  }
  const auto is_actor = [this](RefHandle ref) { return refs_[ref].actor() != nullptr; };
  return std::none_of(task.contained.begin(), task.contained.end(), is_actor);
}

void Owner::Impl::keep_lineage(TaskHandle handle, const std::vector<RefHandle>& others, Time now) {
  TaskEntry& task = tasks_[handle];
  const auto keeps = [&](RefHandle ref) {
    RefEntry* entry = refs_.find(ref);
    if (entry == nullptr || entry->state != RefState::object || entry->location.node == self_.node) return;
    entry->more().lineage = handle;
    ++task.keepers;
  };
  for (const RefHandle ref : others) keeps(ref);
  if (const bool of_others = task.keepers != 0; of_others) {
    refs_[task.result].more().lineage = handle;  // it knows the others
    refs_[task.result].more().more_results = others;
    ++task.keepers;
  } else {
    keeps(task.result);
  }
  if (task.keepers == 0) return forget_call(handle, now);
  task.state = TaskEntry::State::kept;
  task.lease = {};
  task.parent = 0;
  task.causes.clear();
  task.kept_bytes = sizeof(TaskEntry) + task.args.size();
  for (const auto* refs : {&task.deps, &task.contained}) {
    for (const RefHandle ref : *refs) {
      RefEntry& entry = refs_[ref];
      if (!entry.owned()) continue;  // counted as before
      ++entry.more().lineage_holds;
      if (!entry.extra->lineage) {
        task.kept_bytes += entry.state == RefState::object ? entry.location.bytes : entry.bytes.size();
      }
      release(ref, now);
    }
  }
  lineage_bytes_ += task.kept_bytes;
  kept_.push_back(handle);
  while (lineage_bytes_ > options_.lineage_bytes && !kept_.empty()) {
    const TaskHandle oldest = kept_.front();
    kept_.pop_front();
    if (const TaskEntry* old = tasks_.find(oldest); old != nullptr && old->state == TaskEntry::State::kept) {
      evict_lineage(oldest, now);
    }
  }
}

void Owner::Impl::forget_results(TaskHandle handle) {
  TaskEntry& task = tasks_[handle];
  task.keepers = 0;
  RefExtra& first = refs_[task.result].more();
  for (const RefHandle ref : first.more_results) {
    if (const RefEntry* entry = refs_.find(ref); entry != nullptr && entry->extra && entry->extra->lineage == handle) {
      entry->extra->lineage = {};
    }
  }
  if (first.lineage == handle) first.lineage = {};
}

void Owner::Impl::evict_lineage(TaskHandle handle, Time now) {
  TaskEntry& task = tasks_[handle];
  std::vector<RefHandle> results{task.result};
  if (const RefEntry* first = refs_.find(task.result); first != nullptr && first->extra) {
    results.insert(results.end(), first->extra->more_results.begin(), first->extra->more_results.end());
  }
  for (const RefHandle ref : results) {
    RefEntry* entry = refs_.find(ref);
    if (entry == nullptr || !entry->extra || entry->extra->lineage != handle) continue;
    entry->extra->lineage = {};
    entry->extra->lineage_evicted = true;
    if (ref == task.result) entry->extra->more_results.clear();
  }
  const RefHandle first = task.result;
  drop_lineage(handle, now);
  maybe_free(first, now);
}

// Nobody needs its results any more, or there is no room for it.
void Owner::Impl::drop_lineage(TaskHandle handle, Time now) {
  TaskEntry& task = tasks_[handle];
  lineage_bytes_ -= std::exchange(task.kept_bytes, 0);
  const std::vector<RefHandle> deps = std::move(task.deps);
  const std::vector<RefHandle> contained = std::move(task.contained);
  tasks_.erase(handle);
  // Handles of what ended lie in the queue until they are met.
  if (kept_.size() > 1024 && kept_.size() > 4 * tasks_.size()) {
    std::erase_if(kept_, [this](TaskHandle kept) { return tasks_.find(kept) == nullptr; });
  }
  for (const auto* refs : {&deps, &contained}) {
    for (const RefHandle ref : *refs) {
      if (!refs_[ref].owned()) {
        release(ref, now);
      } else if (--refs_[ref].extra->lineage_holds == 0) {
        maybe_free(ref, now);
      }
    }
  }
}

bool Owner::Impl::needed_by_lineage(RefHandle ref) const {
  const RefEntry& entry = refs_[ref];
  if (!entry.extra) return false;
  if (entry.extra->lineage_holds != 0) return true;
  const TaskEntry* kept = tasks_.find(entry.extra->lineage);
  return kept != nullptr && kept->result == ref && kept->keepers > 1;  // it knows the other results
}

void Owner::Impl::fall_asleep(RefHandle ref) {
  RefEntry& entry = refs_[ref];
  if (entry.extra->dormant) return;
  entry.extra->dormant = true;
  if (entry.state != RefState::object || !entry.extra->lineage) return;
  free_bytes(entry);
  stop_copying(ref);
  entry.location = {};
  entry.extra->copies.clear();
  entry.extra->local = {};
  for (const RefHandle inner : std::exchange(entry.extra->contained, {})) {
    if (--refs_[inner].count == 0) freed_later_.push_back(inner);
  }
}

void Owner::Impl::free_bytes(const RefEntry& entry) {
  if (entry.state != RefState::object || !entry.location.node) return;
  sink_.send(node_process(entry.location.node), wire::FreeObject{entry.location});
  if (!entry.extra) return;
  for (const auto& copy : entry.extra->copies) sink_.send(node_process(copy.node), wire::FreeObject{copy});
}

// A result is freed: the call that made it is kept for the others.
void Owner::Impl::leave_lineage(RefHandle ref, Time now) {
  const TaskHandle handle = std::exchange(refs_[ref].extra->lineage, {});
  TaskEntry* task = tasks_.find(handle);
  if (task == nullptr) return;
  if (--task->keepers == 0) {
    drop_lineage(handle, now);
  } else if (task->keepers == 1 && task->result != ref) {
    if (const RefEntry* first = refs_.find(task->result); first != nullptr && first->count == 0) {
      freed_later_.push_back(task->result);
    }
  }
}

std::string Owner::Impl::why_not_again(const RefEntry& entry) {
  if (!entry.extra || !entry.extra->lineage) {
    if (entry.extra && entry.extra->lineage_evicted) {
      return fmt::format(
          "it could be made again, but its lineage was evicted: the calls that this process keeps "
          "for that have {} MiB (StartOptions::lineage_memory)",
          options_.lineage_bytes >> 20);
    }
    return "it cannot be made again: it is no result of a task with retries";
  }
  const TaskEntry& task = tasks_[entry.extra->lineage];
  if (task.state != TaskEntry::State::kept) return {};
  if (task.retries_left == 0) return "it is not made again: the retries of " + name_of(task) + " are used up";
  if (task.kind == wire::CallKind::actor_call) {
    const RefEntry* home = refs_.find(task.actor);
    if (home == nullptr || home->actor() == nullptr || home->actor()->life == ActorEntry::Life::dead) {
      return "it cannot be made again: the actor that made it is gone";
    }
  }
  return {};
}

void Owner::Impl::make_again(RefHandle lost, const Error& why, Time now) {
  std::vector<RefHandle> wanted{lost};
  std::vector<TaskHandle> begun;
  while (!wanted.empty()) {
    const RefHandle ref = wanted.back();
    wanted.pop_back();
    RefEntry& entry = refs_[ref];
    if (entry.state != RefState::object) continue;  // under way, or lost for good
    if (const std::string reason = why_not_again(entry); !reason.empty()) {
      Error error = why;
      error.message += "; " + reason;
      wire::Value value;
      value.kind = wire::ValueKind::error;
      value.error = std::move(error);
      retain(ref);
      become(ref, std::move(value), now);
      release(ref, now);
      continue;
    }
    const TaskHandle handle = entry.extra->lineage;
    TaskEntry& task = tasks_[handle];
    entry.state = RefState::pending;
    entry.task = handle;
    entry.location = {};
    entry.extra->dormant = false;
    if (task.state != TaskEntry::State::kept) continue;
    lineage_bytes_ -= std::exchange(task.kept_bytes, 0);
    refs_[task.result].task = handle;  // whom the reply names, though another of its results be the lost one
    task.state = TaskEntry::State::waiting;
    task.since = now;
    ++task.attempt;
    if (task.retries_left > 0) --task.retries_left;
    for (const auto* refs : {&task.deps, &task.contained}) {
      for (const RefHandle dep : *refs) {
        RefEntry& argument = refs_[dep];
        if (!argument.owned()) continue;
        --argument.extra->lineage_holds;
        ++argument.count;
        if (std::exchange(argument.extra->dormant, false) && argument.state == RefState::object &&
            !argument.location.node) {
          wanted.push_back(dep);
        }
      }
    }
    begun.push_back(handle);
  }
  for (const TaskHandle handle : begun) {
    TaskEntry* task = tasks_.find(handle);
    if (task == nullptr) continue;
    if (task->kind == wire::CallKind::actor_call) {
      retain(task->actor);
      ++actor_of(task->actor).pending;
    }
    await_arguments(handle);
    if (task->waiting_deps == 0) start(handle, now);
  }
}

void Owner::Impl::await_arguments(TaskHandle handle) {
  TaskEntry& task = tasks_[handle];
  task.waiting_deps = 0;
  for (const RefHandle dep : task.deps) {
    RefEntry& entry = refs_[dep];
    if (entry.state != RefState::pending) continue;
    ++task.waiting_deps;
    entry.more().dependents.push_back(handle);
  }
}

bool Owner::Impl::lacks_arguments(TaskHandle handle, Time now) {
  TaskEntry& task = tasks_[handle];
  const auto is_there = [this](RefHandle ref) {
    return refs_[ref].state == RefState::inline_value || refs_[ref].state == RefState::object;
  };
  if (std::all_of(task.deps.begin(), task.deps.end(), is_there)) return false;
  if (task.kind == wire::CallKind::task && task.state == TaskEntry::State::queued) {
    --classes_[scheduling_class_of_[task.task_class]].queued;
  }
  task.state = TaskEntry::State::waiting;
  await_arguments(handle);
  if (task.waiting_deps == 0) {  // one of them failed: start() ends the call, but not from in here
    delayed_.emplace(now, handle);
    set_timer(now);
  }
  return true;
}

// ---- bytes that are gone

void Owner::Impl::lose(RefHandle ref, const wire::ObjectLocation& gone, const Error& why, Time now, bool with_node) {
  RefEntry& entry = refs_[ref];
  if (entry.state != RefState::object) return;
  RefExtra& extra = entry.more();
  const bool known = std::erase(extra.copies, gone) != 0 || entry.location == gone;
  // A node that still lives may hold its place: a file whose bytes are damaged.
  if (known && !with_node && entry.owned()) sink_.send(node_process(gone.node), wire::FreeObject{gone});
  if (extra.local == gone) extra.local = {};
  if (entry.location != gone) {  // it lies elsewhere by now
    if (known && !with_node) tend_copies(ref);
    return;
  }
  const bool fetched = std::exchange(entry.localizing, false);
  if (extra.local.node) {
    std::erase(extra.copies, extra.local);
    entry.location = std::exchange(extra.local, {});
  } else if (!extra.copies.empty()) {
    entry.location = extra.copies.back();
    extra.copies.pop_back();
  } else if (entry.owned()) {
    stop_copying(ref);
    return make_again(ref, why, now);
  } else if (entry.borrow == RefEntry::Borrow::orphaned) {
    wire::Value value;
    value.kind = wire::ValueKind::error;
    value.error = why;
    value.error.message += "; its owner, which might have made it again, is gone too";
    retain(ref);
    become(ref, std::move(value), now);
    release(ref, now);
    return;
  } else {
    entry.state = RefState::pending;
    entry.resolving = true;
    sink_.send(extra.foreign.owner, wire::ObjectLost{extra.foreign, gone});
    return;
  }
  if (entry.owned() && !with_node) tend_copies(ref);  // after a node's death when all of it is known
  if (!fetched) return;
  if (entry.location.node == self_.node) {
    if (std::exchange(entry.watched, false)) sink_.ready(ref);
  } else {
    localize(ref);
  }
}

void Owner::Impl::on_object_lost(const ProcessId& from, const wire::ObjectLost& message, Time now) {
  const RefHandle ref = find_owned(message.ref.index, message.ref.generation);
  if (ref) {
    Error why;
    why.code = ErrorCode::object_lost;
    why.node = to_string(message.location.node);
    why.message = fmt::format("the object's bytes lay on node {}, which has lost them", why.node);
    retain(ref);
    lose(ref, message.location, why, now);
    on_resolve(from, message.ref);
    release(ref, now);
    return;
  }
  on_resolve(from, message.ref);
}

// The worker could not fetch an argument, so the call has not run.
void Owner::Impl::argument_lost(TaskHandle handle, std::uint32_t index, const wire::ObjectLocation& location,
                                Time now) {
  TaskEntry& task = tasks_[handle];
  const RefHandle argument = index < task.deps.size() ? task.deps[index] : RefHandle{};
  task.state = TaskEntry::State::waiting;
  ++task.attempt;
  if (argument) {
    Error why;
    why.code = ErrorCode::object_lost;
    why.node = to_string(location.node);
    why.message = fmt::format("the object's bytes lay on node {}, which has lost them", why.node);
    retain(argument);
    lose(argument, location, why, now);
    release(argument, now);
  }
  if (tasks_.find(handle) == nullptr) return;
  await_arguments(handle);
  if (task.waiting_deps == 0) start(handle, now);
}

}  // namespace mobula
