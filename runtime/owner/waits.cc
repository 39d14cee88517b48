// The owner's step in the search for deadlocks (docs/internals/deadlocks.md): from a ref to what it waits for.
#include <fmt/format.h>

#include "runtime/owner/owner_impl.h"

namespace mobula {

namespace {
constexpr std::size_t max_hops = 200;
}

void Owner::Impl::follow_wait(wire::WaitProbe&& probe, Time now) {
  if (probe.ref.owner != self_) {
    const ProcessId owner = probe.ref.owner;
    probe.stage = wire::WaitStage::at_owner;
    sink_.send(owner, std::move(probe));
    return;
  }
  const RefHandle ref = find_owned(probe.ref.index, probe.ref.generation);
  if (!ref || refs_[ref].state != RefState::pending) return;  // the wait is about to end
  probe.items = 0;
  if (const StreamEntry* stream = refs_[ref].stream()) {
    if (!stream->ready.empty()) return;
    probe.items = stream->received;
  }
  if (tasks_.find(refs_[ref].task) != nullptr) follow_task(refs_[ref].task, std::move(probe), now);
}

void Owner::Impl::follow_task(TaskHandle handle, wire::WaitProbe&& probe, Time now) {
  const TaskEntry& task = tasks_[handle];
  if (probe.hops.size() >= max_hops) return;
  const RefId name = id(task.result);
  if (task.waiting_deps != 0) {
    // All of them are needed, so each that never comes is reason enough.
    probe.hops.push_back({name, {}, name_of(task) + ", which has not begun and"});
    for (const RefHandle dependency : task.deps) {
      if (refs_[dependency].state != RefState::pending) continue;
      wire::WaitProbe next = probe;
      next.ref = id(dependency);
      follow_wait(std::move(next), now);
    }
    return;
  }
  probe.ref = name;
  if (task.state == TaskEntry::State::sent) {
    const ProcessId worker = task.kind == wire::CallKind::task
                                 ? leases_[task.lease].worker
                                 : actor_of(task.kind == wire::CallKind::actor_call ? task.actor : task.result).worker;
    probe.stage = wire::WaitStage::at_worker;
    sink_.send(worker, std::move(probe));
    return;
  }
  // What has no worker yet: the node knows who holds what it lacks.
  const auto ask_node = [&](NodeId node, std::uint64_t tag, const Resources& resources) {
    wire::WaitProbe next = probe;
    next.stage = wire::WaitStage::at_node;
    next.tag = tag;
    next.hops.push_back({name, {}, fmt::format("{}, which needs {} and", name_of(task), to_string(resources))});
    sink_.send(node_process(node), std::move(next));
  };
  if (task.kind == wire::CallKind::task && task.state == TaskEntry::State::queued) {
    const std::uint32_t scheduling = scheduling_class_of_[task.task_class];
    const SchedulingClass& cls = classes_[scheduling];
    for (const auto& [node, count] : cls.asked) ask_node(node, scheduling, cls.options.resources);
  } else if (task.kind == wire::CallKind::actor_create) {
    const ActorEntry& actor = *refs_[task.result].actor();
    if (actor.life == ActorEntry::Life::leasing) {
      ask_node(actor.asked_node, actor_tag(task.result), actor.options.resources);
    }
  } else if (task.kind == wire::CallKind::actor_call && task.state == TaskEntry::State::queued) {
    const ActorEntry& actor = actor_of(task.actor);
    if (tasks_.find(actor.creation) != nullptr && actor.life != ActorEntry::Life::alive) {
      probe.hops.push_back({name, {}, name_of(task) + ", whose actor does not exist yet and"});
      follow_task(actor.creation, std::move(probe), now);
      return;
    }
    // Calls keep their order: one in front, whose argument is not there, holds this one back.
    for (const TaskHandle front : actor.queue) {
      const TaskEntry* other = tasks_.find(front);
      if (other == nullptr || other->state == TaskEntry::State::sent) continue;
      if (front == handle || other->state != TaskEntry::State::waiting) return;
      probe.hops.push_back({name, {}, name_of(task) + ", which keeps its place behind another call and"});
      follow_task(front, std::move(probe), now);
      return;
    }
  }
}

}  // namespace mobula
