#include "runtime/daemon/worker_setup.h"

#include <fmt/format.h>

#include <sstream>
#include <stdexcept>

namespace mobula::daemon {

std::vector<int> worker_descriptors(const WorkerSetup& setup) {
  return {setup.segment.memory, setup.segment.doorbells[0], setup.segment.doorbells[1], setup.arena};
}

std::string worker_options(const WorkerSetup& setup) {
  // The name is last: it may hold spaces.
  return fmt::format("{} {} {} {}", setup.node.value, setup.node_pid, setup.log_level, setup.node_name);
}

WorkerSetup read_worker_setup(const process::WorkerStart& start) {
  WorkerSetup setup;
  std::istringstream options{std::string(start.options)};
  options >> setup.node.value >> setup.node_pid >> setup.log_level;
  options.get();
  std::getline(options, setup.node_name);
  if (start.fds.size() != 4 || options.bad() || !setup.node) {
    throw std::runtime_error(fmt::format(
        "a worker was started with {} descriptors and the options \"{}\", which no node of this build writes",
        start.fds.size(), start.options));
  }
  setup.segment = {.memory = start.fds[0], .doorbells = {start.fds[1], start.fds[2]}};
  setup.arena = start.fds[3];
  return setup;
}

}  // namespace mobula::daemon
