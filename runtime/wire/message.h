// Every message between participants that is not a call or a reply: plain structs, one variant. Encoded in Cap'n Proto
// by runtime/wire/codec.h. Messages from one process to another arrive in order, once, or the receiver learns that the
// sender died; nothing here carries a time-out or a retry of its own (docs/design/reliable-links.md).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include <mobula/result.h>

#include "runtime/base/bytes.h"
#include "runtime/base/ids.h"
#include "runtime/base/resources.h"
#include "runtime/wire/directory.h"
#include "runtime/wire/envelope.h"
#include "runtime/wire/placement.h"
#include "runtime/wire/program.h"

namespace mobula::wire {

/// How a process ended.
struct ProcessDeath {
  std::int32_t pid = 0;
  std::int32_t signal = 0;  // 0: it exited by itself
  std::int32_t exit_status = 0;
  std::string description;    // "killed by SIGKILL", "exited with status 1"
  std::string backtrace;      // symbolised, one frame a line; empty if none
  bool preempted = false;     // the node took its resources for work of a higher priority: no fault of the task
  std::string out_of_memory;  // its node killed it before memory ran out: what was used, and why this one; else empty
  std::string node_name;      // of the node it was on
  bool over_limit = false;    // that was a limit of its own: another attempt would end the same way
  bool operator==(const ProcessDeath&) const = default;
};

enum class ValueKind : std::uint8_t { inline_value, object, error };

/// What a ref stands for once it is known.
struct Value {
  ValueKind kind = ValueKind::inline_value;
  Bytes bytes;              // inline_value
  ObjectLocation location;  // object
  Error error;              // error
  bool operator==(const Value&) const = default;
};

// ---- leases: an owner and a node --------------------------------------------------------------------------------

/// Asks for `count` workers. The node answers each of the `count` exactly once: by LeaseGrant, LeaseRedirect or
/// LeaseRefused. `tag` is the owner's own and comes back in the answers.
struct LeaseRequest {
  std::uint64_t tag = 0;
  std::uint32_t count = 1;
  std::uint32_t depth = 0;    // deeper ones are granted first, so that nested tasks finish
  std::uint32_t backlog = 0;  // tasks that wait at the owner
  bool dedicated = false;     // for an actor: the lease ends with it
  bool spilled = false;       // another node sent the owner here: look for a better place only after a while
  Resources resources;
  Program program;
  Placement placement;
  std::int32_t priority = 0;  // higher ones first
  bool preemptible = false;   // its worker may be killed for a request of a higher priority
  std::uint64_t job = 0;      // whose share it counts to; 0: of the worker that asks
  NodeId near;                // where most bytes of its arguments lie; empty: nowhere in particular
  std::uint64_t near_bytes = 0;
  std::vector<NodeId> avoid;  // nodes that refused it
  bool retriable = false;     // what it runs is tried again after the death of its worker
  bool operator==(const LeaseRequest&) const = default;
};
/// Takes back up to `count` requests that are not answered yet; each one taken back is answered by LeaseRefused with
/// ErrorCode::none.
struct LeaseCancel {
  std::uint64_t tag = 0;
  std::uint32_t count = 0;
  bool operator==(const LeaseCancel&) const = default;
};
struct LeaseGrant {
  std::uint64_t tag = 0;
  LeaseId lease;
  ProcessId worker;
  bool operator==(const LeaseGrant&) const = default;
};
struct LeaseRedirect {
  std::uint64_t tag = 0;
  NodeId node;
  std::string reason;
  std::uint64_t job = 0;  // for the request that follows
  bool operator==(const LeaseRedirect&) const = default;
};
struct LeaseRefused {
  std::uint64_t tag = 0;
  std::uint32_t count = 1;
  Error error;  // code none: it was taken back by LeaseCancel
  bool operator==(const LeaseRefused&) const = default;
};
/// Owner to node: no call of mine is on it any more.
struct LeaseReturn {
  LeaseId lease;
  bool operator==(const LeaseReturn&) const = default;
};
/// Owner to node: kill the worker of this lease (forced cancellation, kill of an actor).
struct LeaseKill {
  LeaseId lease;
  std::string reason;
  bool operator==(const LeaseKill&) const = default;
};
/// Node to owner: others wait, return the leases that you do not use.
struct ReclaimIdle {
  bool operator==(const ReclaimIdle&) const = default;
};

// ---- a worker, its node and its callers -----------------------------------------------------------------------------

/// Worker to its node: the running call waits for others (true), or goes on (false).
struct Blocked {
  LeaseId lease;
  bool blocked = false;
  bool operator==(const Blocked&) const = default;
};
/// Worker to the owner of its lease: the same, so that queued calls can be withdrawn.
struct WorkerBlocked {
  LeaseId lease;
  bool blocked = false;
  bool operator==(const WorkerBlocked&) const = default;
};
/// Node to worker: the lease's owner is dead. Stop, end the actor, drop its calls; answered by LeaseReleased.
struct LeaseRevoke {
  LeaseId lease;
  ProcessId owner;
  bool operator==(const LeaseRevoke&) const = default;
};
struct LeaseReleased {
  LeaseId lease;
  bool operator==(const LeaseReleased&) const = default;
};
/// Node to worker: end, if nobody needs what you own; answered by ending, or by StayAlive.
struct Retire {
  bool operator==(const Retire&) const = default;
};
struct StayAlive {
  bool operator==(const StayAlive&) const = default;
};
/// Owner to worker: raise the stop flag of this call, or refuse it when it arrives; cancel its children.
struct CancelCall {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;
  std::uint32_t attempt = 0;
  bool recursive = true;  // the children too
  bool operator==(const CancelCall&) const = default;
};
/// Caller to worker: I hold what was contained in this result, you may let go.
struct ReleaseHeld {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;
  std::uint32_t attempt = 0;
  std::uint32_t item = 0;  // of a stream, as in the reply
  bool operator==(const ReleaseHeld&) const = default;
};
/// Actor's owner to its worker: nobody holds a handle any more; answered to the node by LeaseReleased.
struct EndActor {
  ActorId actor;
  std::uint32_t incarnation = 0;
  LeaseId lease;
  bool operator==(const EndActor&) const = default;
};

/// Worker to the owner of its lease, before its last reply, and after it to its node: no further call is taken, and the
/// process ends once nobody needs what it owns. Ends the lease: the owner does not return it.
struct Recycle {
  LeaseId lease;
  bool operator==(const Recycle&) const = default;
};
/// Worker to the actor's owner: the actor ended itself; it does not restart.
struct ActorExited {
  ActorId actor;
  std::uint32_t incarnation = 0;
  Error error;  // what later calls end in
  bool operator==(const ActorExited&) const = default;
};
/// Caller to worker: so many items of this stream were taken; it may run ahead of that by its window.
struct StreamConsumed {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;
  std::uint32_t attempt = 0;
  std::uint32_t consumed = 0;
  bool operator==(const StreamConsumed&) const = default;
};

// ---- who waits for whom (docs/internals/deadlocks.md)

/// One step of a chain of waits: a call, where it runs, and what it waits for.
struct WaitHop {
  RefId call;
  ProcessId process;
  std::string what;
  bool operator==(const WaitHop&) const = default;
};
enum class WaitStage : std::uint8_t {
  at_owner,   // to the owner of `ref`: what makes it, and where is that?
  at_worker,  // to the worker that was sent the call `ref`: does it run, and what does it wait for?
  at_node,    // to a node whose request `tag` has not got a worker: who holds what it lacks?
  confirmed,  // to `origin_process`: the call waits for itself; the hops say how
};
/// Follows a wait from process to process. Comes back to where it started if the wait can never end.
struct WaitProbe {
  WaitStage stage = WaitStage::at_owner;
  RefId origin;  // the call that waits
  ProcessId origin_process;
  std::uint64_t wait = 0;  // which of the waits of that process
  RefId ref;
  std::uint64_t tag = 0;
  std::vector<WaitHop> hops;
  std::uint32_t branch = 0;  // which of the refs of that wait it follows
  std::uint32_t items = 0;   // to a worker, of a stream: so many items have arrived
  bool operator==(const WaitProbe&) const = default;
};

// ---- ownership and borrowing
// -------------------------------------------------------------------------------------------

struct AddBorrow {
  RefId ref;
  bool operator==(const AddBorrow&) const = default;
};
struct BorrowAck {
  RefId ref;
  bool known = true;  // false: it was freed before (a bug of ours, or the ref was forged)
  bool operator==(const BorrowAck&) const = default;
};
struct DropBorrow {
  RefId ref;
  bool operator==(const DropBorrow&) const = default;
};
/// Borrower to owner: tell me the value when it is known.
struct Resolve {
  RefId ref;
  bool operator==(const Resolve&) const = default;
};
struct Resolved {
  RefId ref;
  Value value;
  bool operator==(const Resolved&) const = default;
};
/// Borrower to owner: cancel the task that makes it.
struct CancelRef {
  RefId ref;
  bool force = false;
  bool recursive = true;
  std::int64_t grace_ns = -1;  // kill it if it still runs after this time; -1: never
  bool operator==(const CancelRef&) const = default;
};
/// Where does the actor live, in an incarnation after `known_incarnation`? Answered when it does.
struct ActorLocate {
  ActorId actor;
  std::uint32_t known_incarnation = 0;
  bool operator==(const ActorLocate&) const = default;
};
struct ActorAt {
  ActorId actor;
  std::uint32_t incarnation = 0;
  ProcessId worker;
  LeaseId lease;
  std::int32_t max_call_retries = 0;
  std::uint32_t max_pending_calls = 0;  // of one caller; 0: no limit
  bool unordered = false;
  bool logged = false;          // calls end once their LogCall was answered
  std::vector<RefId> answered;  // calls of this caller that have run in a life whose state lives on: not to be repeated
  bool operator==(const ActorAt&) const = default;
};
struct ActorGone {
  ActorId actor;
  Error error;
  bool operator==(const ActorGone&) const = default;
};
struct ActorKill {
  ActorId actor;
  bool operator==(const ActorKill&) const = default;
};

// ---- actors that resume (docs/design/actor-state.md)

/// Worker to the actor's owner, before the reply that brings its state: calls of other processes since the last time.
struct CallsSaved {
  ActorId actor;
  std::uint32_t incarnation = 0;
  std::vector<RefId> calls;
  bool operator==(const CallsSaved&) const = default;
};
/// Another caller to the actor's owner: this call of mine was answered; keep it until the actor's state was saved.
struct LogCall {
  ActorId actor;
  std::uint32_t incarnation = 0;
  std::uint64_t order = 0;  // as the reply told
  RefId call;
  std::uint32_t attempt = 0;
  FunctionId function;
  std::uint8_t flags = 0;
  std::uint32_t group = 0;
  Bytes args;
  std::vector<RefId> deps;
  std::vector<Value> values;  // of the deps
  std::vector<RefId> contained;
  bool operator==(const LogCall&) const = default;
};
/// The answer, once the owner holds what the call needs. Not accepted: the life in which it ran has ended.
struct CallLogged {
  RefId call;
  std::uint32_t attempt = 0;
  bool accepted = true;
  bool operator==(const CallLogged&) const = default;
};

// ---- objects
// ---------------------------------------------------------------------------------------------------------

/// Local process to its node: bring the object here. Answered by ObjectHere.
struct PullObject {
  RefId ref;
  ObjectLocation location;
  bool operator==(const PullObject&) const = default;
};
struct ObjectHere {
  RefId ref;
  ObjectLocation location;  // as it was asked
  ObjectLocation local;     // in this node's arena
  Error error;              // code none if it is here
  bool operator==(const ObjectHere&) const = default;
};
/// Node to the ref's owner: this node has a copy, free it with the original.
struct AddCopy {
  RefId ref;
  ObjectLocation location;
  bool passing = false;  // the node ends with a driver
  bool operator==(const AddCopy&) const = default;
};
/// Borrower to owner: the bytes are not there any more. Answered by Resolved, as Resolve is.
struct ObjectLost {
  RefId ref;
  ObjectLocation location;
  bool operator==(const ObjectLost&) const = default;
};
/// Owner to the location's node.
struct FreeObject {
  ObjectLocation location;
  bool operator==(const FreeObject&) const = default;
};
/// Node to node: send the object's bytes; answered by ObjectChunks in order, or by one with an error.
struct FetchObject {
  ObjectLocation location;
  bool operator==(const FetchObject&) const = default;
};
/// Local process to its node: an object of so many bytes finds no room in the arena. Answered by RoomMade.
struct NeedRoom {
  std::uint64_t tag = 0;
  std::uint64_t bytes = 0;
  bool operator==(const NeedRoom&) const = default;
};
struct RoomMade {
  std::uint64_t tag = 0;
  Error error;  // code none: try again
  bool operator==(const RoomMade&) const = default;
};

// ---- copies, and values that outlive who made them (docs/design/copies.md)

/// Owner to its node: the object shall lie on so many nodes. The node asks others to fetch it (PullObject) until it
/// does, also those that join later. Replaces what was said of the ref before; `copies` 0 takes it back.
struct WantCopies {
  RefId ref;
  ObjectLocation location;  // from where it can be fetched
  std::uint32_t copies = 0;
  bool durable = false;         // nodes that end with a driver do not count
  std::vector<NodeId> holders;  // where it lies already
  bool operator==(const WantCopies&) const = default;
};
/// A process to the ref's owner: tell me when the object lies on as many nodes as was asked for. Answered by
/// CopiesHeld.
struct WatchCopies {
  RefId ref;
  bool operator==(const WatchCopies&) const = default;
};
struct CopiesHeld {
  RefId ref;
  std::uint32_t copies = 0;
  Error error;  // code none, or why there are none
  bool operator==(const CopiesHeld&) const = default;
};
/// Local process to its node, and on to the head: own this value, which the asker borrows. Answered by ValueKept once
/// the value does not need the asker's process any more.
struct KeepValue {
  std::uint64_t tag = 0;  // the asker's own
  ProcessId asker;
  Value value;
  std::uint32_t copies = 1;
  bool passing = false;          // the object lies on a node that ends with a driver (that node fills it in)
  std::vector<RefId> contained;  // refs inside the value, all of them the head's
  bool operator==(const KeepValue&) const = default;
};
struct ValueKept {
  std::uint64_t tag = 0;
  RefId ref;
  Value value;  // an error: it was not kept
  bool operator==(const ValueKept&) const = default;
};

struct ObjectChunk {
  ObjectLocation location;
  std::uint64_t offset = 0;
  Bytes bytes;
  Error error;  // code none, or why the object cannot be sent
  bool operator==(const ObjectChunk&) const = default;
};

// ---- deaths and membership
// -------------------------------------------------------------------------------------------

struct ProcessDied {
  ProcessId process;
  ProcessDeath death;
  bool operator==(const ProcessDied&) const = default;
};
struct NodeDied {
  NodeId node;
  std::string reason;
  std::string name{};  // of the node; empty if the sender does not know it
  bool operator==(const NodeDied&) const = default;
};

struct NodeView {
  NodeId node;
  std::string name;     // for people: the host's name
  std::string address;  // "host:port", how other nodes reach it
  Resources total;
  Resources available;
  std::uint32_t queued = 0;  // lease requests that wait there
  std::map<std::string, std::string> labels;
  bool passing = false;  // it ends with a driver
  bool operator==(const NodeView&) const = default;
};

struct JoinCluster {
  NodeView self;
  bool operator==(const JoinCluster&) const = default;
};
struct JoinReply {
  bool accepted = false;
  std::string reason;  // why not
  bool operator==(const JoinReply&) const = default;
};
/// One bundle of a placement group, as the node that set it aside knows it.
struct HeldBundle {
  GroupId group;
  std::uint32_t bundle = 0;
  std::uint32_t attempt = 0;
  bool committed = false;
  bool operator==(const HeldBundle&) const = default;
};
/// A member to a head that was started again: I was a member of the cluster that you keep, and all of it that I hold is
/// this. In place of JoinCluster; answered by JoinReply.
struct RejoinCluster {
  NodeView self;
  NodeId head;                      // that it had
  std::vector<NodeView> members;    // the others, as far as it knows
  std::vector<NodeId> gone;         // whom it was told dead
  std::vector<ClaimName> names;     // of actors that processes here own
  std::vector<CreateGroup> groups;  // that processes here made
  std::vector<HeldBundle> bundles;
  bool operator==(const RejoinCluster&) const = default;
};
/// Node to its processes: the head is another one. What was asked of the one before and not answered is to be asked
/// again.
struct HeadChanged {
  NodeId head;
  bool operator==(const HeadChanged&) const = default;
};
struct LeaveCluster {
  NodeId node;
  bool operator==(const LeaveCluster&) const = default;
};
/// How full the object store of a node is.
struct StoreUse {
  std::uint64_t bytes = 0;  // of objects in memory
  std::uint64_t cap = 0;    // at most
  std::uint64_t spilled_bytes = 0;
  std::uint64_t spilled_objects = 0;
  bool operator==(const StoreUse&) const = default;
};
struct Heartbeat {
  NodeId node;
  Resources available;
  std::uint32_t queued = 0;
  std::vector<JobUse> jobs;
  StoreUse store;
  bool operator==(const Heartbeat&) const = default;
};
/// Head to nodes: all members.
struct ClusterView {
  std::uint64_t version = 0;
  std::vector<NodeView> nodes;
  std::vector<GroupView> groups;
  std::vector<JobUse> jobs;
  bool operator==(const ClusterView&) const = default;
};

// ---- questions of people
// -----------------------------------------------------------------------------------------------

/// Anyone who has the keys to the head: how does the cluster stand? Who asks need not be a member, and does not become
/// one. Answered by StatusReply.
struct StatusRequest {
  bool operator==(const StatusRequest&) const = default;
};
struct MemberStatus {
  NodeView view;
  bool head = false;
  bool connected = true;           // as far as the head's socket tells
  std::int64_t silent_for_ms = 0;  // since the head last heard of it
  StoreUse store;
  bool operator==(const MemberStatus&) const = default;
};
struct GoneStatus {
  NodeId node;
  std::string name;
  std::string reason;
  std::int64_t gone_for_ms = 0;
  bool operator==(const GoneStatus&) const = default;
};
struct StatusReply {
  std::uint64_t view_version = 0;
  std::vector<MemberStatus> members;
  std::vector<GoneStatus> gone;  // the latest first, not all of a long life
  bool operator==(const StatusReply&) const = default;
};

/// The order is the wire's: only append.
using Message = std::variant<
    LeaseRequest, LeaseCancel, LeaseGrant, LeaseRedirect, LeaseRefused, LeaseReturn, LeaseKill, ReclaimIdle, Blocked,
    WorkerBlocked, LeaseRevoke, LeaseReleased, Retire, StayAlive, CancelCall, ReleaseHeld, EndActor, AddBorrow,
    BorrowAck, DropBorrow, Resolve, Resolved, CancelRef, ActorLocate, ActorAt, ActorGone, ActorKill, PullObject,
    ObjectHere, AddCopy, FreeObject, FetchObject, ObjectChunk, ProcessDied, NodeDied, JoinCluster, JoinReply,
    LeaveCluster, Heartbeat, ClusterView, Recycle, ActorExited, StreamConsumed, WaitProbe, ClaimName, ReleaseName,
    FindName, CreateDetached, NameReply, CreateGroup, RemoveGroup, WatchGroup, GroupPlaced, ReserveBundle, BundleReply,
    CommitBundle, ReturnBundle, Why, WhyAnswer, StatusRequest, StatusReply, NeedRoom, RoomMade, CallsSaved, LogCall,
    CallLogged, ObjectLost, WantCopies, WatchCopies, CopiesHeld, KeepValue, ValueKept, RejoinCluster, HeadChanged>;

/// For logs and tests: "LeaseRequest".
const char* name_of(const Message& message);

}  // namespace mobula::wire
