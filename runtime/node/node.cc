#include "runtime/node/node.h"

#include <algorithm>

#include "runtime/node/node_impl.h"
#include "scheduler/view/log.h"

namespace mobula {

namespace {
constexpr std::uint32_t max_failed_starts = 5;
constexpr Duration early_heartbeat = std::chrono::milliseconds(50);  // after a change of load
}  // namespace

Node::Impl::Impl(NodeId self, NodeOptions options, NodeSink& sink)
    : self_(self),
      options_(std::move(options)),
      sink_(sink),
      head_(options_.head),
      available_(options_.resources),
      spills_(options_.spill, sink) {
  view_.self = self_;
  view_.complete = head_ == self_;
  see({});
}

void Node::Impl::see(std::vector<wire::NodeView> nodes) {
  view_.nodes = std::move(nodes);
  std::erase_if(view_.nodes, [&](const auto& node) { return dead_nodes_.contains(node.node); });
  wire::NodeView* mine = view_.find(self_);
  if (mine == nullptr) mine = &view_.nodes.emplace_back();
  mine->node = self_;
  mine->name = options_.name;
  mine->address = options_.address;
  mine->total = options_.resources;
  mine->labels = options_.labels;
  mine->passing = options_.passing;
  mine->queued = 0;  // what waits here is considered in its turn
  cluster_total_ = {};
  for (const auto& node : view_.nodes) cluster_total_ += node.total;
}

void Node::Impl::start(Time now) {
  if (!options_.program.path.empty()) {
    if (const auto program = open_program(options_.program); program.ok()) {
      programs_[*program].keep = options_.prestart;
      for (std::uint32_t i = 0; i < options_.prestart && start_worker(*program, self_.value, now); ++i) {
      }
    }
  }
  joined_ = head_ == self_;
  if (options_.record) {
    sink_.record(scheduler::log::node_line(*view_.find(self_)));
  }
  sink_.send(node_process(head_), wire::JoinCluster{self_view()});
  last_heartbeat_ = now;
  if (head_ != self_) heartbeat_due_ = now + options_.heartbeat;
}

void Node::Impl::tell_local(const wire::Message& message) {
  for (const ProcessId& driver : drivers_) sink_.send(driver, wire::Message(message));
  for (const auto& [process, worker] : workers_) {
    if (worker.state.started) sink_.send(process, wire::Message(message));
  }
}

void Node::Impl::on_process_exited(const ProcessId& process, const wire::ProcessDeath& told, Time now) {
  wire::ProcessDeath death = told;
  death.node_name = options_.name;
  bool preempted = false;
  const auto found = workers_.find(process);
  if (found == workers_.end()) {
    if (drivers_.erase(process) == 0) return;
  } else {
    WorkerEntry& worker = found->second;
    ProgramEntry& program = programs_[worker.program];
    const bool never_started = !worker.state.started && !worker.orphaned;
    preempted = worker.preempted;
    if (!worker.out_of_memory.empty()) death.out_of_memory = worker.out_of_memory;
    end_lease(worker, now);
    workers_.erase(found);
    if (never_started && ++program.failed_starts >= max_failed_starts) {
      const auto number = static_cast<std::uint32_t>(&program - programs_.data());
      Error error;
      error.code = ErrorCode::unavailable;
      error.message = "starting workers of " + program.program.path + ": the last " +
                      std::to_string(program.failed_starts) + " ended before they were ready; the last one " +
                      death.description;
      error.signal = death.signal;
      error.pid = death.pid;
      error.backtrace = death.backtrace;
      std::erase_if(queue_, [&](const Request& request) {
        if (request.program != number) return false;
        refuse(request, error);
        return true;
      });
      program.failed_starts = 0;
    }
  }
  if (preempted) {
    death.preempted = true;
    death.description += " (its resources were taken for work of a higher priority)";
  }
  const wire::ProcessDied message{process, death};
  tell_local(message);
  for (const auto& node : view_.nodes) {
    if (node.node != self_) sink_.send(node_process(node.node), wire::Message(message));
  }
  forget_what_it_made(process);
  forget_requester(process);
  spills_.process_died(process);
  owner_died(self_, process, now);
  schedule(now);
}

void Node::Impl::on_remote_process_died(const ProcessId& from, const wire::ProcessDied& message, Time now) {
  if (message.process.node == self_ || from.node != message.process.node) return;
  tell_local(message);
  owner_died(message.process.node, message.process, now);
  schedule(now);
}

void Node::Impl::on_node_died(const wire::NodeDied& message, Time now) {
  if (message.node == self_) {
    sink_.expelled(message.reason);
    return;
  }
  if (!dead_nodes_.insert(message.node).second) return;
  if (message.node == head_) head_is_gone(message.reason, now);
  see(std::move(view_.nodes));
  std::erase_if(dead_owners_, [&](const ProcessId& owner) { return owner.node == message.node; });
  tell_local(message);
  owner_died(message.node, {}, now);
  pulls_from_dead(message.node);
  place_all_copies(now);
  schedule(now);
}

void Node::Impl::on_cluster_view(const wire::ClusterView& message, Time now) {
  const auto is_new = [&](const wire::NodeView& node) { return view_.find(node.node) == nullptr; };
  const bool more = std::any_of(message.nodes.begin(), message.nodes.end(), is_new);
  see(message.nodes);
  view_.groups = message.groups;
  view_.complete = true;
  cluster_uses_ = message.jobs;
  joined_ = true;
  forget_ended_groups(message.groups);
  sink_.peers(view_.nodes);
  if (more) place_all_copies(now);
  if (view_.nodes.size() > 1 && heartbeat_due_ == never) heartbeat_due_ = now + options_.heartbeat;
  schedule(now);
}

namespace {

std::optional<std::uint64_t> name_asked_for(const wire::Message& asked) {
  if (const auto* claim = std::get_if<wire::ClaimName>(&asked)) return claim->tag;
  if (const auto* find = std::get_if<wire::FindName>(&asked)) return find->tag;
  if (const auto* detached = std::get_if<wire::CreateDetached>(&asked)) return detached->tag;
  return {};
}

}  // namespace

bool Node::Impl::ask_head(const ProcessId& from, const wire::Message& message) {
  if (from.slot == 0) return false;  // another node's, or the head's own: for the Control
  wire::Message asked = message;
  const std::string own = wire::space_of_job(job_of(from, 0));
  if (auto* claim = std::get_if<wire::ClaimName>(&asked)) {
    if (claim->name.space.empty()) claim->name.space = own;
  } else if (auto* find = std::get_if<wire::FindName>(&asked)) {
    if (find->name.space.empty()) find->name.space = own;
  } else if (auto* detached = std::get_if<wire::CreateDetached>(&asked)) {
    if (detached->name.space.empty()) detached->name.space = wire::shared_space;
  } else if (auto* group = std::get_if<wire::CreateGroup>(&asked)) {
    group->job = job_of(from, 0);
  } else if (!std::holds_alternative<wire::ReleaseName>(asked) && !std::holds_alternative<wire::RemoveGroup>(asked) &&
             !std::holds_alternative<wire::WatchGroup>(asked) && !std::holds_alternative<wire::Why>(asked)) {
    return false;
  }
  if (const std::optional<std::uint64_t> tag = nameless_ ? name_asked_for(asked) : std::nullopt) {
    sink_.send(from, nobody_names(*tag));
    return true;
  }
  remember(asked);
  sink_.send(node_process(head_), std::move(asked));
  return true;
}

bool Node::Impl::on_message(const ProcessId& from, const wire::Message& message, Time now) {
  if (const auto* m = std::get_if<wire::LeaseRequest>(&message)) {
    on_lease_request(from, *m, now);
  } else if (const auto* cancel = std::get_if<wire::LeaseCancel>(&message)) {
    on_lease_cancel(from, *cancel, now);
  } else if (const auto* ended = std::get_if<wire::LeaseReturn>(&message)) {
    if (WorkerEntry* worker = worker_of(ended->lease); worker != nullptr && worker->state.owner == from) {
      end_lease(*worker, now);
      schedule(now);
    }
  } else if (const auto* released = std::get_if<wire::LeaseReleased>(&message)) {
    if (WorkerEntry* worker = worker_of(released->lease); worker != nullptr && worker->state.process == from) {
      end_lease(*worker, now);
      schedule(now);
    }
  } else if (const auto* kill = std::get_if<wire::LeaseKill>(&message)) {
    if (WorkerEntry* worker = worker_of(kill->lease); worker != nullptr && worker->state.owner == from) {
      sink_.kill(worker->state.process);
    }
  } else if (const auto* blocked = std::get_if<wire::Blocked>(&message)) {
    if (WorkerEntry* worker = worker_of(blocked->lease); worker != nullptr && worker->state.process == from) {
      set_blocked(*worker, blocked->blocked, now);
    }
  } else if (std::holds_alternative<wire::Recycle>(message)) {
    if (const auto found = workers_.find(from); found != workers_.end()) {
      found->second.retiring = found->second.recycled = true;
      end_lease(found->second, now);
      schedule(now);
    }
  } else if (std::holds_alternative<wire::StayAlive>(message)) {
    if (const auto found = workers_.find(from);
        found != workers_.end() && !found->second.recycled && !found->second.orphaned) {
      found->second.retiring = false;
      found->second.idle_since = now;
      schedule(now);
    }
  } else if (const auto* probe = std::get_if<wire::WaitProbe>(&message)) {
    on_probe(from, *probe);
  } else if (const auto* pull = std::get_if<wire::PullObject>(&message)) {
    on_pull(from, *pull, now);
  } else if (const auto* free = std::get_if<wire::FreeObject>(&message)) {
    on_free(*free);
  } else if (const auto* fetch = std::get_if<wire::FetchObject>(&message)) {
    on_fetch(from, *fetch, now);
  } else if (const auto* want = std::get_if<wire::WantCopies>(&message)) {
    on_want_copies(*want, now);
  } else if (const auto* here = std::get_if<wire::ObjectHere>(&message)) {
    // Of a copy that was asked for here; the head's own owner may have asked for another one.
    on_copy_here(from, *here, now);
    return from.node != self_ || head_ != self_;
  } else if (std::holds_alternative<wire::Resolved>(message)) {
    return head_ != self_;  // the answer to on_copy_here's ObjectLost: the wish that follows says it all
  } else if (const auto* keep = std::get_if<wire::KeepValue>(&message); keep != nullptr && from.slot != 0) {
    on_keep_value(*keep);
  } else if (const auto* need = std::get_if<wire::NeedRoom>(&message)) {
    on_need_room(from, *need, now);
  } else if (const auto* died = std::get_if<wire::ProcessDied>(&message)) {
    on_remote_process_died(from, *died, now);
  } else if (const auto* node_died = std::get_if<wire::NodeDied>(&message)) {
    on_node_died(*node_died, now);
  } else if (const auto* view = std::get_if<wire::ClusterView>(&message)) {
    on_cluster_view(*view, now);
  } else if (const auto* why = std::get_if<wire::Why>(&message); why != nullptr && (why->owner || why->all)) {
    on_why(*why, now);
  } else if (const auto* reserve = std::get_if<wire::ReserveBundle>(&message)) {
    on_reserve(*reserve, now);
  } else if (const auto* commit = std::get_if<wire::CommitBundle>(&message)) {
    on_commit(*commit, now);
  } else if (const auto* give_back = std::get_if<wire::ReturnBundle>(&message)) {
    on_return(*give_back, now);
  } else if (const auto* named = std::get_if<wire::NameReply>(&message)) {
    on_named(*named);
  } else if (const auto* reply = std::get_if<wire::JoinReply>(&message)) {
    taken_in_ = reply->accepted;
    if (!reply->accepted) sink_.expelled(reply->reason);
  } else {
    return ask_head(from, message);
  }
  return true;
}

// One at a time: what the last one held has to come back before anyone can tell whether it was enough.
void Node::Impl::on_memory(const MemoryReading& reading) {
  const bool short_of_it = reading.limit != 0 && static_cast<double>(reading.used) >=
                                                     options_.memory_threshold * static_cast<double>(reading.limit);
  if (!short_of_it) return;
  std::vector<PressureCandidate> candidates;
  for (const auto& [process, worker] : workers_) {
    if (!worker.out_of_memory.empty()) return;
    if (!worker.state.started || !worker.state.lease || worker.preempted) continue;
    candidates.push_back({process, worker.state.owner, worker.state.lease.number, sink_.memory_of(process),
                          worker.retriable, worker.state.dedicated});
  }
  const auto victim = choose_victim(candidates, options_.memory_worth);
  const std::string state = "memory runs out: " + describe(reading, options_.memory_threshold);
  if (!victim) {
    if (warned_.insert("memory").second) {
      sink_.warn(state + "; no task here holds enough of it to be worth its end, so the kernel may kill any process");
    }
    return;
  }
  WorkerEntry& worker = workers_[victim->process];
  worker.out_of_memory = state + "; this one was killed because " + victim->why;
  worker.retiring = true;  // nobody else gets it before the signal does
  sink_.warn("killing process " + to_string(victim->process) + ": " + worker.out_of_memory);
  sink_.kill(victim->process);
}

void Node::Impl::load_changed(Time now) {
  if (heartbeat_due_ == never) return;  // nobody to tell
  heartbeat_due_ = std::min(heartbeat_due_, std::max(now, last_heartbeat_ + early_heartbeat));
}

void Node::Impl::heartbeat(Time now) {
  std::uint32_t queued = 0;
  for (const Request& request : queue_) queued += request.count;
  std::vector<wire::JobUse> jobs = uses();
  told_uses_.clear();
  for (const auto& use : jobs) told_uses_[use.job] = use.held;
  sink_.send(node_process(head_), wire::Heartbeat{self_, available_, queued, std::move(jobs), spills_.store_use()});
  last_heartbeat_ = now;
  heartbeat_due_ = now + options_.heartbeat;
}

void Node::Impl::on_timer(Time now) {
  if (now >= heartbeat_due_) heartbeat(now);
  if (now >= reclaim_due_ || now >= restless_) {
    if (now >= reclaim_due_) reclaim_due_ = never;
    schedule(now);  // asks again if something still waits
  }
  for (auto& [process, worker] : workers_) {
    if (now < worker.revoke_deadline) continue;
    worker.revoke_deadline = never;  // its exit ends the lease
    sink_.kill(process);
  }
  retire_surplus(now);
  if (now >= copies_due_) {
    copies_due_ = never;
    place_all_copies(now);
  }
  if (now >= head_due_) {
    head_due_ = never;
    head_is_gone("there is no way to it", now);
  }
  if (now >= names_due_) {
    names_due_ = never;
    nameless_ = true;
    tell_local(nobody_names(0));
  }
  spills_.on_timer(now);
}

Time Node::Impl::next_timer() const {
  Time next =
      std::min({heartbeat_due_, reclaim_due_, restless_, copies_due_, head_due_, names_due_, spills_.next_timer()});
  std::vector<std::uint32_t> idle(programs_.size());
  for (const auto& [process, worker] : workers_) {
    next = std::min(next, worker.revoke_deadline);
    if (!worker.state.started || worker.state.lease || worker.retiring) continue;
    // Which of them are surplus is decided when the timer fires; a pool within its size sets none.
    ++idle[worker.program];
  }
  for (const auto& [process, worker] : workers_) {
    if (!worker.state.started || worker.state.lease || worker.retiring) continue;
    if (idle[worker.program] > programs_[worker.program].keep) {
      next = std::min(next, worker.idle_since + options_.surplus_keep);
    }
  }
  return next;
}

Node::Node(NodeId self, NodeOptions options, NodeSink& sink)
    : impl_(std::make_unique<Impl>(self, std::move(options), sink)) {}
Node::~Node() = default;

void Node::start(Time now) {
  impl_->start(now);
}
void Node::on_new_head(NodeId head, Time now) {
  impl_->on_new_head(head, now);
}
void Node::on_driver_attached(const ProcessId& driver, Time now) {
  (void)now;
  impl_->drivers_.insert(driver);
}
void Node::on_process_started(const ProcessId& process, std::int32_t pid, Time now) {
  const auto found = impl_->workers_.find(process);
  if (found == impl_->workers_.end()) return;
  found->second.state.started = true;
  found->second.state.pid = pid;
  found->second.idle_since = now;
  impl_->programs_[found->second.program].failed_starts = 0;
  impl_->schedule(now);
}
void Node::on_process_exited(const ProcessId& process, const wire::ProcessDeath& death, Time now) {
  impl_->on_process_exited(process, death, now);
}
bool Node::on_message(const ProcessId& from, const wire::Message& message, Time now) {
  return impl_->on_message(from, message, now);
}
void Node::on_object_arrived(const wire::ObjectLocation& asked, const wire::ObjectLocation& local, Time now) {
  (void)now;
  impl_->on_object_arrived(asked, local);
}
void Node::on_object_failed(const wire::ObjectLocation& asked, const Error& error, Time now) {
  (void)now;
  impl_->on_object_failed(asked, error);
}
void Node::on_object_left(const ProcessId& owner, const wire::ObjectLocation& location, Time now) {
  (void)now;
  impl_->on_object_left(owner, location);
}
void Node::on_head_lost(Time now) {
  if (!impl_->head_gone_) impl_->head_due_ = std::min(impl_->head_due_, now + impl_->options_.head_patience);
}
void Node::on_head_found(Time now) {
  (void)now;
  impl_->head_due_ = never;
  if (!impl_->dead_nodes_.contains(impl_->head_)) impl_->head_is_here();
}
void Node::on_memory(const MemoryReading& reading, Time now) {
  (void)now;
  impl_->on_memory(reading);
}
void Node::on_spill_written(std::uint64_t file, const Result<std::vector<SpillPlace>>& places, Time now) {
  impl_->spills_.on_written(file, places, now);
}
void Node::on_spill_read(const wire::ObjectLocation& name, const Result<wire::ObjectLocation>& local, Time now) {
  impl_->spills_.on_read(name, local, now);
}
void Node::on_timer(Time now) {
  impl_->on_timer(now);
}
Time Node::next_timer() const {
  return impl_->next_timer();
}

std::vector<Node::Worker> Node::workers() const {
  std::vector<Worker> workers;
  for (const auto& [process, worker] : impl_->workers_) workers.push_back(worker.state);
  return workers;
}
Resources Node::available() const {
  return impl_->available_;
}
Resources Node::reserved() const {
  Resources reserved;
  for (const auto& [key, bundle] : impl_->bundles_) reserved += bundle.reserved;
  return reserved;
}
std::size_t Node::queued() const {
  std::size_t queued = 0;
  for (const auto& request : impl_->queue_) queued += request.count;
  return queued;
}
std::size_t Node::lease_count() const {
  return impl_->lease_workers_.size();
}
const Spills& Node::spills() const {
  return impl_->spills_;
}
bool Node::joined() const {
  return impl_->joined_;
}
NodeId Node::self() const {
  return impl_->self_;
}

}  // namespace mobula
