// The owner's tables. Private to runtime/owner; the functions are spread over references.cc, tasks.cc, leases.cc,
// streams.cc, actors.cc, borrowing.cc, copies.cc and deaths.cc by what they are about.
//
//   refs_    one entry for each value, actor or borrowed ref that this process knows; RefHandle is its position
//   tasks_   one entry for each call that has not ended; found from the entry of its result
//   leases_  workers that tasks may be sent to; dedicated ones belong to their actor and are not here
//
// Queues hold handles of tasks and are cleaned lazily: a handle whose task ended meanwhile is skipped when met.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/base/bytes.h"
#include "runtime/base/ring_queue.h"
#include "runtime/base/slab.h"
#include "runtime/owner/owner.h"

namespace mobula {

using TaskHandle = SlabHandle;
using LeaseHandle = SlabHandle;

/// What an actor that keeps its state is put together from after a death (docs/design/actor-state.md).
struct ActorState {
  struct Logged {
    std::uint64_t order = 0;
    TaskHandle call;
    RefId origin;  // the call's result, for its caller
  };
  std::deque<Logged> log;              // answered calls that the checkpoint does not have, in order
  Time logging_since{};                // of the first of them
  RefHandle checkpoint;                // counted, its bytes are here; empty: the constructor's state
  std::uint64_t checkpoint_order = 0;  // of the last call in it
  std::uint64_t last_order = 0;        // of all calls that are known
  std::set<RefId> unanswered;          // calls of others in the checkpoint, of which none has told an answer
  // The next checkpoint, on its way.
  TaskHandle saving;
  RefHandle saved;  // its value, which is brought here
  std::uint64_t saved_order = 0;
  std::vector<RefId> saved_calls;
  Time not_before{};  // after one that failed
  // While resuming: of the log, how many were sent, and how many of these run.
  std::size_t replayed = 0, replaying = 0;
};

/// An actor as its callers know it, and (owned entries only) its life.
struct ActorEntry {
  enum class Life : std::uint8_t {
    foreign,   // borrowed: its owner knows
    waiting,   // the constructor's arguments are not there yet
    leasing,   // a worker was asked for
    creating,  // the constructor runs, and loads the saved state
    resuming,  // logged calls run again
    alive,
    dead
  };
  Life life = Life::foreign;

  // Owned ones.
  TaskHandle creation;  // kept for restarts
  ActorOptions options;
  std::int32_t restarts_left = 0;
  bool naming = false;                                        // the claim of its name is under way
  NodeId asked_node;                                          // leasing: who was asked
  std::vector<NodeId> avoid;                                  // nodes that refused
  std::vector<std::pair<ProcessId, std::uint32_t>> locating;  // who asked, and the incarnation they know

