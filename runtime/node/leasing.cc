// Leases and the pool: which request gets which worker, and when there are too few or too many of them.
#include <algorithm>
#include <tuple>

#include "runtime/node/node_impl.h"
#include "scheduler/policies/policy.h"
#include "scheduler/policies/what_would_fit.h"
#include "scheduler/view/eligible.h"
#include "scheduler/view/log.h"

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

void Node::Impl::refuse(const Request& request, Error error) {
  error.node = options_.name;
  sink_.send(request.owner, wire::LeaseRefused{request.tag, request.count, std::move(error)});
}

bool Node::Impl::fits_nowhere(Request& request, const scheduler::Decision& decision) {
  // What is wrong with the amounts is said with what would mend it; else it is labels or a wish for a node.
  const bool amounts = std::none_of(view_.nodes.begin(), view_.nodes.end(),
                                    [&](const auto& node) { return node.total.covers(request.ask.resources); });
  const std::string why =
      amounts ? scheduler::what_would_fit(view_, request.ask.resources, options_.may_grow) : decision.reason;
  if (!options_.may_grow || request.ask.placement.group) {
    Error error;
    error.code = ErrorCode::infeasible;
    error.message = why;
    refuse(request, std::move(error));
    return true;
  }
  request.movable = {};  // may be sent to a node that joins
  if (warned_.insert(why).second) sink_.warn("a task or actor waits: " + why);
  return false;
}

void Node::Impl::on_lease_request(const ProcessId& from, const wire::LeaseRequest& message, Time now) {
  Request request;
  request.owner = from;
  request.tag = message.tag;
  request.count = message.count;
  request.depth = message.depth;
  request.dedicated = message.dedicated;
  request.preemptible = message.preemptible;
  request.retriable = message.retriable;
  request.priority = message.priority;
  request.job = job_of(from, message.job);
  request.since = now;
  request.movable = message.spilled ? now + options_.restless : now;
  request.ask.resources = message.resources;
  request.ask.may_redirect = !message.spilled;
  request.ask.order = ++arrivals_;
  request.ask.placement = message.placement;
  request.ask.near = message.near;
  request.ask.near_bytes = message.near_bytes;
  request.ask.avoid = message.avoid;
  if (message.count == 0) return;
  // Its job has ended, and so will it: what it starts now would outlive it by the time that its death takes to be told.
  if (const auto worker = workers_.find(from); worker != workers_.end() && worker->second.orphaned) return;
  view_.find(self_)->available = available_;
  const scheduler::Decision decision = scheduler::decide(view_, request.ask);
  record(request, decision);
  if (decision.verdict == scheduler::Verdict::infeasible && fits_nowhere(request, decision)) return;
  // The program is needed only where the work stays.
  scheduler::Request scratch;
  request.stays =
      message.placement.group
          ? options_.resources.covers(message.resources)
          : scheduler::never_on(*view_.find(self_), scheduler::softened(view_, request.ask, scratch)).empty();
  if (request.stays) {
    Result<std::uint32_t> program = open_program(message.program);
    if (!program.ok()) {
      refuse(request, program.error());
      return;
    }
    request.program = *program;
  }
  const auto place = std::find_if(queue_.begin(), queue_.end(), [&](const Request& r) {
    return std::pair(r.priority, r.depth) < std::pair(request.priority, request.depth);
  });
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
  worker.held = request.ask.resources;
  worker.tag = request.tag;
  worker.mixed |= worker.job != 0 && worker.job != request.job;
  worker.job = request.job;
  worker.priority = request.priority;
  worker.preemptible = request.preemptible;
  worker.retriable = request.retriable;
  worker.bundle.reset();
  if (request.ask.placement.group) worker.bundle = bundle_for(request.ask.placement, worker.held)->first;
  pool_of(worker) -= worker.held;
  --request.count;
  if (options_.record) {
    sink_.record(scheduler::log::lease_line(self_, lease.number, request.owner, request.tag, request.ask));
  }
  sink_.send(request.owner, wire::LeaseGrant{request.tag, lease, worker.state.process});
  (void)now;
}

// One look at the whole queue.
struct Node::Impl::Round {
  // What a request in front cannot have yet is set aside for it, so that small requests do not starve a large one;
  // those that need nothing of it pass.
  Resources room;
  struct Lacking {
    std::uint32_t count = 0;
    std::uint64_t job = 0;  // of the last request that lacks one
  };
  std::map<std::uint32_t, Lacking> lacking;  // workers to start, by program
  bool waiting = false;
  bool alone = false;
};

