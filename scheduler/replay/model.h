// A cluster made of numbers: nodes, jobs that submit many equal tasks, and the rules by which owners ask for leases and
// nodes decide, over virtual time. Small enough that a thousand nodes and a million tasks take seconds; what it leaves
// out (processes, messages that are lost, the memory of objects) the simulator of runtime/sim has.
//
// Modelled as in production: an owner asks its own node, for at most so many leases at a time; a lease is kept while
// its owner has tasks left; nodes decide by an exact view of themselves and one of the others that is as old as the
// head's broadcasts; who was sent to a node that is full waits there, and after a while goes on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scheduler/policies/policy.h"

namespace mobula::scheduler {

struct Job {
  double at = 0;    // seconds: when it is submitted
  NodeId home;      // the owner's node
  Request request;  // of each task
  std::uint64_t tasks = 1;
  double seconds = 1;  // of each task
};

struct ModelOptions {
  Decide policy = nullptr;      // for what has no placement of its own; null: the default
  double hop = 0.0002;          // seconds from node to node
  double view_interval = 0.1;   // seconds between broadcasts of the view
  double restless = 0.1;        // seconds that a request which was sent to a full node waits before it may go on
  std::uint32_t requests = 64;  // unanswered ones of one owner
};

struct ModelReport {
  double makespan = 0;      // seconds from the first submission to the last end
  double utilisation = 0;   // cpu-seconds used of those that there were until then
  std::uint64_t tasks = 0;  // that ended; less than submitted if some fit nowhere
  std::uint64_t decisions = 0;
  std::uint64_t redirects = 0;
  std::uint64_t moves = 0;  // of requests that had been sent to a node that was full
};

/// Deterministic. `nodes` with what they have in `total`.
ModelReport run_model(const std::vector<NodeView>& nodes, std::vector<Job> jobs, const ModelOptions& options = {});

}  // namespace mobula::scheduler