  // Callers' side.
  bool reachable = false;  // worker, lease and incarnation are those of a living instance
  bool asked = false;      // foreign: ActorLocate was sent
  ProcessId worker;
  LeaseId lease;
  std::uint32_t incarnation = 0;
  std::int32_t max_call_retries = 0;
  std::uint32_t max_pending_calls = 0;
  std::uint32_t pending = 0;  // calls of this process that have not ended
  bool unordered = false;
  bool logged = false;                // foreign: its owner logs what is answered
  std::unique_ptr<ActorState> state;  // owned, if it keeps its state
  std::deque<TaskHandle> queue;       // not sent, in submission order; if unordered, only those that can be
  RingQueue<TaskHandle> in_flight;    // sent, in that order
  Error death;                        // dead: what later calls end in
};

/// Items of a call that is a stream, between their maker and their reader.
struct StreamEntry {
  std::uint32_t received = 0;  // over all attempts: an item that comes again is let go
  std::uint32_t taken = 0;
  std::uint32_t told = 0;  // of the taken ones, to the maker
  std::uint32_t window = 1;
  std::deque<RefHandle> ready;  // received and not taken, with a count each
};

/// What few refs need.
struct RefExtra {
  Error error;
  RefId foreign;                       // borrowed: whose it is
  std::vector<RefHandle> contained;    // refs inside the value, counted
  std::vector<TaskHandle> dependents;  // tasks that wait for it
  std::vector<ProcessId> borrowers;
  std::vector<ProcessId> resolvers;  // borrowers that want the value
  std::vector<wire::ObjectLocation> copies;
  wire::ObjectLocation local;           // a copy in this node's arena
  std::vector<RefHandle> covers;        // counted until registered
  std::vector<SlabHandle> acks_for;     // PendingHolds that wait for this ref's registration
  std::uint64_t settle_token = 0;       // while RefEntry::settling
  std::vector<RefHandle> more_results;  // of the task that makes this one, until it ended
  TaskHandle lineage;                   // the ended call that can make the object again
  std::uint32_t lineage_holds = 0;      // kept calls of which it is an argument
  bool lineage_evicted = false;         // there was no room for that call
  bool dormant = false;                 // kept for their sake alone; without its bytes if it can be made again
  RefHandle checkpoint_of;              // the actor whose state this is, on its way here
  // Copies: owned objects shall lie on so many nodes (0: as it comes), and not only on such as end with a driver.
  std::uint32_t wanted_copies = 0;
  bool durable = false;
  bool wishes_copies = false;                     // the node was told, and goes on
  std::vector<ProcessId> copy_watchers;           // to be told when there are enough; this process too
  std::uint64_t keep_tag = 0;                     // kept for others: who asked is told once it is safe
  bool asked_copies = false;                      // borrowed: WatchCopies was sent
  std::unique_ptr<wire::CopiesHeld> told_copies;  // ... and this was the answer
  std::unique_ptr<StreamEntry> stream;
  std::unique_ptr<ActorEntry> actor;
};

struct RefEntry {
  enum class Borrow : std::uint8_t { owned, unregistered, requested, registered, orphaned };
  RefState state = RefState::pending;
  Borrow borrow = Borrow::owned;
  bool watched = false;
  bool resolving = false;   // borrowed: Resolve was sent
  bool localizing = false;  // PullObject was sent
  bool settling = false;    // a call's end waits for its registration
  std::uint32_t count = 1;
  TaskHandle task;  // the call that makes it, until it ended
  Bytes bytes;      // inline_value
  wire::ObjectLocation location;
  std::unique_ptr<RefExtra> extra;

  RefExtra& more() {
    if (!extra) extra = std::make_unique<RefExtra>();
    return *extra;
  }
  bool owned() const { return borrow == Borrow::owned; }
  ActorEntry* actor() const { return extra ? extra->actor.get() : nullptr; }
  StreamEntry* stream() const { return extra ? extra->stream.get() : nullptr; }
};

struct TaskEntry {
  enum class State : std::uint8_t {
    waiting,
    queued,
    sent,
    logging,  // answered; the actor's owner is told
    kept      // ended; may run again
  };
  wire::CallKind kind = wire::CallKind::task;
  State state = State::waiting;
  std::uint8_t flags = 0;
  bool cancelled = false;
  bool stream = false;
  bool many = false;  // RefExtra::more_results of its result
  std::uint32_t group = 0;
  FunctionId function;
  TaskClass task_class = 0;
  std::uint32_t waiting_deps = 0;
  std::uint32_t depth = 1;
  std::uint32_t attempt = 1;
  std::int32_t retries_left = 0;
  std::uint32_t pressed = 0;  // attempts that ended because memory ran out
  RefHandle result;
  RefHandle actor;
  LeaseHandle lease;
  CallTicket ticket;
  std::uint32_t keepers = 0;     // kept: results that it can make again
  std::uint64_t kept_bytes = 0;  // ... and what that costs
  std::uint64_t parent = 0;
  std::uint64_t order = 0;  // of submission
  Time since{};             // of submission, then of the last sending
  Bytes args;
  std::vector<RefHandle> deps;
  std::vector<RefHandle> contained;
  std::vector<Error> causes;  // why earlier attempts failed
};

struct LeaseEntry {
  LeaseId id;
  ProcessId worker;
  std::uint32_t scheduling_class = 0;
  bool local = false;
  bool blocked = false;   // its worker waits for other tasks
  bool full = false;      // its lane had no room
  bool dead = false;      // a send found it dead; the death will be told
  bool draining = false;  // goes back to the node when its calls ended: others wait
  bool recycled = false;  // ... which its worker does, for it ends
  std::uint32_t in_flight_count = 0;
  RingQueue<TaskHandle> in_flight;
  Time since{};       // when it was granted
  Time idle_since{};  // valid while in_flight_count == 0
};

/// Tasks that any lease of the same resources can run.
struct SchedulingClass {
  TaskOptions options;  // without what is the tasks' own: name and retries
  RingQueue<TaskHandle> queue;
  std::size_t queued = 0;     // living tasks in the queue
  std::size_t in_flight = 0;  // on all leases
  std::vector<LeaseHandle> leases;
  std::map<NodeId, std::uint32_t> asked;  // unanswered lease requests
  std::uint32_t asked_total = 0;
  bool cancelling = false;       // LeaseCancel was sent for all of them
  std::vector<Error> refusals;   // of other nodes, for the error if this one refuses too
  std::vector<NodeId> avoid;     // who they were
  std::uint64_t near_bytes = 0;  // of the arguments of the latest task that has its place by them
};

class Owner::Impl {
 public:
  Impl(ProcessId self, OwnerOptions options, OwnerSink& sink);

