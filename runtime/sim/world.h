// A cluster that lives in one thread: nodes with processes, channels inside a node, a network between nodes, a clock
// and faults, all drawn from one seed. The participants are the production state machines, the bytes between them the
// production encodings, the way between nodes the production ReliableLink.
//
// Modelled: calls lie in lanes until the worker takes them (and can be withdrawn until then); messages of one process
// to another arrive in order; a dead process's messages arrive before its death is told; between nodes datagrams are
// lost, doubled, delayed and reordered.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <mobula/random.h>

#include "runtime/base/bytes.h"
#include "runtime/base/ids.h"
#include "runtime/sim/event_queue.h"
#include "runtime/wire/message.h"

namespace mobula::sim {

struct WorldOptions {
  std::uint32_t nodes = 2;
  double cpus = 2;         // of each node
  std::uint32_t head = 1;  // the number of the head's node (1 is the driver's)
  double loss = 0;         // of datagrams between nodes
  double doubling = 0;
  double longest_delay_ms = 2;      // between nodes; uniform from 0.05 ms, so datagrams overtake each other
  std::uint32_t slow_node = 0;      // its number (1 is the driver's); 0: none
  double slowness = 1;              // everything on it takes this many times longer
  std::uint32_t lane_calls = 12;    // calls that fit into a lane: small, so that "full" happens
  double start_failure = 0;         // of workers
  std::uint32_t store_objects = 0;  // large objects that fit into the memory of a node; 0: any number
  std::uint32_t disk_objects = 0;   // that fit on its disk; 0: any number
  double disk_ms = 1;               // that it takes at most for one file
  double disk_failure = 0;          // of writes, by other reasons than being full
  double disk_damage = 0;           // of reads
  std::uint64_t memory_mb = 0;      // of each node, which a hungry call takes 100 of; 0: any number
};

enum class FrameKind : std::uint8_t { call, reply, message };

struct Frame {
  FrameKind kind = FrameKind::message;
  ProcessId from;
  ProcessId to;
  std::uint64_t call = 0;  // a call inside one node: its claim record
  Bytes bytes;
};

/// What is wrong with a run, in words; the first one ends it.
struct Violation {
  std::string what;
};

class SimNode;
class SimProcess;

class World {
 public:
  World(std::uint64_t seed, WorldOptions options);
  ~World();

  /// The driver's process; on the first node.
  SimProcess& driver();
  SimNode& node(std::size_t number);  // 0 is the driver's and the head's
  std::size_t node_count() const { return nodes_.size(); }
  NodeId head() const { return head_; }
  SimNode* find_node(NodeId id);
  SimProcess* find(const ProcessId& id);

  void run_until(Time end);
  /// Runs events until `done`, at most until `end`; false if it was not reached.
  template <class Done>
  bool run(Time end, Done&& done) {
    while (!done()) {
      if (events_.next() > end) return false;
      events_.step();
    }
    return true;
  }

  EventQueue& events() { return events_; }
  Random& random() { return random_; }
  const WorldOptions& options() const { return options_; }
  Duration uniform(Duration low, Duration high);
  bool chance(double probability) { return probability > 0 && random_.uniform() < probability; }

  /// SIGKILL.
  void kill(const ProcessId& process);
  /// Power off: its processes, its links and what was on its way are gone.
  void crash(SimNode& node);
  /// The head's machine loses its power; after so long another head answers at its address. It knows nothing.
  void restart_head(Duration away);
  /// No datagram of one arrives at the other, nor, unless it is one way, the other way round, for so long.
  void cut(SimNode& from, SimNode& to, bool one_way, Duration duration);

  // ---- claim records of calls in lanes
  struct CallRecord {
    enum class State : std::uint8_t { queued, claimed, withdrawn } state = State::queued;
    bool stop = false;
  };
  std::uint64_t new_call();
  CallRecord& call(std::uint64_t id) { return calls_[id]; }

  // ---- what happened
  void probe(const char* name) { ++probes_[name]; }
  std::map<std::string, std::uint64_t>& probes() { return probes_; }
  void violated(std::string what);
  const std::vector<Violation>& violations() const { return violations_; }
  void executed(const std::string& key);
  /// An object is the result of this call. True if it was so before: the object was lost, and is made again.
  bool made(const RefId& call) { return !made_.insert(call).second; }
  /// A value went into the list of an actor that keeps its state: not when that is repeated to resume.
  void appended(std::uint64_t value) { appended_[value] = ++last_appended_; }
  /// When it was, the latest time, as a number that grows.
  std::uint64_t when_appended(std::uint64_t value) { return appended_[value]; }
  void audited(const RefId& actor, const std::vector<std::uint64_t>& list) { audits_[actor] = list; }
  const std::vector<std::uint64_t>& audit_of(const RefId& actor) { return audits_[actor]; }
  std::uint64_t value_of(const wire::ObjectLocation& location) const;
  void set_value(const wire::ObjectLocation& location, std::uint64_t value) { values_[location] = value; }
  void trace(const std::string& line);
  bool tracing = false;

  /// Everything that must hold once all refs of the driver were released and the cluster came to rest.
  void check_at_rest();

 private:
  friend class SimNode;
  SimNode& add(NodeId id, std::uint32_t number);
  void datagram(NodeId from, NodeId to, Bytes bytes);
  /// The head tells a node which it heard that it had declared it dead.
  void given_up(NodeId head, NodeId node);
  bool is_cut(NodeId from, NodeId to) const;
  void check_status(SimNode& asker);

  const WorldOptions options_;
  Random random_;
  EventQueue events_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
  NodeId head_;
  std::map<NodeId, SimNode*> by_id_;
  std::map<std::pair<NodeId, NodeId>, Time> cut_until_;  // from, to
  std::map<std::uint64_t, CallRecord> calls_;
  std::uint64_t last_call_ = 0;
  std::map<std::string, std::uint64_t> probes_;
  std::vector<Violation> violations_;
  std::set<std::string> executed_;
  std::map<wire::ObjectLocation, std::uint64_t> values_;
  std::map<std::uint64_t, std::uint64_t> appended_;
  std::uint64_t last_appended_ = 0;
  std::set<RefId> made_;
  std::map<RefId, std::vector<std::uint64_t>> audits_;
};

}  // namespace mobula::sim
