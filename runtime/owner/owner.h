// The owner: every process that submits work has one. It owns the results of its tasks and its actors, keeps specs for
// retries, holds leases on workers, counts references, and borrows what other processes own.
//
// A state machine: no socket, clock, thread or file. Inputs are its methods, actions go to the OwnerSink. Not
// synchronised: the shell's one mutex guards it, per call of a method.
//
// Assumptions (see docs/design/reliable-links.md): messages and replies of one process arrive in order and once; what a
// process sent before it died arrives before on_process_died. Rule: every submitted call ends exactly once, in a value
// or in an Error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <mobula/result.h>

#include "runtime/base/ids.h"
#include "runtime/base/time.h"
#include "runtime/owner/owner_sink.h"
#include "runtime/owner/specs.h"
#include "runtime/wire/envelope.h"
#include "runtime/wire/message.h"

namespace mobula {

struct OwnerOptions {
  wire::Program program;                  // whose functions are called
  std::string node_name;                  // for errors
  std::uint64_t job = 0;                  // whose share all of it counts to; 0: the node knows (a worker's)
  std::uint32_t pipeline_depth = 256;     // calls in flight on a local lease
  std::uint32_t max_lease_requests = 64;  // unanswered ones per scheduling class
  Duration idle_lease_keep = std::chrono::milliseconds(100);
  std::uint64_t lineage_bytes = 64 << 20;  // of ended calls that are kept to make lost results again
};

/// What an error of that kind says, here and where it is thrown at once.
std::string too_many_calls(std::uint32_t limit);

enum class RefState : std::uint8_t { pending, inline_value, object, error };

/// What is known of a ref. A view: valid until the next call of a method of the Owner.
struct RefView {
  RefState state = RefState::pending;
  std::span<const std::byte> bytes;  // inline_value
  wire::ObjectLocation location;     // object; on the local node once localize() completed
  const Error* error = nullptr;      // error; of an object: why localize() failed, if it did and may not the next time
};

class Owner {
 public:
  Owner(ProcessId self, OwnerOptions options, OwnerSink& sink);
  ~Owner();
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;

  // ---- submitting. Each returned handle carries one count, to be given back by release().

  /// The number of these options, for TaskSpec::task_class. Equal options give equal numbers. Not for the fast path.
  TaskClass task_class(const TaskOptions& options);

  /// With spec.results above 1, `more` gets the handles of all results but the first. All end together; cancelling one
  /// cancels the task.
  RefHandle submit(TaskSpec&& spec, Time now, std::vector<RefHandle>* more = nullptr);
  RefHandle create_actor(ActorSpec&& spec, Time now);
  /// Calls of one process on one actor run in the order of these calls (unless the actor is unordered).
  RefHandle call(RefHandle actor, TaskSpec&& spec, Time now, std::vector<RefHandle>* more = nullptr);
  /// False if the actor is known to have as many calls of this process pending as it allows.
  bool has_room_for_call(RefHandle actor) const;
  std::uint32_t max_pending_calls(RefHandle actor) const;  // 0: no limit, or not known

  // ---- names (docs/guide/placement.md). Answers come as NameReply with the tag; take_name_reply gives it once.

  /// create_actor, but it begins only if the head gives it its name (options.registered); else release it.
  RefHandle create_named_actor(ActorSpec&& spec, std::uint64_t& tag, Time now);
  std::uint64_t find_actor(const wire::ActorName& name);
  std::uint64_t create_detached(wire::CreateDetached&& wanted);
  std::optional<wire::NameReply> take_name_reply(std::uint64_t tag);
  /// A handle of an actor that was found, with one count; its owner is told at once.
  RefHandle adopt_actor(const ActorId& actor);
  /// A value that is known: inline bytes, or a location in the local node's arena (then freed with the last count).
  /// An object is copied until it lies on so many nodes.
  RefHandle put(wire::Value&& value, std::vector<RefHandle> contained = {}, std::uint32_t copies = 1);
  /// On how many nodes the object lies, once these are as many as was asked for (of inline values: 1); none before.
  /// sink.ready(ref) follows when it is worth asking again.
  std::optional<Result<std::uint32_t>> take_copies(RefHandle ref);
  /// Gives a value to the head's owner, so that it outlives this process (docs/design/copies.md). take_kept gives the
  /// handle of it once, a borrowed one with one count; none before the answer.
  std::uint64_t keep_value(wire::KeepValue&& wanted);
  std::optional<Result<RefHandle>> take_kept(std::uint64_t tag);

  /// Calls submitted from now on are nested at this depth (tasks of a driver: 1) and are children of `parent` (any
  /// number but 0), so that cancel_children finds them. The worker machine sets it around a call.
  void set_context(std::uint32_t depth, std::uint64_t parent);

  // ---- why something waits. Answers are lines for people, collected by number until nobody is left to answer.