  // references.cc
  void retain(RefHandle ref) { ++refs_[ref].count; }
  void release(RefHandle ref, Time now);
  RefHandle put(wire::Value&& value, std::vector<RefHandle> contained, std::uint32_t copies = 1);
  RefView view(RefHandle ref) const;
  void watch(RefHandle ref);
  bool localize(RefHandle ref);
  void on_object_here(const wire::ObjectHere& message, Time now);
  void on_add_copy(const wire::AddCopy& message);
  /// The ref's value is known: tells all who wait. Exactly once a ref (per entry).
  void become(RefHandle ref, wire::Value&& value, Time now);
  void become_ready(RefHandle ref, Time now);
  void maybe_free(RefHandle ref, Time now);
  wire::Value value_of(const RefEntry& entry) const;
  RefHandle find_owned(std::uint32_t index, std::uint32_t generation);
  RefId id(RefHandle ref) const;

  // tasks.cc
  TaskClass task_class(const TaskOptions& options);
  RefHandle submit(TaskSpec&& spec, Time now, std::vector<RefHandle>* more);
  TaskHandle new_task(wire::CallKind kind, RefHandle result, const FunctionId& function, std::uint8_t flags,
                      Bytes&& args, std::vector<RefHandle>&& deps, std::vector<RefHandle>&& contained, Time now);
  void shape_results(TaskHandle handle, const TaskSpec& spec, std::vector<RefHandle>* more);
  void want_copies_of_results(TaskHandle handle);
  void dependency_ready(TaskHandle handle, RefHandle dependency, Time now);
  void start(TaskHandle handle, Time now);  // all dependencies are there
  void follow_arguments(TaskEntry& task);
  SendStatus send(TaskHandle handle, TaskEntry& task, const ProcessId& worker, const LeaseId& lease);
  void on_reply(const ProcessId& from, const wire::ReplyHeader& header, std::span<const std::byte> payload,
                std::span<const RefId> contained, Time now);
  /// Of several results, more_values_ has those after the first; if it is empty they share the first one's error.
  void end_task(TaskHandle handle, wire::Value&& value, Time now);
  void end_more(RefHandle first, const wire::Value& value, Time now);
  void leave_lease(TaskEntry& task, Time now);
  void retry_or_fail(TaskHandle handle, Error error, Time now);
  /// Puts a task whose attempt failed back into its queue, after the wait that its options ask for.
  void try_again(TaskHandle handle, Time now);
  void try_again_in(Duration wait, TaskHandle handle, Time now);
  /// Its node killed it because memory ran out: a new attempt, later, that does not count as one of max_retries.
  void out_of_memory(TaskHandle handle, Error error, const std::string& why, Time now);
  void begin_attempt(TaskHandle handle, Time now);
  Duration delay_before(const TaskEntry& task) const;
  void run_delayed(Time now);
  void cancel(RefHandle ref, const Owner::Cancel& how, Time now);
  void cancel_task(TaskHandle handle, const Owner::Cancel& how, Time now);
  void cancel_children(std::uint64_t parent, Time now);
  std::string name_of(const TaskEntry& task);
  Error task_error(const TaskEntry& task, ErrorCode code, std::string message);

