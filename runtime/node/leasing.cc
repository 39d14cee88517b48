// Leases and the pool: which request gets which worker, and when there are too few or too many of them.
#include <algorithm>

#include "runtime/node/node_impl.h"
#include "scheduler/policies/pack_then_spill.h"
#include "scheduler/policies/what_would_fit.h"

namespace mobula {

namespace {
constexpr Duration reclaim_interval = std::chrono::milliseconds(50);
}  // namespace

Result<std::uint32_t> Node::Impl::open_program(const wire::Program& program) {
  if (const auto known = numbers_.find(program); known != numbers_.end()) return known->second;
  Result<std::uint32_t> opened = sink_.open_program(program);
  if (!opened.ok()) return opened;
  const std::uint32_t number = *opened;
  if (programs_.size() <= number) programs_.resize(number + 1);
  programs_[number] = {program, 0, 0};
  numbers_.emplace(program, number);
  return number;
}

scheduler::View Node::Impl::view() const {
  scheduler::View view{self_, view_known_, nodes_};
  const auto here = std::find_if(view.nodes.begin(), view.nodes.end(), [&](const auto& n) { return n.node == self_; });
  wire::NodeView& mine = here != view.nodes.end() ? *here : view.nodes.emplace_back();
  mine.node = self_;
  mine.name = options_.name;
  mine.total = options_.resources;
  mine.available = available_;
  return view;
}

void Node::Impl::refuse(const Request& request, Error error) {
  error.node = options_.name;
  sink_.send(request.owner, wire::LeaseRefused{request.tag, request.count, std::move(error)});
}

bool Node::Impl::fits_nowhere(Request& request) {
  const std::string why = scheduler::what_would_fit(view(), request.resources, options_.may_grow);
  if (!options_.may_grow) {
    Error error;
    error.code = ErrorCode::infeasible;
    error.message = why;
    refuse(request, std::move(error));
    return true;
  }
  request.spilled = false;  // may be sent to a node that joins
  if (warned_.insert(request.resources).second) sink_.warn("a task or actor waits: " + why);
  return false;
}

void Node::Impl::on_lease_request(const ProcessId& from, const wire::LeaseRequest& message, Time now) {
  Request request;
  request.owner = from;
  request.tag = message.tag;
  request.count = message.count;
  request.depth = message.depth;
  request.order = ++arrivals_;
  request.dedicated = message.dedicated;
  request.spilled = message.spilled;
  request.resources = message.resources;
  if (message.count == 0) return;
  const scheduler::Decision decision = scheduler::pack_then_spill(view(), {message.resources, !message.spilled});
  if (decision.verdict == scheduler::Verdict::infeasible && fits_nowhere(request)) return;
  // The program is needed only where the work stays.
  const bool stays = options_.resources.covers(message.resources);
  if (stays) {
    Result<std::uint32_t> program = open_program(message.program);
    if (!program.ok()) {
      refuse(request, program.error());
      return;
    }
    request.program = *program;
  }
  const auto place =
      std::find_if(queue_.begin(), queue_.end(), [&](const Request& r) { return r.depth < request.depth; });
  queue_.insert(place, std::move(request));
  schedule(now);
}

void Node::Impl::on_lease_cancel(const ProcessId& from, const wire::LeaseCancel& message, Time now) {
  std::uint32_t left = message.count;
  std::uint32_t dropped = 0;
  for (auto request = queue_.rbegin(); request != queue_.rend() && left != 0; ++request) {
    if (request->owner != from || request->tag != message.tag) continue;
    const std::uint32_t now_dropped = std::min(left, request->count);
    request->count -= now_dropped;
    left -= now_dropped;
    dropped += now_dropped;
  }
  std::erase_if(queue_, [](const Request& request) { return request.count == 0; });
  if (dropped != 0) sink_.send(from, wire::LeaseRefused{message.tag, dropped, {}});
  load_changed(now);
}

Node::Impl::WorkerEntry* Node::Impl::idle_worker(std::uint32_t program) {
  // The one that was used last: its caches are warm, and the others may retire.
  WorkerEntry* best = nullptr;
  for (auto& [process, worker] : workers_) {
    if (!worker.state.started || worker.state.lease || worker.retiring || worker.program != program) continue;
    if (best == nullptr || worker.idle_since > best->idle_since) best = &worker;
  }
  return best;
}

Node::Impl::WorkerEntry* Node::Impl::worker_of(const LeaseId& lease) {
  if (lease.node != self_) return nullptr;
  const auto found = lease_workers_.find(lease.number);
  if (found == lease_workers_.end()) return nullptr;
  const auto worker = workers_.find(found->second);
  return worker == workers_.end() ? nullptr : &worker->second;
}

void Node::Impl::grant(Request& request, WorkerEntry& worker, Time now) {
  const LeaseId lease{self_, ++last_lease_};
  lease_workers_.emplace(lease.number, worker.state.process);
  worker.state.lease = lease;
  worker.state.owner = request.owner;
  worker.state.dedicated = request.dedicated;
  worker.state.blocked = false;
  worker.held = request.resources;
  worker.tag = request.tag;
  available_ -= request.resources;
  --request.count;
  sink_.send(request.owner, wire::LeaseGrant{request.tag, lease, worker.state.process});
  (void)now;
}

void Node::Impl::schedule(Time now, bool view_is_new) {
  place_elsewhere(view_is_new);
  // What a request in front cannot have yet is set aside for it, so that small requests do not starve a large one;
  // those that need nothing of it pass.
  Resources room = available_;
  std::map<std::uint32_t, std::uint32_t> lacking;  // workers to start, by program
  bool waiting = false;
  for (Request& request : queue_) {
    if (!options_.resources.covers(request.resources)) continue;  // goes elsewhere when the members are known
    while (request.count != 0 && room.covers(request.resources)) {
      WorkerEntry* worker = idle_worker(request.program);
      if (worker == nullptr) break;
      grant(request, *worker, now);
      room -= request.resources;
    }
    for (std::uint32_t i = 0; i < request.count; ++i) {
      if (!room.covers(request.resources)) {
        room -= request.resources;
        waiting = true;
        break;
      }
      room -= request.resources;
      ++lacking[request.program];
      if (request.resources.empty() && i >= 63) break;  // free ones: not all at once
    }
  }
  std::erase_if(queue_, [](const Request& request) { return request.count == 0; });
  for (auto& [program, count] : lacking) {
    std::uint32_t starting = 0;
    for (const auto& [process, worker] : workers_) {
      if (!worker.state.started && worker.program == program) ++starting;
    }
    while (starting < count && start_worker(program, now)) ++starting;
  }
  if (!waiting) {
    reclaim_due_ = never;
  } else if (reclaim_due_ == never) {
    reclaim(now);
  }
  load_changed(now);
}

void Node::Impl::place_elsewhere(bool view_is_new) {
  if (nodes_.size() <= 1 && view_known_) return;  // alone: what could not run here was refused when it came
  for (Request& request : queue_) {
    // A request that another node sent here came by that node's view, which may have been an old one: it goes on while
    // this node is full and there is room elsewhere. Only by news of the members, so that it does not circle. (A
    // spilled request of this node's own was refused elsewhere.)
    const bool may_go_on = view_is_new && request.owner.node != self_;
    while (request.count != 0 && (!request.spilled || may_go_on)) {
      const scheduler::Decision decision =
          scheduler::pack_then_spill(view(), {request.resources, true, request.order + request.count});
      if (decision.verdict == scheduler::Verdict::infeasible && fits_nowhere(request)) request.count = 0;
      if (decision.verdict != scheduler::Verdict::redirect) break;
      --request.count;
      sink_.send(request.owner, wire::LeaseRedirect{request.tag, decision.node, decision.reason});
      // Until the head tells more: count what was sent there.
      const auto there =
          std::find_if(nodes_.begin(), nodes_.end(), [&](const auto& n) { return n.node == decision.node; });
      there->available -= request.resources;
      for (const auto& [name, units] : there->available.amounts) {
        if (units < 0) {
          ++there->queued;
          break;
        }
      }
    }
  }
  std::erase_if(queue_, [](const Request& request) { return request.count == 0; });
}

bool Node::Impl::start_worker(std::uint32_t program, Time now) {
  if (workers_.size() >= options_.max_workers) return false;
  const ProcessId process = sink_.start_worker(program);
  if (!process) return false;
  WorkerEntry& worker = workers_[process];
  worker.state.process = process;
  worker.program = program;
  worker.idle_since = now;
  return true;
}

void Node::Impl::end_lease(WorkerEntry& worker, Time now) {
  if (!worker.state.lease) return;
  lease_workers_.erase(worker.state.lease.number);
  available_ += worker.state.blocked ? worker.held - worker.lent() : worker.held;
  worker.held = {};
  worker.state.lease = {};
  worker.state.owner = {};
  worker.state.dedicated = false;
  worker.state.blocked = false;
  worker.revoke_deadline = never;
  worker.idle_since = now;
}

void Node::Impl::set_blocked(WorkerEntry& worker, bool blocked, Time now) {
  if (worker.state.blocked == blocked) return;
  worker.state.blocked = blocked;
  if (blocked) {
    available_ += worker.lent();
    schedule(now);
  } else {
    available_ -= worker.lent();  // perhaps below zero: nothing new is granted until it is made up for
    load_changed(now);
  }
}

void Node::Impl::owner_died(NodeId node, const ProcessId& process, Time now) {
  if (process && process.node != self_) dead_owners_.insert(process);
  free_objects_of(node, process);
  const auto gone = [&](const ProcessId& id) { return process ? id == process : id.node == node; };
  std::erase_if(queue_, [&](const Request& request) { return gone(request.owner); });
  for (auto& [id, worker] : workers_) {
    if (!worker.state.lease || !gone(worker.state.owner) || worker.revoke_deadline != never) continue;
    sink_.send(id, wire::LeaseRevoke{worker.state.lease, worker.state.owner});
    worker.revoke_deadline = now + options_.revoke_grace;
  }
}

void Node::Impl::reclaim(Time now) {
  std::set<ProcessId> holders;
  for (const auto& [process, worker] : workers_) {
    if (!worker.state.lease || worker.state.dedicated || worker.state.blocked || worker.revoke_deadline != never)
      continue;
    const bool others_wait = std::any_of(queue_.begin(), queue_.end(), [&](const Request& request) {
      return request.count != 0 && (request.owner != worker.state.owner || request.tag != worker.tag);
    });
    if (others_wait) holders.insert(worker.state.owner);
  }
  for (const ProcessId& owner : holders) sink_.send(owner, wire::ReclaimIdle{});
  reclaim_due_ = now + reclaim_interval;
}

void Node::Impl::retire_surplus(Time now) {
  std::vector<std::vector<WorkerEntry*>> idle(programs_.size());
  for (auto& [process, worker] : workers_) {
    if (worker.state.started && !worker.state.lease && !worker.retiring) idle[worker.program].push_back(&worker);
  }
  for (std::size_t program = 0; program < idle.size(); ++program) {
    auto& pool = idle[program];
    std::sort(pool.begin(), pool.end(), [](const auto* a, const auto* b) { return a->idle_since > b->idle_since; });
    for (std::size_t i = programs_[program].keep; i < pool.size(); ++i) {
      if (now - pool[i]->idle_since < options_.surplus_keep) continue;
      pool[i]->retiring = true;
      sink_.send(pool[i]->state.process, wire::Retire{});
    }
  }
}

}  // namespace mobula