  /// What is known here of the ref or actor, and what its owner, or the nodes that were asked for workers, say to it.
  std::uint64_t ask_why(RefHandle ref, Time now);
  /// Of a ref ("n5f3a/3.1#17.2"), or of tasks and actors of this name, anywhere in the cluster.
  std::uint64_t ask_why(const std::string& subject);
  /// The lines, if all have answered, or (`late`) what there is so far.
  std::optional<std::vector<std::string>> take_why(std::uint64_t question, bool late);

  // ---- placement groups, which the head keeps

  wire::GroupId create_group(wire::CreateGroup&& wanted);
  void remove_group(const wire::GroupId& group);
  /// Asks; take_group gives the answer, once the group is placed or can never be.
  void watch_group(const wire::GroupId& group);
  std::optional<wire::GroupPlaced> take_group(const wire::GroupId& group);

  // ---- references

  void retain(RefHandle ref);
  void release(RefHandle ref, Time now);
  RefId id(RefHandle ref) const;
  bool is_actor(RefHandle ref) const;
  bool owned(RefHandle ref) const;
  /// For a RefId (or ActorId::ref(), with `actor`) found in a value: a handle with one count. While it is not
  /// registered with its owner it is alive because of `cover` (the ref whose value contains it; retained until
  /// registered), or, without cover, because of the running call's spec: see settle_borrows. Outside a call: give a
  /// cover.
  RefHandle borrow(const RefId& ref, bool actor, RefHandle cover = {});
  RefView view(RefHandle ref) const;
  /// Refs inside an owned value (put or returned), which live as long as it does.
  std::span<const RefHandle> contained(RefHandle ref) const;
  /// sink.ready(ref) follows once it is not pending (at once, from inside, if it is so already). Asks a borrowed ref's
  /// owner.
  void watch(RefHandle ref);
  void unwatch(RefHandle ref);
  /// Brings an object that lies on another node to the local node's arena; sink.ready(ref) follows. False if nothing is
  /// to be done (not an object, or here already).
  bool localize(RefHandle ref);

  // ---- streams: the ref of a task or call whose spec says so. Pending while it runs, then empty or an error.
  // Releasing it cancels the call and frees what was not taken.

  /// The next item, with one count; none if there is none now. Lets the call make further ones.
  RefHandle next(RefHandle stream);

  // ---- ending things

  struct Cancel {
    bool force = false;           // also kill the worker that runs it (of a task; an actor's call is only asked)
    bool recursive = true;        // also what it submitted
    Duration grace = never_kill;  // kill the worker if the task still runs then
    static constexpr Duration never_kill{-1};
  };
  /// A finished ref is left as it is.
  void cancel(RefHandle ref, const Cancel& how, Time now);
  void cancel_children(std::uint64_t parent, Time now);
  /// Kills the actor's process; it is not restarted. Calls in flight and later ones end in actor_died.
  void kill(RefHandle actor, Time now);

  // ---- borrowing at a call's end (worker machine)

  /// Registers with their owners all refs that were borrowed without cover and are still held. 0 if none is left to
  /// wait for; else borrows_settled() of this number turns true after the acknowledgements.
  std::uint64_t settle_borrows();
  bool borrows_settled(std::uint64_t token) const;
  /// Keeps the refs of a result (or an item) that was sent to `caller` alive until it says ReleaseHeld, or dies.
  void hold_for(const ProcessId& caller, std::uint32_t index, std::uint32_t generation, std::uint32_t attempt,
                std::uint32_t item, std::span<const RefHandle> refs);

  /// Follows the wait for probe.ref to what makes it, wherever that is: a step of the search for deadlocks.
  void follow_wait(wire::WaitProbe&& probe, Time now);

  // ---- inputs

  void on_reply(const ProcessId& from, const wire::ReplyHeader& header, std::span<const std::byte> payload,
                std::span<const RefId> contained, Time now);
  /// False if the message is not for an owner (the shell tries the worker machine next).
  bool on_message(const ProcessId& from, const wire::Message& message, Time now);
  /// Told again, which is right when something was sent there after all, it ends what followed from that; the story
  /// that knows the process's pid stands.
  void on_process_died(const ProcessId& process, const wire::ProcessDeath& death, Time now);
  void on_node_died(NodeId node, const std::string& reason, Time now, const std::string& name = {});
  /// A lane that was full has room again.
  void on_room(const ProcessId& worker, Time now);
  void on_timer(Time now);
  /// When on_timer wants to be called next.
  Time next_timer() const;

  // ---- looking at it

  struct Counts {
    std::size_t owned = 0, borrowed = 0, tasks = 0, leases = 0, lease_requests = 0, held = 0;
    bool operator==(const Counts&) const = default;
  };
  Counts counts() const;
  /// Its end, or that of its node, was told.
  bool is_dead(const ProcessId& process) const;
  /// Nobody needs this process for what it owns, borrows or waits for.
  bool idle() const;
  const ProcessId& self() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mobula
