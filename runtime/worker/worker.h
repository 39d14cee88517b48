// The worker: runs calls of tasks one at a time, or is the home of one actor, which may run several. Decides whether a
// call that arrived may run (not cancelled, the right incarnation, never twice), holds the reply back until the refs
// that outlive the call are registered with their owners, and ends the actor.
//
// A state machine like Owner, driven by the serve loop of a worker process:
//
//     take the next call off a lane  ->  room(header)? accept(header) ? run the function : (a reply was sent already)
//     the function ended             ->  finish(...)
//     ready() == false               ->  only messages may be pumped until it is true again
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include <mobula/result.h>

#include "runtime/base/bytes.h"
#include "runtime/base/ids.h"
#include "runtime/base/time.h"
#include "runtime/owner/owner.h"
#include "runtime/wire/envelope.h"
#include "runtime/wire/message.h"

namespace mobula {

/// A call that runs, or whose reply waits. Its address is its name until the reply has left.
struct RunningCall {
  wire::CallHeader header;
  std::uint64_t number = 0;          // in this process, from 1
  std::uint64_t order = 0;           // among the calls of an actor that keeps its state
  std::uint32_t blocked = 0;         // how deep it waits for others
  bool stop = false;                 // cancelled
  bool settling = false;             // it ended; its reply waits for borrows
  bool recycle = false;              // the process shall end after it
  bool exits = false;                // the actor shall end after it
  std::uint32_t items = 0;           // of a stream: the number of the next one
  std::uint32_t consumed = 0;        // of a stream: taken by the caller
  std::vector<RefHandle> waits_for;  // while it waits without a limit of time
  std::size_t needed = 0;            // ... for so many of them
  std::set<std::uint32_t> stuck;     // ... of which these never come, by their place
  std::size_t followed = 0;          // ... where the next round begins
  bool holds_thread = false;         // ... in a blocking get(), so that queued calls wait too
  std::uint64_t wait = 0;            // ... the number of this wait
  Time probe_at{};                   // ... when it is followed next
  void* shell = nullptr;             // the shell's own

  wire::ReplyKind reply_kind = wire::ReplyKind::value_inline;  // while settling, with the three below
  std::uint8_t reply_flags = 0;
  Bytes payload;
  std::vector<RefHandle> contained;  // with a count each
  std::uint64_t settle_token = 0;
};

/// Called from inside the Worker's methods; must not call back into it.
class WorkerSink {
 public:
  virtual void reply(const ProcessId& to, const wire::ReplyHeader& header, std::span<const std::byte> payload,
                     std::span<const RefId> contained) = 0;
  virtual void send(const ProcessId& to, wire::Message&& message) = 0;
  /// This call shall stop: what mobula::stop_token() shows.
  virtual void raise_stop(RunningCall& call) = 0;
  /// The caller has taken items of this stream.
  virtual void stream_room(RunningCall&) {}
  /// The wait of this call can never end, as the error says: it shall fail.
  virtual void deadlock(RunningCall&, Error&&) {}
  /// For the chain that such an error shows.
  virtual std::string name_of_call(const RunningCall& call) { return to_string(call.header.function); }
  /// Destroy the actor's instance. Never while one of its calls runs.
  virtual void destroy_actor() = 0;
  /// End this process, after what was sent has left.
  virtual void exit() = 0;

 protected:
  ~WorkerSink() = default;
};

/// How an actor runs its calls.
struct ActorManners {
  std::uint32_t max_concurrency = 1;
  std::map<std::uint32_t, std::uint32_t> groups;  // by the hash of the name: calls at once
  bool holds_cpu = true;                          // its lease has cpus to lend while it waits
};

class Worker {
 public:
  /// `owner` is the Owner of the same process.
  Worker(ProcessId self, std::string node_name, std::int32_t pid, Owner& owner, WorkerSink& sink);

  /// May the next call be taken off a lane?
  bool ready() const { return !leaving_ && (active_.size() < limit_ || !groups_.empty()); }
  /// May this call begin now? (False only where its concurrency group is full: keep it until a call has ended.)
  bool room(const wire::CallHeader& header) const;

  /// The call, which the shell runs now and then finishes. Null: it was answered.
  RunningCall* accept(const wire::CallHeader& header, Time now);

  /// The call ended. `kind` is value_inline, value_object, values, error or argument_lost; `payload` as ReplyHeader
  /// says; `flags` are those of the reply; `contained` are the handles inside the value (their counts stay the
  /// caller's). For actor_create, the value is empty.
  void finish(RunningCall& call, wire::ReplyKind kind, std::span<const std::byte> payload,
              std::span<const RefHandle> contained, Time now, std::uint8_t flags = 0);

  /// The next item of a call that is a stream: item_inline or item_object. Items that the caller has from an earlier
  /// attempt are not sent again.
  void item(RunningCall& call, wire::ReplyKind kind, std::span<const std::byte> payload,
            std::span<const RefHandle> contained);

  /// The shell saw the stop flag of the call before the message that says so: the same as CancelCall.
  void stop(RunningCall& call, bool recursive, Time now);

  /// The call starts or ends waiting for others. Waits may nest: only the outermost counts.
  void block(RunningCall& call);
  void unblock(RunningCall& call);

