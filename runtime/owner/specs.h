// What is submitted: tasks, actors and their calls, and the options they share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <mobula/options.h>

#include "runtime/base/bytes.h"
#include "runtime/base/resources.h"
#include "runtime/base/time.h"
#include "runtime/owner/owner_sink.h"
#include "runtime/wire/message.h"

namespace mobula {

/// Options of a kind of task. Interned once (Owner::task_class), so that a call carries a number.
struct TaskOptions {
  std::string name;              // for people; empty: the function's own
  std::int32_t max_retries = 3;  // after deaths of workers and nodes; -1: without end
  Backoff backoff{};             // between attempts
  Resources resources = Resources::cpus(1);
  wire::Placement placement{};
  std::int32_t priority = 0;       // higher ones first
  bool preemptible = false;        // may be killed for a higher priority; then it runs again, whatever max_retries says
  std::uint64_t surroundings = 0;  // what it asks of its process; tasks that differ in it do not share leases
  std::uint32_t copies = 1;        // nodes on which its results shall lie, if they are objects
  NodeId near{};                   // the Owner's own: where most bytes of the arguments lie, if that is elsewhere
  bool operator==(const TaskOptions&) const = default;
};
using TaskClass = std::uint32_t;

/// One call of a function. Arguments are encoded; those that are refs to values are `deps`, in their order.
struct TaskSpec {
  FunctionId function;
  TaskClass task_class = 0;  // 0: default options
  std::uint8_t flags = 0;    // travels to the worker untouched
  bool stream = false;       // its results are items, taken by Owner::next
  std::uint32_t results = 1;
  std::uint32_t window = 1;  // of a stream: items that may be made before one is taken
  std::uint32_t group = 0;   // of an actor call: hash of its concurrency group's name
  Bytes args;
  std::vector<RefHandle> deps;       // waited for; shipped with the call
  std::vector<RefHandle> contained;  // refs and actor handles inside args: kept until the call ended
};

struct ActorOptions {
  std::string name;
  std::int32_t max_restarts = 0;        // -1: without end
  std::int32_t max_call_retries = 0;    // calls in flight at a death run again: at least once instead of at most once
  std::uint32_t max_pending_calls = 0;  // of one caller, not ended; 0: no limit
  bool unordered = false;               // a call whose arguments are not there yet does not hold back later ones
  Resources resources = Resources::cpus(1);
  wire::Placement placement{};
  std::int32_t priority = 0;
  wire::Program program{};       // whose code it is; path empty: the owner's own
  wire::ActorName registered{};  // in the head's directory; released when the actor ends
  std::string type{};            // for the directory
  // It can save and load its state, and restarts resume from there: a checkpoint is taken after so many logged calls,
  // or so long after the first of them.
  bool keeps_state = false;
  std::uint32_t checkpoint_every = 100;
  Duration checkpoint_period = std::chrono::seconds(1);  // 0: only by number
};

/// The constructor's call is kept for restarts, with the refs it needs.
struct ActorSpec {
  FunctionId constructor;
  std::uint8_t flags = 0;
  Bytes args;
  std::vector<RefHandle> deps;
  std::vector<RefHandle> contained;
  ActorOptions options;
};

}  // namespace mobula