void Node::Impl::schedule(Time now) {
  const bool take_turns = several_jobs();
  Round round;
  for (bool again = true; again;) {
    again = false;
    if (take_turns) sort_by_share();
    round = {};
    round.room = available_;
    restless_ = never;
    reserve_bundles(round.room, round.waiting, now);
    round.alone = view_.complete && view_.nodes.size() <= 1;  // what could not run here was refused when it came
    for (Request& request : queue_) {
      Step step = Step::granted;
      std::uint32_t planned = 0;  // workers that start for it
      for (std::uint32_t i = request.count; i != 0 && step == Step::granted; --i) {
        const std::uint32_t before = request.count;
        step = place(request, round, now);
        if (step == Step::granted && request.count == before && ++planned >= 64 && request.ask.resources.empty()) break;
        // With several jobs one lease at a time: who has least goes next.
        again = take_turns && request.count != before;
        if (again) break;
      }
      if (again) break;
    }
    std::erase_if(queue_, [](const Request& request) { return request.count == 0; });
  }
  for (auto& [program, lacking] : round.lacking) {
    std::uint32_t starting = 0;
    for (const auto& [process, worker] : workers_) {
      if (!worker.state.started && !worker.retiring && worker.program == program) ++starting;
    }
    while (starting < lacking.count && start_worker(program, lacking.job, now)) ++starting;
  }
  for (const Request& request : queue_) {
    if (!round.alone && request.movable > now) restless_ = std::min(restless_, request.movable);
  }
  if (!round.waiting) {
    reclaim_due_ = never;
  } else if (reclaim_due_ == never) {
    reclaim(now);
  }
  load_changed(now);
}

// One lease of the request. `granted` also where a worker is being started for it: its room is taken.
Node::Impl::Step Node::Impl::place(Request& request, Round& round, Time now) {
  const Resources& wanted = request.ask.resources;
  const bool grouped = static_cast<bool>(request.ask.placement.group);
  if (!round.alone || grouped) {
    request.ask.may_redirect = now >= request.movable;
    view_.find(self_)->available = round.room;
    scheduler::Request ask = request.ask;
    ask.order += request.count;
    const scheduler::Decision decision = scheduler::decide(view_, ask);
    if (decision.verdict == scheduler::Verdict::infeasible) {
      if (!fits_nowhere(request, decision)) return Step::waits;
      request.count = 0;
      return Step::gone;
    }
    if (decision.verdict == scheduler::Verdict::redirect) {
      redirect(request, decision);
      return Step::granted;
    }
  }
  if (!request.stays) return Step::waits;  // goes elsewhere when the members are known
  if (grouped) return place_in_bundle(request, round, now);
  if (!round.room.covers(wanted)) {
    round.room -= wanted;
    round.waiting = true;
    return Step::waits;
  }
  round.room -= wanted;
  // (The number of idle workers is that before those were taken for which others are being started.)
  if (WorkerEntry* worker = idle_worker(request, round)) grant(request, *worker, now);
  return Step::granted;
}

Node::Impl::WorkerEntry* Node::Impl::idle_worker(const Request& request, Round& round) {
  // Once there was none there is none in this round, and there may be many workers to look through.
  const auto known = round.lacking.find(request.program);
  WorkerEntry* const worker = known == round.lacking.end() ? idle_worker(request.program) : nullptr;
  if (worker == nullptr) {
    Round::Lacking& lacking = round.lacking[request.program];
    ++lacking.count;
    lacking.job = request.job;
  }
  return worker;
}

// The bundle is here, or will be: what it has, others cannot take.
Node::Impl::Step Node::Impl::place_in_bundle(Request& request, Round& round, Time now) {
  const auto* bundle = bundle_for(request.ask.placement, request.ask.resources);
  if (bundle == nullptr) return Step::waits;
  if (!bundle->second.reserved.covers(request.ask.resources)) {
    Error error;
    error.code = ErrorCode::infeasible;
    error.message = "bundle " + std::to_string(bundle->first.second) + " of its placement group is " +
                    to_string(bundle->second.reserved) + ", " + to_string(request.ask.resources) + " is asked for";
    refuse(request, std::move(error));
    request.count = 0;
    return Step::gone;
  }
  if (!bundle->second.available.covers(request.ask.resources)) {
    round.waiting = true;
    return Step::waits;
  }
  WorkerEntry* worker = idle_worker(request, round);
  if (worker == nullptr) return Step::waits;
  grant(request, *worker, now);
  return Step::granted;
}

void Node::Impl::redirect(Request& request, const scheduler::Decision& decision) {
  record(request, decision);
  --request.count;
  sink_.send(request.owner, wire::LeaseRedirect{request.tag, decision.node, decision.reason, request.job});
  // Until the head tells more: count what was sent there.
  wire::NodeView* there = view_.find(decision.node);
  if (there == nullptr || request.ask.placement.group) return;
  there->available -= request.ask.resources;
  for (const auto& [name, units] : there->available.amounts) {
    if (units < 0) {
      ++there->queued;
      break;
    }
  }
}