  // lineage.cc
  bool lies_elsewhere(const wire::Value& value) const;
  bool may_run_again(const TaskEntry& task);
  void keep_lineage(TaskHandle handle, const std::vector<RefHandle>& others, Time now);
  void forget_results(TaskHandle handle);
  void evict_lineage(TaskHandle handle, Time now);
  void drop_lineage(TaskHandle handle, Time now);
  bool needed_by_lineage(RefHandle ref) const;
  void fall_asleep(RefHandle ref);
  void free_bytes(const RefEntry& entry);
  void leave_lineage(RefHandle ref, Time now);
  std::string why_not_again(const RefEntry& entry);
  void make_again(RefHandle ref, const Error& why, Time now);
  void await_arguments(TaskHandle handle);
  /// Something made the value of an argument vanish since the call was ready: it waits again.
  bool lacks_arguments(TaskHandle handle, Time now);
  void lose(RefHandle ref, const wire::ObjectLocation& gone, const Error& why, Time now, bool with_node = false);
  void on_object_lost(const ProcessId& from, const wire::ObjectLost& message, Time now);
  void argument_lost(TaskHandle handle, std::uint32_t index, const wire::ObjectLocation& location, Time now);
  /// A value for a ref that waits for it; one that has its value already keeps that.
  void deliver(RefHandle ref, wire::Value&& value, Time now);

  // copies.cc
  /// The nodes on which it lies and that count.
  std::vector<NodeId> holders_of(const RefEntry& entry) const;
  /// What is known of the object's places has changed.
  void tend_copies(RefHandle ref);
  void stop_copying(RefHandle ref);
  std::optional<wire::CopiesHeld> copies_held(RefHandle ref) const;
  void tell_copies(RefHandle ref);
  void on_watch_copies(const ProcessId& from, const RefId& ref);
  void on_copies_held(const wire::CopiesHeld& message);
  std::optional<Result<std::uint32_t>> take_copies(RefHandle ref);
  std::uint64_t keep_value(wire::KeepValue&& wanted);
  std::optional<Result<RefHandle>> take_kept(std::uint64_t tag);
  void on_value_kept(const wire::ValueKept& message);
  void on_keep_value(const wire::KeepValue& message, Time now);
  void hold_for_heirs(RefHandle ref, const ProcessId& dead, Time now);
  void end_holds(Time now);

  // streams.cc
  void on_item(const ProcessId& from, const wire::ReplyHeader& header, wire::Value&& value,
               std::span<const RefId> contained, Time now);
  RefHandle next(RefHandle stream);
  void close_stream(RefHandle stream, Time now);

  // waits.cc
  void follow_wait(wire::WaitProbe&& probe, Time now);
  void follow_task(TaskHandle handle, wire::WaitProbe&& probe, Time now);

  // leases.cc
  void on_recycle(const wire::Recycle& message, Time now);
  void enqueue(TaskHandle handle, TaskEntry& task, bool front);
  void dispatch(std::uint32_t scheduling_class, Time now);
  LeaseHandle roomiest(SchedulingClass& cls);
  bool has_room(const LeaseEntry& lease) const;
  void rebalance(SchedulingClass& cls, Time now);
  void withdraw_queued(LeaseEntry& lease, std::size_t keep, std::size_t at_most);
  void ask(std::uint32_t scheduling_class, Time now);
  void request(NodeId node, std::uint64_t tag, std::uint32_t count, bool spilled, std::uint64_t job);
  void cancel_requests(std::uint32_t scheduling_class);
  void lease_idle(LeaseHandle handle, Time now);
  void return_lease(LeaseHandle handle);
  void on_grant(const ProcessId& from, const wire::LeaseGrant& grant, Time now);
  void on_redirect(const ProcessId& from, const wire::LeaseRedirect& redirect, Time now);
  void on_refused(const ProcessId& from, const wire::LeaseRefused& refused, Time now);
  void on_worker_blocked(const wire::WorkerBlocked& message, Time now);
  void on_reclaim(Time now);
  void answered(SchedulingClass& cls, NodeId node, std::uint32_t count);
  void fail_queued(std::uint32_t scheduling_class, const Error& error, Time now);

