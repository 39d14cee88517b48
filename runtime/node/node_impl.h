// The node's tables. Private to runtime/node; the functions are spread over node.cc (processes, deaths, membership),
// leasing.cc, objects.cc, copies.cc and head.cc.
#pragma once

#include <list>
#include <map>
#include <optional>
#include <set>

#include "runtime/node/node.h"
#include "scheduler/view/view.h"

namespace mobula {

class Node::Impl {
 public:
  Impl(NodeId self, NodeOptions options, NodeSink& sink);

  // node.cc
  void start(Time now);
  void on_process_exited(const ProcessId& process, const wire::ProcessDeath& death, Time now);
  void tell_local(const wire::Message& message);
  void on_remote_process_died(const ProcessId& from, const wire::ProcessDied& message, Time now);
  void on_node_died(const wire::NodeDied& message, Time now);
  void on_cluster_view(const wire::ClusterView& message, Time now);
  bool on_message(const ProcessId& from, const wire::Message& message, Time now);
  void on_timer(Time now);
  Time next_timer() const;
  void heartbeat(Time now);
  /// What a local process asks the head, with the namespace of its job; false if it is nothing of the kind.
  bool ask_head(const ProcessId& from, const wire::Message& message);
  void load_changed(Time now);
  void on_memory(const MemoryReading& reading);

  // head.cc
  void on_new_head(NodeId head, Time now);
  void rejoin(NodeId before);
  /// What a local process asks of the head, as far as another head would have to know it.
  void remember(const wire::Message& asked);
  void on_named(const wire::NameReply& message);
  void forget_ended_groups(const std::vector<wire::GroupView>& groups);
  void forget_what_it_made(const ProcessId& process);
  wire::NodeView self_view() const;

  // why.cc
  void on_why(const wire::Why& message, Time now);

  struct WorkerEntry;

  // bundles.cc
  using BundleKey = std::pair<wire::GroupId, std::uint32_t>;
  struct BundleEntry {
    std::uint32_t attempt = 0;
    bool committed = false;
    Resources reserved;
    Resources available;  // less what leases hold
  };
  struct Reservation {  // that waits for room
    wire::ReserveBundle message;
    Time deadline{};
  };
  void on_reserve(const wire::ReserveBundle& message, Time now);
  void on_commit(const wire::CommitBundle& message, Time now);
  void on_return(const wire::ReturnBundle& message, Time now);
  void answer(const wire::ReserveBundle& message, bool reserved, std::string reason);
  /// What waits for room takes it, or sets it aside; what waited too long is refused.
  void reserve_bundles(Resources& room, bool& waiting, Time now);
  /// Of this group (and bundle), here and ready: the one with room, else any; null: none.
  std::pair<const BundleKey, BundleEntry>* bundle_for(const wire::Placement& placement, const Resources& wanted);
  /// Where the resources of a lease come from and go to.
  Resources& pool_of(const WorkerEntry& worker);

  // leasing.cc
  struct WorkerEntry {
    Node::Worker state;
    std::uint32_t program = 0;
    Resources held;               // of the lease
    std::uint64_t tag = 0;        // of the request that got it
    std::uint64_t job = 0;        // that had it last; 0: none yet
    std::uint64_t meant_for = 0;  // the job for which it was started
    std::int32_t priority = 0;
    bool preemptible = false;
    bool preempted = false;           // was killed for a higher priority
    bool retriable = false;           // what it runs is tried again after its death
    std::string out_of_memory;        // why it was killed before memory ran out; else empty
    std::optional<BundleKey> bundle;  // of which its resources are part
    Time idle_since{};
    Time revoke_deadline = never;
    bool retiring = false;  // Retire was sent, or it said Recycle
    bool recycled = false;  // it ends by itself
    bool orphaned = false;  // the driver of its job is gone: it goes too, with what it owns
    bool mixed = false;     // it served several jobs, and may own values of any of them
    /// What it gives to others while its call waits: the cpu. Whatever else it holds (a GPU, memory) stays in use.
    Resources lent() const {
      Resources cpu;
      cpu.set("cpu", held.amount("cpu"));
      return cpu;
    }
  };
  struct Request {
    ProcessId owner;
    std::uint64_t tag = 0;
    std::uint32_t count = 0;  // of leases still to be answered
    std::uint32_t depth = 0;
    std::uint32_t program = 0;
    bool dedicated = false;
    bool preemptible = false;
    bool retriable = false;
    bool stays = false;  // it could run here
    Time movable{};      // from when on it may be sent elsewhere: what another node sent here waits a while
    Time since{};        // of arrival
    std::int32_t priority = 0;
    std::uint64_t job = 0;
    scheduler::Request ask;
  };
  struct ProgramEntry {
    wire::Program program;
    std::uint32_t failed_starts = 0;  // one after the other
    std::uint32_t keep = 0;           // idle workers that do not retire
  };
  Result<std::uint32_t> open_program(const wire::Program& program);
  void on_lease_request(const ProcessId& from, const wire::LeaseRequest& message, Time now);
  void on_lease_cancel(const ProcessId& from, const wire::LeaseCancel& message, Time now);
  /// Grants what can be granted, starts workers for what could be, sends the rest elsewhere where there is room.
  void schedule(Time now);
  struct Round;
  enum class Step { granted, waits, gone };
  Step place(Request& request, Round& round, Time now);
  Step place_in_bundle(Request& request, Round& round, Time now);
  bool several_jobs() const;
  void sort_by_share();
  std::int64_t share_of(std::uint64_t job) const;
  std::uint64_t job_of(const ProcessId& asker, std::uint64_t told) const;
  std::vector<wire::JobUse> uses() const;
  void redirect(Request& request, const scheduler::Decision& decision);
  void record(const Request& request, const scheduler::Decision& decision);
  void grant(Request& request, WorkerEntry& worker, Time now);
  void refuse(const Request& request, Error error);
  /// No node of the view can run it: refuses it, or, where nodes may join, warns and lets it wait. True if refused.
  bool fits_nowhere(Request& request, const scheduler::Decision& decision);
  WorkerEntry* idle_worker(std::uint32_t program);
  /// The same; where there is none the round notes that one is lacking.
  WorkerEntry* idle_worker(const Request& request, Round& round);
  WorkerEntry* worker_of(const LeaseId& lease);
  void end_lease(WorkerEntry& worker, Time now);
  void set_blocked(WorkerEntry& worker, bool blocked, Time now);
  /// Of a process, or (empty process) of all of a node.
  void owner_died(NodeId node, const ProcessId& process, Time now);
  void reclaim(Time now);
  void on_probe(const ProcessId& from, const wire::WaitProbe& probe);
  void preempt();
  bool start_worker(std::uint32_t program, std::uint64_t job, Time now);
  void retire_surplus(Time now);
  void see(std::vector<wire::NodeView> nodes);

