// The node: grants leases on its workers, keeps the pool of worker processes, tells everybody who died, and brings
// objects from other nodes. One a machine; slot 0 of its process table.
//
// A state machine: the daemon's loop gives it messages and process events and carries out what it asks of the NodeSink.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <mobula/result.h>

#include "runtime/base/ids.h"
#include "runtime/base/resources.h"
#include "runtime/base/time.h"
#include "runtime/node/pressure.h"
#include "runtime/node/spills.h"
#include "runtime/wire/message.h"

namespace mobula {

struct NodeOptions {
  std::string name;       // for people
  std::string address;    // how other nodes reach this one; empty: alone
  Resources resources;    // what can be leased
  bool may_grow = false;  // nodes may still join: what fits nowhere waits, with a warning, instead of being refused
  std::map<std::string, std::string> labels;        // what requests may ask for
  bool passing = false;                             // it ends with a driver, and the cluster goes on
  bool record = false;                              // say every decision to NodeSink::record
  NodeId head;                                      // whose Control this node reports to; its own id when embedded
  wire::Program program;                            // prestarted; path empty: none
  std::uint32_t prestart = 0;                       // workers started at once
  std::uint32_t max_workers = 4096;                 // processes, blocked ones included
  Duration surplus_keep = std::chrono::seconds(5);  // idle workers beyond the prestarted ones retire after this
  Duration heartbeat = std::chrono::milliseconds(500);
  Duration revoke_grace = std::chrono::seconds(1);           // for a worker whose lease's owner died, then SIGKILL
  Duration head_patience = std::chrono::milliseconds(2500);  // without a way to the head, then it counts as gone
  Duration names_patience = std::chrono::seconds(60);  // with the head gone, questions about names wait so long for one
  Duration restless = std::chrono::milliseconds(100);  // a request that was sent here waits so long, then it may go on
  SpillOptions spill;
  double memory_threshold = 0.95;         // part of the memory in use from which on a task is killed
  std::uint64_t memory_worth = 64 << 20;  // a process with less of its own is left alone
};

/// Called from inside the Node's methods; must not call back into it.
class NodeSink : public SpillSink {
 public:
  /// To a local process, to another node, or (a process of another node) through that node. In order, reliable.
  virtual void send(const ProcessId& to, wire::Message&& message) = 0;
  /// A number for start_worker, or why workers of this program cannot run here (no such file, another build-id).
  virtual Result<std::uint32_t> open_program(const wire::Program& program) = 0;
  /// Reserves a slot and starts a worker; on_process_started or on_process_exited follows. An empty id: no slot left.
  virtual ProcessId start_worker(std::uint32_t program) = 0;
  /// SIGKILL.
  virtual void kill(const ProcessId& process) = 0;
  /// Sends the bytes that lie at `at` to a node as ObjectChunk messages of the object `location`, or one with an error.
  /// Chunk by chunk as links have room.
  virtual void push_object(NodeId to, const wire::ObjectLocation& location, const wire::ObjectLocation& at) = 0;
  /// An object begins to arrive: chunks go to the shell (which gets ObjectChunk messages itself) and end in
  /// on_object_arrived or on_object_failed. False: there is no room for it.
  virtual Result<bool> expect_object(const wire::ObjectLocation& location) = 0;
  /// An object of a local process belongs to the node from now on. False: the process has died, and taken it along.
  virtual bool keep_object(const wire::ObjectLocation& location) {
    (void)location;
    return true;
  }
  /// The head declared this node dead: end all processes and come back as a new node.
  virtual void expelled(const std::string& reason) = 0;
  /// Bytes of its own that the process has in memory.
  virtual std::uint64_t memory_of(const ProcessId&) { return 0; }
  /// For people: something waits that may wait for ever. Once per kind of request.
  virtual void warn(const std::string&) {}
  /// What is known of other nodes: where they listen. For the router.
  virtual void peers(const std::vector<wire::NodeView>& nodes) = 0;
  /// A line of the decision log (scheduler/replay/log.h), without its time.
  virtual void record(std::string&& line) { (void)line; }

 protected:
  ~NodeSink() = default;
};

class Node {
 public:
  Node(NodeId self, NodeOptions options, NodeSink& sink);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// Prestarts workers and joins the head.
  void start(Time now);
  /// Another head answers where the one before did. It is told all that this node holds, and the local processes that
  /// what they asked and got no answer for is to be asked again; work under way goes on. (The shell tells of the death
  /// of the one before, as of that of any node.)
  void on_new_head(NodeId head, Time now);
  /// A driver's owner side got a slot of this node.
  void on_driver_attached(const ProcessId& driver, Time now);
  void on_process_started(const ProcessId& process, std::int32_t pid, Time now);
  /// Any local process, driver or worker; what it had sent was handed in before. Broadcasts ProcessDied.
  void on_process_exited(const ProcessId& process, const wire::ProcessDeath& death, Time now);

  /// All messages addressed to slot 0 but ObjectChunk; also ProcessDied of other nodes, NodeDied and ClusterView.
  /// False if it is for the head's Control (JoinCluster, Heartbeat, LeaveCluster).
  bool on_message(const ProcessId& from, const wire::Message& message, Time now);
  void on_object_arrived(const wire::ObjectLocation& asked, const wire::ObjectLocation& local, Time now);
  void on_object_failed(const wire::ObjectLocation& asked, const Error& error, Time now);
  /// A result that lies here was sent to its owner on another node: from now on the node answers for the object, and
  /// frees it when the owner says so, or dies.
  void on_object_left(const ProcessId& owner, const wire::ObjectLocation& location, Time now);
  /// There is no way to the head any more, and there is one again.
  void on_head_lost(Time now);
  void on_head_found(Time now);
  /// How full the memory is; often enough to act before the kernel does.
  void on_memory(const MemoryReading& reading, Time now);
  /// What write_spill and read_spill led to. A disk that is full is ErrorCode::disk_full; bytes that are not those that
  /// were written are ErrorCode::object_lost.
  void on_spill_written(std::uint64_t file, const Result<std::vector<SpillPlace>>& places, Time now);
  void on_spill_read(const wire::ObjectLocation& name, const Result<wire::ObjectLocation>& local, Time now);
  void on_timer(Time now);
  Time next_timer() const;

  // ---- looking at it
  struct Worker {
    ProcessId process;
    std::int32_t pid = 0;
    bool started = false;
    bool blocked = false;
    bool dedicated = false;
    LeaseId lease;    // empty: idle
    ProcessId owner;  // of the lease
  };
  std::vector<Worker> workers() const;
  struct Waiting {
    ProcessId owner;
    std::uint32_t count = 0;  // of workers
    Resources resources;      // of each
    bool actor = false;
    Duration since{};
    std::string reason;  // what each node lacks
  };
  std::vector<Waiting> waiting(Time now) const;  // the requests that wait here, in the order of the queue
  Resources available() const;                   // outside of reserved bundles
  Resources reserved() const;                    // by bundles
  std::size_t queued() const;                    // lease requests that wait
  std::size_t lease_count() const;
  const Spills& spills() const;
  bool joined() const;  // the head accepted this node
  NodeId self() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mobula
