#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "runtime/daemon/node_loop.h"

namespace mobula::daemon {

struct ServeResult {
  NodeLoop::End end = NodeLoop::End::stopped;
  std::string reason;
};

// The life of `mobula head` and `mobula node`: a NodeLoop on the calling thread until SIGINT, SIGTERM or SIGHUP (also
// where they were inherited as ignored), or until the head refuses it. A node that the head has given up comes back as
// a new one. `started` is called each time, before anything arrives. Throws TaskError if the node cannot be started.
ServeResult serve(const NodeLoopOptions& options, const std::function<void(NodeLoop&)>& started);

// The cpus that this process may run on.
std::uint32_t usable_cpus();

}  // namespace mobula::daemon
