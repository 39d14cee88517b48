#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "runtime/base/ids.h"
#include "runtime/net/segment.h"
#include "runtime/process/worker_start.h"

namespace mobula::daemon {

// What a node tells all its workers, through the zygote's descriptors and options.
struct WorkerSetup {
  NodeId node;
  pid_t node_pid = 0;
  std::string node_name;
  std::string log_level;
  net::SegmentDescriptors segment;
  int arena = -1;
};

// The node's end: what Zygote::start gets.
std::vector<int> worker_descriptors(const WorkerSetup& setup);
std::string worker_options(const WorkerSetup& setup);

// The worker's end. Throws std::runtime_error if it is not what a node of this build writes.
WorkerSetup read_worker_setup(const process::WorkerStart& start);

}  // namespace mobula::daemon
