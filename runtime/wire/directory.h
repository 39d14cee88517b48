// Names of actors, and questions: what processes ask the head, through their nodes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <mobula/result.h>

#include "runtime/base/bytes.h"
#include "runtime/base/ids.h"
#include "runtime/base/resources.h"
#include "runtime/wire/placement.h"
#include "runtime/wire/program.h"

namespace mobula::wire {

/// The namespace that every job sees, after its own: that of detached actors which were given none.
inline constexpr const char* shared_space = "cluster";
/// Of a job that did not say otherwise.
std::string space_of_job(std::uint64_t job);

struct ActorName {
  std::string space;
  std::string name;
  auto operator<=>(const ActorName&) const = default;
};

/// "This actor is to be known by this name": answered by NameReply, with this actor, or with who has the name.
struct ClaimName {
  std::uint64_t tag = 0;  // the asker's own
  ActorName name;         // space empty: the job's own (the node fills it in)
  ActorId actor;
  std::string type;  // of the object, as the compiler spells it
  Program program;   // whose code the actor runs
  bool operator==(const ClaimName&) const = default;
};
/// The actor ended. Ignored if the name is another's by now.
struct ReleaseName {
  ActorName name;
  ActorId actor;
  bool operator==(const ReleaseName&) const = default;
};
/// Answered by NameReply.
struct FindName {
  std::uint64_t tag = 0;
  ProcessId asker;
  ActorName name;
  bool operator==(const FindName&) const = default;
};
/// Makes an actor that the head's process owns, so that it outlives the asker. Answered by NameReply.
struct CreateDetached {
  std::uint64_t tag = 0;
  ProcessId asker;
  ActorName name;
  FunctionId constructor;
  std::string type;
  std::string title;       // for people
  std::uint8_t flags = 0;  // of the call: travel to the worker untouched
  Bytes args;
  Program program;
  std::int32_t max_restarts = 0;
  std::int32_t max_call_retries = 0;
  Resources resources;
  Placement placement;
  std::int32_t priority = 0;
  std::uint32_t checkpoint_every = 0;     // of an actor that keeps its state (flags: call_logged)
  std::int64_t checkpoint_period_ns = 0;  // ... 0: no limit of time
  bool operator==(const CreateDetached&) const = default;
};
struct NameReply {
  std::uint64_t tag = 0;
  ActorName name;  // as it was claimed or found, with its namespace
  ActorId actor;   // who has the name now, perhaps with an error that says that it was taken; empty: nobody
  std::string type;
  Program program;
  Error error;
  bool operator==(const NameReply&) const = default;
};

/// What is this ref, task or actor waiting for? Asked by a process of its node, and handed on: to the head, to the
/// owner of a ref, to nodes that were asked for leases. Every one who was asked gives one WhyAnswer.
struct Why {
  std::uint64_t id = 0;   // the asker's own
  ProcessId asker;        // whom to answer
  std::string subject;    // "n5f3a/3.1#17.2", or the name of a task or an actor
  std::uint64_t tag = 0;  // with `owner`: of the lease requests that are meant
  ProcessId owner;        // to the node where they wait: whose they are; empty: the subject is meant
  bool all = false;       // from the head to a node: every process there is to answer
  bool operator==(const Why&) const = default;
};
struct WhyAnswer {
  std::uint64_t id = 0;
  std::vector<std::string> lines;
  std::uint32_t more = 0;  // further answers that will come of this question
  bool operator==(const WhyAnswer&) const = default;
};

}  // namespace mobula::wire
