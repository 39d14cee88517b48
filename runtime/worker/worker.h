// The worker: runs one call at a time, or is the home of one actor. Decides whether a call that arrived may run (not
// cancelled, the right incarnation, never twice), holds the reply back until the refs that outlive the call are
// registered with their owners, and ends the actor.
//
// A state machine like Owner, driven by the serve loop of a worker process:
//
//     take the next call off a lane  ->  accept(header) ? run the function : (a reply was sent already)
//     the function ended             ->  finish(...)
//     ready() == false               ->  only messages may be pumped until it is true again
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
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

/// Called from inside the Worker's methods; must not call back into it.
class WorkerSink {
 public:
  virtual void reply(const ProcessId& to, const wire::ReplyHeader& header, std::span<const std::byte> payload,
                     std::span<const RefId> contained) = 0;
  virtual void send(const ProcessId& to, wire::Message&& message) = 0;
  /// The running call shall stop: what mobula::stop_token() shows.
  virtual void raise_stop() = 0;
  /// Destroy the actor's instance. Never while one of its calls runs.
  virtual void destroy_actor() = 0;
  /// End this process, after what was sent has left.
  virtual void exit() = 0;

 protected:
  ~WorkerSink() = default;
};

class Worker {
 public:
  /// `owner` is the Owner of the same process.
  Worker(ProcessId self, std::string node_name, std::int32_t pid, Owner& owner, WorkerSink& sink);

  /// May the next call be taken off a lane?
  bool ready() const { return state_ == State::idle && !exiting_; }

  /// True: the shell runs it now, then calls finish. False: it was answered.
  bool accept(const wire::CallHeader& header, Time now);

  /// The call that runs ended. `kind` is value_inline, value_object or error; `payload` as ReplyHeader says;
  /// `contained` are the handles inside the value (their counts stay the caller's). For actor_create, the value is
  /// empty.
  void finish(wire::ReplyKind kind, std::span<const std::byte> payload, std::span<const RefHandle> contained, Time now);

  /// The shell saw the stop flag of the call that runs before the message that says so: the same as CancelCall.
  void stop(Time now);

  /// The call that runs starts or ends waiting for others. Calls may nest: only the outermost counts.
  void block();
  void unblock();

  /// False if the message is not for a worker. Give every message to the Owner first, then here; BorrowAcks reach both.
  bool on_message(const ProcessId& from, const wire::Message& message, Time now);
  /// After the Owner took any input: sends what waited for it.
  void after_owner_step(Time now);
  void on_process_died(const ProcessId& process, Time now);
  void on_node_died(NodeId node, Time now);

  // ---- looking at it
  bool running() const { return state_ == State::running; }
  bool stop_requested() const { return stop_; }
  bool has_actor() const { return static_cast<bool>(actor_); }
  std::uint32_t incarnation() const { return incarnation_; }
  const wire::CallHeader& current() const { return call_; }

 private:
  enum class State : std::uint8_t { idle, running, settling };
  struct Cancelled {
    ProcessId caller;
    std::uint32_t index, generation, attempt;
    bool operator==(const Cancelled&) const = default;
  };

  void answer(const wire::CallHeader& header, wire::ReplyKind kind, std::span<const std::byte> payload = {});
  void send_reply(Time now);
  void become_idle(Time now);
  void end_actor(Time now);
  Error error(ErrorCode code, std::string message) const;

  const ProcessId self_;
  const std::string node_name_;
  const std::int32_t pid_;
  Owner& owner_;
  WorkerSink& sink_;

  State state_ = State::idle;
  bool stop_ = false;
  bool exiting_ = false;
  std::uint32_t blocked_ = 0;
  std::uint64_t call_number_ = 0;
  wire::CallHeader call_;
  wire::ReplyKind reply_kind_ = wire::ReplyKind::value_inline;
  Bytes reply_payload_;                     // only while settling
  std::vector<RefHandle> reply_contained_;  // with a count each, while settling

  ActorId actor_;
  std::uint32_t incarnation_ = 0;
  LeaseId actor_lease_;
  bool actor_ending_ = false;
  std::map<ProcessId, std::uint64_t> last_sequence_;  // per caller, in this incarnation

  // The latest objects that were sent as results. A caller that dies with the reply unread leaves nobody to free them.
  std::deque<std::pair<ProcessId, wire::ObjectLocation>> made_;

  std::vector<Cancelled> cancelled_early_;  // cancellations that overtook their calls
  std::optional<wire::LeaseRevoke> revoked_;
  std::vector<LeaseId> dead_leases_;
};

}  // namespace mobula