void Node::Impl::record(const Request& request, const scheduler::Decision& decision) {
  if (!options_.record) return;
  sink_.record(scheduler::log::ask_line(self_, request.owner, request.tag, request.ask, decision));
}

// ---- jobs and their shares

std::uint64_t Node::Impl::job_of(const ProcessId& asker, std::uint64_t told) const {
  if (told != 0) return told;
  if (const auto worker = workers_.find(asker); worker != workers_.end() && worker->second.job != 0) {
    return worker->second.job;
  }
  return asker.node.value;  // a driver: its node is its own
}

bool Node::Impl::several_jobs() const {
  return std::any_of(queue_.begin(), queue_.end(), [&](const Request& r) { return r.job != queue_.front().job; });
}

std::vector<wire::JobUse> Node::Impl::uses() const {
  std::map<std::uint64_t, Resources> held;
  for (const auto& [process, worker] : workers_) {
    if (worker.state.lease && !worker.state.blocked) held[worker.job] += worker.held;
  }
  std::vector<wire::JobUse> uses;
  for (auto& [job, resources] : held) uses.push_back({job, std::move(resources)});
  return uses;
}

// The dominant share of a job: of the resource of which it has most, in millionths of the cluster's
// (Ghodsi et al., Dominant Resource Fairness, NSDI 2011).
std::int64_t Node::Impl::share_of(std::uint64_t job) const {
  Resources held;
  for (const auto& use : cluster_uses_) {
    if (use.job == job) held += use.held;
  }
  if (const auto told = told_uses_.find(job); told != told_uses_.end()) held -= told->second;
  for (const auto& [process, worker] : workers_) {
    if (worker.state.lease && !worker.state.blocked && worker.job == job) held += worker.held;
  }
  std::int64_t share = 0;
  for (const auto& [name, units] : held.amounts) {
    if (const std::int64_t total = cluster_total_.amount(name); total > 0) {
      share = std::max(share, units * 1000000 / total);
    }
  }
  return share;
}

void Node::Impl::sort_by_share() {
  std::map<std::uint64_t, std::int64_t> shares;
  for (const Request& request : queue_) {
    if (!shares.contains(request.job)) shares[request.job] = share_of(request.job);
  }
  queue_.sort([&](const Request& a, const Request& b) {
    return std::tuple(-a.priority, shares[a.job], ~a.depth, a.ask.order) <
           std::tuple(-b.priority, shares[b.job], ~b.depth, b.ask.order);
  });
}

bool Node::Impl::start_worker(std::uint32_t program, std::uint64_t job, Time now) {
  if (workers_.size() >= options_.max_workers) return false;
  const ProcessId process = sink_.start_worker(program);
  if (!process) return false;
  WorkerEntry& worker = workers_[process];
  worker.state.process = process;
  worker.program = program;
  worker.meant_for = job;
  worker.idle_since = now;
  return true;
}

void Node::Impl::end_lease(WorkerEntry& worker, Time now) {
  if (!worker.state.lease) return;
  lease_workers_.erase(worker.state.lease.number);
  if (options_.record) sink_.record(scheduler::log::end_line(self_, worker.state.lease.number));
  pool_of(worker) += worker.state.blocked ? worker.held - worker.lent() : worker.held;
  worker.bundle.reset();
  worker.held = {};
  worker.preemptible = false;
  worker.state.lease = {};
  worker.state.owner = {};
  worker.state.dedicated = false;
  worker.state.blocked = false;
  worker.revoke_deadline = worker.orphaned ? now + options_.revoke_grace : never;
  worker.idle_since = now;
}

void Node::Impl::set_blocked(WorkerEntry& worker, bool blocked, Time now) {
  if (worker.state.blocked == blocked) return;
  worker.state.blocked = blocked;
  if (blocked) {
    pool_of(worker) += worker.lent();
    schedule(now);
  } else {
    pool_of(worker) -= worker.lent();  // perhaps below zero: nothing new is granted until it is made up for
    load_changed(now);
  }
}