  // actors.cc
  RefHandle create_actor(ActorSpec&& spec, Time now, bool claim = false);
  void on_actor_exited(const wire::ActorExited& message, Time now);
  void refuse_surplus(RefHandle actor, Time now);
  RefHandle call(RefHandle actor, TaskSpec&& spec, Time now, std::vector<RefHandle>* more);
  ActorEntry& actor_of(RefHandle ref);
  void ask_actor_lease(RefHandle ref, NodeId node, bool spilled, std::uint64_t job);
  void actor_granted(RefHandle ref, const wire::LeaseGrant& grant, Time now);
  void actor_created(RefHandle ref, wire::Value&& outcome, Time now);
  void pump_actor(RefHandle ref, Time now);
  void requeue_call(ActorEntry& actor, TaskHandle handle);
  void fail_call(TaskHandle handle, const Error& death, bool begun, Time now);
  void forget_creation(ActorEntry& actor, Time now);
  void send_creation(RefHandle ref, Time now);
  void actor_worker_died(RefHandle ref, const Error& why, Time now);
  void bury_actor(RefHandle ref, Error error, Time now);
  void end_actor(RefHandle ref, Time now);
  void kill(RefHandle ref, Time now);
  void locate(RefHandle ref);
  void actor_lives(RefHandle ref, Time now);
  void give_back_worker(RefHandle ref);

  // actor_state.cc
  void log_call(RefHandle actor, TaskEntry& task, std::uint64_t order, bool runs_again, Time now);
  void add_to_log(RefHandle actor, TaskEntry&& call, std::uint64_t order, const RefId& origin, Time now);
  void tell_owner(TaskHandle handle, const wire::ReplyHeader& header, wire::Value&& value);
  void on_log_call(const ProcessId& from, const wire::LogCall& message, Time now);
  void on_call_logged(const wire::CallLogged& message, Time now);
  void on_calls_saved(const wire::CallsSaved& message);
  void end_logged(TaskHandle handle, Time now);
  void logging_owner_died(RefHandle actor, Time now);
  void save_if_due(RefHandle actor, Time now);
  void saved(TaskHandle handle, wire::ReplyKind kind, wire::Value&& value, std::uint64_t order, Time now);
  void checkpoint_here(RefHandle actor, Time now);
  void stop_saving(ActorState& state, Time now);
  void resume_actor(RefHandle actor, Time now);
  void replay(RefHandle actor, Time now);
  void replayed(const ProcessId& from, const wire::ReplyHeader& header, bool has_refs, Time now);
  void rewind(ActorState& state);
  void drop_state(ActorEntry& actor, Time now);
  void forget_call(TaskHandle handle, Time now);
  std::vector<RefId> answered_calls_of(const ActorEntry& actor, const ProcessId& caller) const;
  /// The call of a caller was running when its actor died: it runs again, or fails.
  void interrupted(RefHandle actor, TaskHandle handle, const Error& why, Time now);
  // names.cc
  RefHandle create_named_actor(ActorSpec&& spec, std::uint64_t& tag, Time now);
  std::uint64_t find_actor(const wire::ActorName& name);
  std::uint64_t create_detached(wire::CreateDetached&& wanted);
  std::optional<wire::NameReply> take_name_reply(std::uint64_t tag);
  RefHandle adopt_actor(const ActorId& actor);
  void on_name_reply(const wire::NameReply& reply, Time now);
  void on_no_names(const wire::NameReply& reply);
  void release_name(RefHandle ref);
  void watch_group(const wire::GroupId& group);
  void on_group_placed(const wire::GroupPlaced& message);
  void on_head_changed();
  void answer_locating(RefHandle ref);
  void on_actor_locate(const ProcessId& from, const wire::ActorLocate& message);
  void on_actor_at(const wire::ActorAt& message, Time now);
  void on_actor_gone(const wire::ActorGone& message, Time now);
  static std::uint64_t actor_tag(RefHandle ref) {
    return 1ULL << 63 | static_cast<std::uint64_t>(ref.generation & 0x7fffffffu) << 32 | ref.index;
  }
  RefHandle actor_by_tag(std::uint64_t tag);

