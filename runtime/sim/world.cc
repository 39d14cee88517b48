#include "runtime/sim/world.h"

#include <algorithm>
#include <cstdio>

#include "runtime/sim/sim_node.h"
#include "runtime/sim/sim_process.h"

namespace mobula::sim {

using std::chrono::microseconds;
using std::chrono::milliseconds;

World::World(std::uint64_t seed, WorldOptions options) : options_(options), random_(seed, Stream::user) {
  std::vector<NodeId> ids;
  for (std::uint32_t number = 1; number <= options_.nodes; ++number) ids.push_back({random_.bits64() << 8 | number});
  head_ = ids.at(options_.head - 1);
  for (std::uint32_t number = 1; number <= options_.nodes; ++number) add(ids[number - 1], number);
  nodes_.front()->add_driver();
  for (const auto& node : nodes_) node->start();
}

World::~World() = default;

SimNode& World::add(NodeId id, std::uint32_t number) {
  nodes_.push_back(std::make_unique<SimNode>(*this, id, head_, number));
  by_id_[id] = nodes_.back().get();
  return *nodes_.back();
}

SimProcess& World::driver() {
  return *nodes_.front()->processes().front();
}
SimNode& World::node(std::size_t number) {
  return *nodes_[number];
}

SimNode* World::find_node(NodeId id) {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

SimProcess* World::find(const ProcessId& id) {
  SimNode* node = find_node(id.node);
  return node == nullptr ? nullptr : node->find(id);
}

void World::run_until(Time end) {
  while (events_.next() <= end) events_.step();
}

Duration World::uniform(Duration low, Duration high) {
  return low + Duration(static_cast<std::int64_t>(random_.uniform() * static_cast<double>((high - low).count())));
}

void World::kill(const ProcessId& id) {
  SimProcess* process = find(id);
  if (process == nullptr || !process->alive || !process->node().alive()) return;
  probe("process.killed");
  trace("SIGKILL " + to_string(id));
  process->died();
  process->node().after(uniform(microseconds(50), microseconds(2000)), [process] {
    wire::ProcessDeath death;
    death.pid = static_cast<int>(process->id().slot);
    death.signal = 9;
    death.description = "was killed by SIGKILL";
    process->node().process_ended(process->id(), death);
  });
}

void World::crash(SimNode& node) {
  if (!node.alive()) return;
  probe("node.crashed");
  trace("power off " + to_string(node.id()));
  node.power_off();
}

void World::restart_head(Duration away) {
  if (!find_node(head_)->alive()) return;  // there is none
  crash(*find_node(head_));
  events_.after(away, [this] {
    probe("head.started_again");
    const auto number = static_cast<std::uint32_t>(nodes_.size()) + 1;
    head_ = NodeId{random_.bits64() << 8 | number};
    trace("another head: " + to_string(head_));
    const std::size_t before = nodes_.size();
    add(head_, number).start();
    for (std::size_t i = 0; i < before; ++i) {
      SimNode* node = nodes_[i].get();
      node->after(uniform(milliseconds(10), milliseconds(900)), [this, node, head = head_] {
        if (head == head_) node->head_found(head);  // nobody finds one that has died since
      });
    }
  });
}

void World::cut(SimNode& from, SimNode& to, bool one_way, Duration duration) {
  if (!from.alive() || !to.alive() || &from == &to) return;
  probe(one_way ? "network.cut_one_way" : "network.cut");
  trace("no way from " + to_string(from.id()) + " to " + to_string(to.id()) + (one_way ? "" : " and back"));
  from.not_to_be_heard();
  to.not_to_be_heard();
  cut_until_[{from.id(), to.id()}] = events_.now() + duration;
  if (!one_way) cut_until_[{to.id(), from.id()}] = events_.now() + duration;
}

bool World::is_cut(NodeId from, NodeId to) const {
  const auto cut = cut_until_.find({from, to});
  return cut != cut_until_.end() && events_.now() < cut->second;
}

void World::given_up(NodeId head, NodeId node) {
  SimNode* receiver = find_node(node);
  if (receiver == nullptr || is_cut(head, node) || chance(options_.loss)) return;
  events_.after(uniform(microseconds(50), microseconds(500)), [receiver] {
    receiver->when_it_goes_on([receiver] { receiver->expelled("it was not heard of for too long"); });
  });
}

std::uint64_t World::new_call() {
  calls_[++last_call_];
  return last_call_;
}

void World::datagram(NodeId from, NodeId to, Bytes bytes) {
  SimNode* receiver = find_node(to);
  if (receiver == nullptr) return;
  if (is_cut(from, to) || chance(options_.loss)) {
    probe("network.lost");
    return;
  }
  const int copies = chance(options_.doubling) ? 2 : 1;
  if (copies == 2) probe("network.doubled");
  const Duration longest(static_cast<std::int64_t>(options_.longest_delay_ms * 1e6));
  for (int copy = 0; copy < copies; ++copy) {
    const Duration delay = find_node(from)->slowed(receiver->slowed(uniform(microseconds(50), longest)));
    events_.after(delay, [receiver, bytes] { receiver->on_datagram(bytes); });
  }
}

void World::violated(std::string what) {
  trace("VIOLATED: " + what);
  violations_.push_back({std::move(what)});
}

void World::executed(const std::string& key) {
  if (!executed_.insert(key).second) violated("executed twice: " + key);
}

std::uint64_t World::value_of(const wire::ObjectLocation& location) const {
  const auto found = values_.find(location);
  return found == values_.end() ? 0 : found->second;
}

void World::trace(const std::string& line) {
  if (tracing) {
    std::printf("%12.3f ms  %s\n", std::chrono::duration<double, std::milli>(events_.now().time_since_epoch()).count(),
                line.c_str());
  }
}

void World::check_at_rest() {
  for (const auto& node : nodes_) {
    if (!node->alive()) continue;
    const std::string name = "at rest, " + to_string(node->id());
    const Node& machine = node->machine();
    if (machine.queued() != 0) violated(name + " has lease requests in its queue: " + std::to_string(machine.queued()));
    if (machine.lease_count() != 0) violated(name + " has leases: " + std::to_string(machine.lease_count()));
    check_status(*node);
    if (machine.available() != Resources::cpus(options_.cpus)) {
      violated(name + " has " + to_string(machine.available()) + " free of cpu " + std::to_string(options_.cpus));
    }
    for (const auto& worker : machine.workers()) {
      if (!worker.lease) continue;
      const SimProcess* owner = find(worker.owner);
      if (owner == nullptr || !owner->alive) violated(name + " has a lease that belongs to the dead");
    }
    if (node->memory().objects() != 0) {
      violated(name + " keeps objects that nobody owns:" + node->memory().describe());
    }
    if (!machine.spills().idle() || node->memory().files() != 0) {
      violated(name + " has " + std::to_string(machine.spills().objects()) + " objects in " +
               std::to_string(node->memory().files()) + " files on its disk that nobody owns, and " +
               std::to_string(machine.spills().waiting()) + " who wait for room");
    }
    if (node->keeper() != nullptr && node->keeper()->counts() != Owner::Counts{}) {
      violated(name + ": the keeper still owns " + std::to_string(node->keeper()->counts().owned) + " values");
    }
    for (SimProcess* process : node->processes()) {
      if (!process->alive) continue;
      const Owner::Counts counts = process->owner().counts();
      if (counts == Owner::Counts{}) continue;
      violated(name + ": " + to_string(process->id()) + " keeps " + std::to_string(counts.owned) + " owned, " +
               std::to_string(counts.borrowed) + " borrowed, " + std::to_string(counts.tasks) + " tasks, " +
               std::to_string(counts.leases) + " leases, " + std::to_string(counts.lease_requests) + " requests, " +
               std::to_string(counts.held) + " held");
    }
  }
}

/// What the head told a node that asked when all was quiet.
void World::check_status(SimNode& asker) {
  const std::string name = "at rest, the status that " + to_string(asker.id()) + " was told";
  if (asker.unanswered() != 0) return violated(name + " is missing " + std::to_string(asker.unanswered()) + " times");
  const wire::StatusReply& status = asker.last_status();
  for (const auto& node : nodes_) {
    const auto member =
        std::ranges::find(status.members, node->id(), [](const wire::MemberStatus& m) { return m.view.node; });
    const bool listed = member != status.members.end();
    const bool gone = std::ranges::find(status.gone, node->id(), &wire::GoneStatus::node) != status.gone.end();
    // One that crashed before it had joined is in neither list.
    if (listed != node->alive() || (gone && node->alive())) {
      violated(name + (node->alive() ? " lacks " : " still has ") + to_string(node->id()));
    } else if (listed && (member->head != (node->id() == head_) || member->view.queued != 0 ||
                          member->view.available != member->view.total)) {
      violated(name + " has " + to_string(member->view.available) + " of " + to_string(member->view.total) +
               " free on the idle " + to_string(node->id()));
    }
  }
}

}  // namespace mobula::sim