  /// The call waits until so many of these refs are there (of a stream: an item, or its end); or no longer.
  /// `holds_thread`: no queued call can begin meanwhile. Waits that last are followed from process to process; one that
  /// comes back to itself, so that it can never end, ends in sink.deadlock().
  void wait_begins(RunningCall& call, std::span<const RefHandle> refs, std::size_t needed, bool holds_thread, Time now);
  void wait_begins(RunningCall& call, RefHandle ref, bool holds_thread, Time now) {
    wait_begins(call, std::span(&ref, 1), 1, holds_thread, now);
  }
  void wait_ends(RunningCall& call) { call.waits_for.clear(); }
  void on_timer(Time now);
  Time next_timer() const { return probe_at_; }

  /// Before finish(): this process takes no further call, and ends once nobody needs what it owns. (Of a task.)
  void recycle(RunningCall& call) { call.recycle = true; }
  /// Before finish(): the actor ends once its running calls have ended; it does not restart.
  void exit_actor(RunningCall& call) { call.exits = true; }
  /// Of the actor whose constructor runs.
  void set_manners(const ActorManners& manners);

  /// False if the message is not for a worker. Give every message to the Owner first, then here; BorrowAcks reach both.
  bool on_message(const ProcessId& from, const wire::Message& message, Time now);
  /// After the Owner took any input: sends what waited for it.
  void after_owner_step(Time now);
  void on_process_died(const ProcessId& process, Time now);
  void on_node_died(NodeId node, Time now);

  // ---- looking at it
  bool running() const { return !active_.empty(); }
  const std::vector<RunningCall*>& active() const { return active_; }
  RunningCall* find(const ProcessId& caller, std::uint32_t index, std::uint32_t generation,
                    std::uint32_t attempt) const;
  bool has_actor() const { return static_cast<bool>(actor_); }
  std::uint32_t incarnation() const { return incarnation_; }
  std::uint32_t max_concurrency() const { return limit_; }

 private:
  struct Cancelled {
    ProcessId caller;
    std::uint32_t index, generation, attempt;
    bool operator==(const Cancelled&) const = default;
  };

  void answer(const wire::CallHeader& header, wire::ReplyKind kind, std::span<const std::byte> payload = {},
              std::uint8_t flags = 0, std::uint32_t item = 0, std::uint64_t order = 0);
  void remember_made(const wire::CallHeader& header, std::span<const std::byte> location);
  void send_reply(RunningCall& call, Time now);
  void ended(RunningCall& call, Time now);
  void rest(Time now);
  void end_actor(Time now);
  void tell_blocked(const RunningCall& call);
  void leave_if_free();
  void on_probe(const wire::WaitProbe& probe, Time now);
  /// Of the refs that a call waits for, those that are not there; whether it needs them all.
  struct Missing {
    std::vector<std::uint32_t> places;
    bool all = false;
    std::size_t spare = 0;  // so many of them may never come
  };
  Missing missing(const RunningCall& call) const;
  void follow(RunningCall& call, wire::WaitProbe&& probe, Time now);
  void give_way(RunningCall& call, const wire::WaitProbe& probe);
  void confirm(const wire::WaitProbe& probe);
  Error error(ErrorCode code, std::string message) const;

  const ProcessId self_;
  const std::string node_name_;
  const std::int32_t pid_;
  Owner& owner_;
  WorkerSink& sink_;

  std::vector<std::unique_ptr<RunningCall>> calls_;  // all there ever were at once
  std::vector<RunningCall*> free_;
  std::vector<RunningCall*> active_;  // in the order in which they began
  std::size_t blocked_ = 0;           // of them: wait for others
  std::size_t settling_ = 0;          // ... have ended, but for their reply
  std::uint64_t call_number_ = 0;
  bool leaving_ = false;    // no call is taken any more
  bool recycling_ = false;  // leaving, once the owner is idle
  bool exited_ = false;

  ActorId actor_;
  std::uint32_t incarnation_ = 0;
  bool logged_ = false;             // its calls are numbered, for it keeps its state
  std::uint64_t order_ = 0;         // of the latest call
  std::vector<RefId> since_saved_;  // calls of others than its owner
  LeaseId actor_lease_;
  bool actor_ending_ = false;  // nobody has a handle any more
  bool actor_exits_ = false;   // by itself
  std::uint32_t limit_ = 1;
  std::map<std::uint32_t, std::pair<std::uint32_t, std::uint32_t>> groups_;  // limit, running; 0: calls of no group
  bool holds_cpu_ = true;
  bool told_blocked_ = false;
  std::uint64_t waits_ = 0;
  Time probe_at_ = never;
  // Per caller and concurrency group (in which calls keep their order), in this incarnation.
  std::map<std::pair<ProcessId, std::uint32_t>, std::uint64_t> last_sequence_;

  // The latest objects that were sent as results. A caller that dies with the reply unread leaves nobody to free them.
  std::deque<std::pair<ProcessId, wire::ObjectLocation>> made_;

  std::vector<Cancelled> cancelled_early_;  // cancellations that overtook their calls
  std::vector<LeaseId> revoked_;            // of calls that run
  std::vector<LeaseId> dead_leases_;
};

}  // namespace mobula