  // why.cc
  std::uint64_t ask_why(RefHandle ref, Time now);
  std::uint64_t ask_why(const std::string& subject);
  std::optional<std::vector<std::string>> take_why(std::uint64_t question, bool late);
  void on_why(const wire::Why& message, Time now);
  void on_why_answer(const wire::WhyAnswer& message);
  /// Lines about an owned or borrowed ref; the nodes that are asked answer the asker. Returns how many will.
  std::uint32_t explain(RefHandle ref, std::vector<std::string>& lines, const std::string& indent,
                        const wire::Why& question, Time now);
  std::uint32_t explain_task(const TaskEntry& task, std::vector<std::string>& lines, const std::string& indent,
                             const wire::Why& question, Time now);
  std::uint32_t explain_actor(RefHandle ref, std::vector<std::string>& lines, const std::string& indent,
                              const wire::Why& question, Time now);
  struct Question {
    std::vector<std::string> lines;
    std::uint32_t open = 1;  // answers to come
  };

  // borrowing.cc
  RefHandle borrow(const RefId& ref, bool actor, RefHandle cover);
  void register_borrow(RefHandle ref);
  std::uint64_t settle_borrows();
  void hold_for(const ProcessId& caller, std::uint32_t index, std::uint32_t generation, std::uint32_t attempt,
                std::uint32_t item, std::span<const RefHandle> refs);
  void take_contained(const ProcessId& from, const wire::ReplyHeader& header, std::span<const RefId> contained,
                      RefHandle holder);
  /// A ref that its sender holds until `pending` is sent: it is, once the ref's owner knows of this process.
  RefHandle borrow_held(const RefId& name, SlabHandle pending);
  void registered(RefHandle ref, Time now);
  void release_hold(SlabHandle pending);
  void on_add_borrow(const ProcessId& from, const RefId& ref);
  void on_borrow_ack(const wire::BorrowAck& message, Time now);
  void on_drop_borrow(const ProcessId& from, const RefId& ref, Time now);
  void on_resolve(const ProcessId& from, const RefId& ref);
  void on_resolved(wire::Resolved&& message, Time now);
  void on_release_held(const ProcessId& from, const wire::ReleaseHeld& message, Time now);

  // deaths.cc
  void on_process_died(const ProcessId& process, const wire::ProcessDeath& death, Time now);
  void on_node_died(NodeId node, const std::string& reason, Time now, const std::string& name);
  /// `gone` tells which processes ended; `why` describes the end of one, for errors.
  struct Gone {
    NodeId node;
    ProcessId process;  // empty: the whole node
    const wire::ProcessDeath* death = nullptr;
    std::string reason;
    std::string name{};  // of the node, if it is known
    bool covers(const ProcessId& id) const { return process ? id == process : id.node == node; }
  };
  void bury(const Gone& gone, Time now);
  Error death_error(const Gone& gone, ErrorCode code, const std::string& what) const;

  bool on_message(const ProcessId& from, const wire::Message& message, Time now);
  void on_room(const ProcessId& worker, Time now);
  void on_timer(Time now);
  void set_timer(Time at) { timer_ = std::min(timer_, at); }

  const ProcessId self_;
  const OwnerOptions options_;
  OwnerSink& sink_;

