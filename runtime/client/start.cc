#include <mobula/runtime.h>

#include <sched.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "runtime/client/context.h"
#include "runtime/client/driver.h"
#include "runtime/client/in_process.h"
#include "runtime/client/worker_process.h"
#include "runtime/daemon/address_file.h"
#include "runtime/process/worker_start.h"

namespace mobula {
namespace {

// How long the file of an address may take to appear.
constexpr Duration file_patience = std::chrono::seconds(10);

[[noreturn]] void refuse(std::string message) {
  throw TaskError({.code = ErrorCode::invalid, .message = "Runtime::start: " + std::move(message)});
}

int available_cpus() {
  cpu_set_t cpus;
  return sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? std::max(1, CPU_COUNT(&cpus)) : 1;
}

std::string given_or(const std::string& option, const char* variable) {
  const char* const value = std::getenv(variable);
  return option.empty() && value != nullptr ? value : option;
}

void check(const StartOptions& options) {
  static constexpr std::array<std::string_view, 5> levels{"debug", "info", "warning", "error", "off"};
  if (options.workers && (*options.workers < 0 || *options.workers > 1000)) {
    refuse(
        fmt::format("workers = {}; give the number of worker slots of this machine (at most 1000), or 0 to run "
                    "everything in this process",
                    *options.workers));
  }
  if (std::ranges::find(levels, options.log_level) == levels.end()) {
    refuse(fmt::format("log_level = \"{}\"; use debug, info, warning, error or off", options.log_level));
  }
  if (!(options.memory_threshold > 0 && options.memory_threshold <= 1)) {
    refuse(
        fmt::format("memory_threshold = {:g}; give the part of the memory in use from which on tasks are killed, "
                    "above 0 and at most 1",
                    options.memory_threshold));
  }
  if (options.memory_check.count() < 0) refuse("memory_check must be zero (never) or more");
  if (options.node_timeout.count() <= 0) refuse("node_timeout must be above zero");
}

}  // namespace

void init(int argc, char** argv) {
  process::init_zygote_if_marked(argc, argv, &client::WorkerProcess::main);
}

Runtime Runtime::start(const StartOptions& options) {
  if (!process::initialised()) {
    refuse(
        "mobula::init(argc, argv) was not called; make it the first line of main (worker processes are this program "
        "executed again, and init is where they begin)");
  }
  check(options);
  const auto head = daemon::head_at(given_or(options.address, "MOBULA_ADDRESS"), given_or(options.keys, "MOBULA_KEYS"),
                                    file_patience);
  if (!head) refuse(head.error().message);
  const std::string& address = head->address;
  const int workers = options.workers.value_or(address.empty() ? available_cpus() : 0);
  if (workers == 0 && address.empty()) return Runtime(*client::InProcessCore::start(), true);
  if (client::TaskScope::core() != nullptr) {
    refuse("this is a task; inside of tasks the runtime that runs them is Runtime::current()");
  }
  return Runtime(*client::DriverCore::start({.cpus = static_cast<std::uint32_t>(workers),
                                             .resources = {options.gpus, options.memory, options.resources},
                                             .address = address,
                                             .keys = head->keys,
                                             .trusted_network = given_or({}, "MOBULA_TRUSTED_NETWORK") == "1",
                                             .name = options.name,
                                             .object_memory = options.object_memory.value_or(0),
                                             .log_level = options.log_level,
                                             .node_timeout = options.node_timeout,
                                             .labels = options.labels,
                                             .decision_log = options.decision_log,
                                             .spill_directory = options.spill_directory,
                                             .memory_threshold = options.memory_threshold,
                                             .memory_check = options.memory_check},
                                            options.lineage_memory),
                 true);
}

}  // namespace mobula
