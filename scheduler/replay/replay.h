// What another policy would have made of a recorded load: the leases of a decision log, asked for when and where they
// were and held as long as they were, under any policy of policies.h.
#pragma once

#include <istream>
#include <string>
#include <vector>

#include <mobula/result.h>

#include "scheduler/replay/model.h"
#include "scheduler/view/log.h"

namespace mobula::scheduler {

struct Recording {
  std::vector<NodeView> nodes;
  std::vector<Job> jobs;         // one a lease
  double makespan = 0;           // seconds, as it was
  std::uint64_t unfinished = 0;  // leases without an end: left out
};

/// From the logs of any number of nodes, one after the other. The error names the line.
Result<Recording> read_recording(std::istream& log);

struct ReplayReport {
  double recorded = 0;  // seconds: the log's own makespan
  ModelReport as_was;   // the model with the nodes' policy: how far the model can be trusted is seen against `recorded`
  ModelReport with;     // with the other policy
  double change() const { return as_was.makespan > 0 ? with.makespan / as_was.makespan - 1 : 0; }  // -0.1: 10 % sooner
};
ReplayReport replay(const Recording& recording, const Policy& policy, const ModelOptions& options = {});

}  // namespace mobula::scheduler