  Slab<RefEntry> refs_;
  Slab<TaskEntry> tasks_;
  Slab<LeaseEntry> leases_;
  std::vector<TaskOptions> task_classes_;
  std::unordered_multimap<std::size_t, TaskClass> task_class_by_hash_;
  std::vector<std::uint32_t> scheduling_class_of_;  // by TaskClass
  std::vector<SchedulingClass> classes_;
  std::uint32_t depth_ = 1;
  std::uint64_t parent_ = 0;
  std::uint64_t order_ = 0;
  // Of actor calls, over all actors: a handle may be dropped and borrowed again, and the actor's worker, which refuses
  // what does not grow, knows nothing of handles.
  std::uint64_t sequence_ = 0;
  Time timer_ = never;
  std::multimap<Time, TaskHandle> delayed_;                            // attempts that are not due yet
  std::multimap<Time, std::pair<TaskHandle, std::uint32_t>> kill_at_;  // cancelled ones, and the attempt meant
  Time others_wait_until_{};  // the node said so: leases that fall idle before go back at once

  std::unordered_map<RefId, RefHandle> borrowed_;
  std::set<RefHandle> shared_;  // owned refs with borrowers, resolvers or askers for an actor
  std::set<RefHandle> actors_;  // all entries with an ActorEntry
  std::vector<RefHandle> unregistered_;
  std::map<std::uint64_t, std::uint32_t> settling_;  // by token: registrations that are not acknowledged
  std::uint64_t last_token_ = 0;

  struct HeldKey {
    ProcessId caller;
    std::uint32_t index, generation, attempt, item;
    auto operator<=>(const HeldKey&) const = default;
  };
  std::map<HeldKey, std::vector<RefHandle>> held_;
  struct PendingHold {
    ProcessId to;
    wire::Message message;
    std::uint32_t remaining = 0;
  };
  Slab<PendingHold> pending_holds_;
  /// The outcomes of calls in TaskEntry::State::logging.
  struct Answer {
    wire::Value value;
    std::vector<wire::Value> more;
    bool may_retry = false;
  };
  std::map<TaskHandle, Answer> logging_;
  std::deque<TaskHandle> kept_;  // calls kept for their results, the oldest first, and some that were
  std::uint64_t lineage_bytes_ = 0;
  /// Told dead: whatever is sent there is dropped, and never answered.
  bool is_dead(const ProcessId& process) const;

  std::set<NodeId> dead_nodes_;
  struct Death {
    std::uint32_t generation = 0;
    wire::ProcessDeath story;
  };
  std::map<std::pair<NodeId, std::uint32_t>, Death> dead_processes_;  // node, slot: the latest one

  std::map<std::uint64_t, Question> questions_;
  std::uint32_t last_group_ = 0;
  std::map<wire::GroupId, wire::GroupPlaced> placed_;      // answers nobody took yet
  std::map<wire::GroupId, std::uint32_t> watched_groups_;  // so many answers are to come
  // Asked of the head and not answered: FindName and CreateDetached, to be asked again of another head, and the tags of
  // KeepValue, whose values end with the head that was to keep them.
  std::map<std::uint64_t, wire::Message> asked_;
  std::uint64_t last_question_ = 0;                       // tags of FindName, CreateDetached and KeepValue
  std::set<std::uint64_t> keeping_;                       // tags of KeepValue without an answer
  std::map<std::uint64_t, wire::ValueKept> kept_values_;  // answers nobody took yet
  std::multimap<Time, std::pair<RefHandle, ProcessId>> holds_of_dead_;
  std::set<NodeId> passing_nodes_;                  // with copies of what shall not end with a driver
  std::map<std::uint64_t, wire::NameReply> names_;  // answers nobody took yet

  // Values that became known while others were being told: told in turn, so that chains do not recurse.
  std::vector<RefHandle> told_later_;
  bool telling_ = false;
  // The same for refs that are freed with what contained them.
  std::vector<RefHandle> freed_later_;
  bool freeing_ = false;
  std::vector<wire::Value> more_values_;        // between on_reply() and end_task()
  std::vector<wire::Dependency> dependencies_;  // scratch of send()
  std::vector<wire::ObjectLocation> locations_;
};

}  // namespace mobula