  // objects.cc
  void on_pull(const ProcessId& from, const wire::PullObject& message, Time now);
  void begin_pull(const wire::ObjectLocation& asked, Time now);
  void on_fetch(const ProcessId& from, const wire::FetchObject& message, Time now);
  void on_need_room(const ProcessId& from, const wire::NeedRoom& message, Time now);
  void on_object_arrived(const wire::ObjectLocation& asked, const wire::ObjectLocation& local);
  void on_object_failed(const wire::ObjectLocation& asked, const Error& error);
  void on_object_left(const ProcessId& owner, const wire::ObjectLocation& location);
  void on_free(const wire::FreeObject& message);
  /// Of a process, or (empty process) of all of a node.
  void free_objects_of(NodeId node, const ProcessId& process);
  void forget_requester(const ProcessId& process);
  void pulls_from_dead(NodeId node);

  // copies.cc
  struct Wish {
    wire::WantCopies want;
    std::set<NodeId> asked;             // they fetch it
    std::map<NodeId, Time> not_before;  // they could not
  };
  void on_want_copies(const wire::WantCopies& message, Time now);
  bool counts_as_copy(const Wish& wish, NodeId node) const;
  void place_copies(const RefId& ref, Time now);
  void place_all_copies(Time now);
  void on_copy_here(const ProcessId& from, const wire::ObjectHere& message, Time now);
  void on_keep_value(const wire::KeepValue& message);
  /// Who waits for the head to keep a value is told that it will not.
  void head_is_gone(const std::string& why, Time now);
  void head_is_here();
  wire::NameReply nobody_names(std::uint64_t tag) const;

  const NodeId self_;
  const NodeOptions options_;
  NodeSink& sink_;
  NodeId head_;

  std::map<ProcessId, WorkerEntry> workers_;
  std::set<ProcessId> drivers_;
  std::vector<ProgramEntry> programs_;  // by the sink's number
  std::map<wire::Program, std::uint32_t> numbers_;
  std::list<Request> queue_;  // by priority, by the share of their jobs, deepest first, then in order of arrival
  std::map<std::uint64_t, ProcessId> lease_workers_;
  Resources available_;
  std::map<BundleKey, BundleEntry> bundles_;
  std::list<Reservation> reservations_;
  // What the head knows of local processes: told again to the one that takes its place.
  std::map<wire::ActorName, wire::ClaimName> names_;
  std::map<wire::GroupId, wire::CreateGroup> groups_;
  std::set<wire::GroupId> removed_;  // the head was told, and has not said so yet
  std::uint64_t last_lease_ = 0;
  std::uint64_t arrivals_ = 0;

  // The cluster as the head told, less what was sent there since; this node's own entry is kept exact.
  scheduler::View view_;
  std::vector<wire::JobUse> cluster_uses_;        // as the head told
  std::map<std::uint64_t, Resources> told_uses_;  // this node's part of it
  Resources cluster_total_;
  std::set<NodeId> dead_nodes_;
  std::set<std::string> warned_;  // what was said of requests that fit nowhere
  bool taken_in_ = false;         // by a head, which from then on may set bundles aside here
  bool joined_ = false;           // ... and has told who the others are
  Time heartbeat_due_ = never;
  Time last_heartbeat_{};
  Time reclaim_due_ = never;
  Time restless_ = never;  // when the next request that was sent here may look elsewhere

  Spills spills_;
  std::map<wire::ObjectLocation, ProcessId> owners_;  // of objects here that the node answers for
  std::set<ProcessId> dead_owners_;                   // on other nodes that live
  struct Waiting {
    ProcessId process;
    RefId ref;
  };
  std::map<wire::ObjectLocation, wire::ObjectLocation> copies_;     // of other nodes' objects, here
  std::map<wire::ObjectLocation, wire::ObjectLocation> originals_;  // the same, by the local location
  std::map<wire::ObjectLocation, std::vector<Waiting>> pulls_;
  std::map<RefId, Wish> wishes_;           // for copies that are not there yet
  Time head_due_ = never;                  // when a head that cannot be reached counts as gone
  std::optional<std::string> head_gone_;   // why
  Time names_due_ = never;                 // when questions about names no longer wait for a head
  bool nameless_ = false;                  // that time has come
  Time copies_due_ = never;                // when nodes that could not fetch one are asked again
  std::set<wire::ObjectLocation> coming_;  // those that were asked for, or wait for room first, whoever still waits
};

}  // namespace mobula