void Node::Impl::owner_died(NodeId node, const ProcessId& process, Time now) {
  if (process && process.node != self_) dead_owners_.insert(process);
  free_objects_of(node, process);
  const auto gone = [&](const ProcessId& id) { return process ? id == process : id.node == node; };
  // A job is named by its driver's node. With it ends what the driver's children own in their turn, all at once.
  const auto of_ended_job = [&](std::uint64_t job) { return !process && job == node.value; };
  std::erase_if(queue_, [&](const Request& request) { return gone(request.owner) || of_ended_job(request.job); });
  std::erase_if(wishes_, [&](const auto& wish) { return gone(wish.first.owner); });
  for (auto& [id, worker] : workers_) {
    // (One that nobody had yet ends with the job that lacked it: it may be of no use to another.)
    const bool ended = of_ended_job(worker.job != 0 ? worker.job : worker.meant_for);
    if (ended && !worker.mixed) worker.retiring = worker.orphaned = true;
    if (worker.revoke_deadline != never) continue;
    if (!worker.state.lease) {
      // (With what it printed, and what a timeline records of it, still to be read.)
      if (worker.orphaned) worker.revoke_deadline = now + options_.revoke_grace;
    } else if (ended || gone(worker.state.owner)) {
      sink_.send(id, wire::LeaseRevoke{worker.state.lease, worker.state.owner});
      worker.revoke_deadline = now + options_.revoke_grace;
    }
  }
}

void Node::Impl::reclaim(Time now) {
  std::map<std::uint64_t, std::int64_t> shares;
  const auto share = [&](std::uint64_t job) {
    const auto [entry, is_new] = shares.try_emplace(job);
    if (is_new) entry->second = share_of(job);
    return entry->second;
  };
  std::set<ProcessId> holders;
  for (const auto& entry : workers_) {
    const auto& worker = entry.second;  // (no structured binding: clang 14 has them not in lambdas)
    if (!worker.state.lease || worker.state.dedicated || worker.state.blocked || worker.revoke_deadline != never)
      continue;
    const bool others_wait =
        !reservations_.empty() || std::any_of(queue_.begin(), queue_.end(), [&](const Request& request) {
          if (request.count == 0 || !request.stays) return false;
          if (request.owner == worker.state.owner && request.tag == worker.tag) return false;
          if (request.priority != worker.priority) return request.priority > worker.priority;
          return request.job == worker.job || share(request.job) < share(worker.job);
        });
    if (others_wait) holders.insert(worker.state.owner);
  }
  for (const ProcessId& owner : holders) sink_.send(owner, wire::ReclaimIdle{});
  preempt();
  reclaim_due_ = now + reclaim_interval;
}

// For each request that waits: of the leases of lower priorities whose tasks may be run again, the lowest and youngest
// ones, as many as it takes; none if they would not be enough.
void Node::Impl::preempt() {
  Resources free = available_;
  for (const auto& [process, worker] : workers_) {
    if (worker.preempted && worker.state.lease && !worker.state.blocked) free += worker.held;  // about to come back
  }
  for (const Request& request : queue_) {
    if (request.count == 0 || !request.stays) continue;
    std::vector<WorkerEntry*> victims;
    for (auto& [process, worker] : workers_) {
      if (worker.state.lease && worker.preemptible && !worker.preempted && !worker.state.blocked &&
          worker.priority < request.priority) {
        victims.push_back(&worker);
      }
    }
    std::sort(victims.begin(), victims.end(), [](const auto* a, const auto* b) {
      return std::pair(a->priority, ~a->state.lease.number) < std::pair(b->priority, ~b->state.lease.number);
    });
    Resources gained = free;
    std::size_t needed = 0;
    while (needed < victims.size() && !gained.covers(request.ask.resources)) gained += victims[needed++]->held;
    if (!gained.covers(request.ask.resources)) {
      free -= request.ask.resources;
      continue;
    }
    for (std::size_t i = 0; i < needed; ++i) {
      victims[i]->preempted = victims[i]->retiring = true;  // nobody else gets it before the signal does
      sink_.kill(victims[i]->state.process);
    }
    free = gained;
    free -= request.ask.resources;
  }
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

void Node::Impl::on_probe(const ProcessId& from, const wire::WaitProbe& probe) {
  const auto request = std::find_if(queue_.begin(), queue_.end(), [&](const Request& one) {
    return one.owner == from && one.tag == probe.tag && one.count != 0;
  });
  if (probe.stage != wire::WaitStage::at_node || request == queue_.end()) return;
  // What the calls of this chain hold is given back only once they end, and they wait for this request.
  Resources within_reach = options_.resources;
  for (const auto& [process, worker] : workers_) {
    const ProcessId& holder = process;
    const bool in_chain = std::any_of(probe.hops.begin(), probe.hops.end(),
                                      [&](const wire::WaitHop& hop) { return hop.process == holder; });
    if (in_chain) within_reach -= worker.held - worker.lent();
  }
  if (within_reach.covers(request->ask.resources)) return;
  for (const wire::NodeView& node : view_.nodes) {
    if (node.node != self_ && node.total.covers(request->ask.resources)) return;
  }
  wire::WaitProbe verdict = probe;
  verdict.stage = wire::WaitStage::confirmed;
  verdict.hops.push_back({probe.ref, {}, "what only this chain of calls could give back, and that"});
  sink_.send(probe.origin_process, std::move(verdict));
}

}  // namespace mobula
