#include "cli/cluster.h"

#include <fmt/format.h>

#include <filesystem>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "runtime/daemon/private_folder.h"

namespace mobula::cli {

void add_cluster_options(CLI::App& app, ClusterOptions& options) {
  app.add_option("--address", options.address,
                 "Work on the cluster of this `mobula head`, or of the one that wrote this --address-file")
      ->type_name("HOST:PORT|@FILE")
      ->envname("MOBULA_ADDRESS");
  app.add_option("--keys", options.keys,
                 "Copy of the file that `mobula head` wrote; needed with an address that is not @FILE")
      ->type_name("FILE")
      ->envname("MOBULA_KEYS");
}

void add_trusted_network(CLI::App& app, bool& trusted) {
  app.add_flag(
      "--trusted-network", trusted,
      "Large objects travel without encryption to and from nodes that say so too; for networks on which nobody "
      "else can listen");
}

void add_member_options(CLI::App& app, MemberOptions& options) {
  app.add_option("--address-file", options.address_file,
                 "Write the address here once others can use it, for --join @FILE, --address @FILE and `mobula stop`")
      ->type_name("FILE");
  app.add_option_function<std::vector<std::string>>(
         "--label",
         [&options](const std::vector<std::string>& given) {
           for (const std::string& label : given) {
             const std::size_t equal = label.find('=');
             if (equal == 0 || equal == std::string::npos) {
               throw CLI::ValidationError("--label", fmt::format("'{}' is not KEY=VALUE, as in zone=a", label));
             }
             options.labels[label.substr(0, equal)] = label.substr(equal + 1);
           }
         },
         "Label of this node, which tasks and actors may ask for; may be given again")
      ->type_name("KEY=VALUE");
  app.add_option("--decision-log", options.decision_log,
                 "Append every scheduling decision of this node, for `mobula replay`")
      ->type_name("FILE");
  app.add_option("--object-memory", options.object_memory,
                 "Most bytes of large values in memory, or 8GB; default: 30 % of what is available")
      ->transform(CLI::AsSizeValue(false))
      ->type_name("BYTES");
  app.add_option_function<std::string>(
         "--spill-dir", [&options](const std::string& folder) { options.spill_directory = folder; },
         "Where large values go that find no room in memory; '' for nowhere; default: a folder for temporary files")
      ->type_name("FOLDER")
      ->expected(1);
  app.add_option_function<std::string>(
         "--program-cache", [&options](const std::string& folder) { options.program_cache = folder; },
         "Where programs are kept that come from other machines; '' to run none that is not installed here; default: "
         "the user's cache")
      ->type_name("FOLDER")
      ->expected(1);
  app.add_option("--memory-threshold", options.memory_threshold,
                 "Part of the memory in use from which on tasks are killed before the kernel does it; 1: never")
      ->check(number_in(0.01, 1))
      ->capture_default_str();
}

void set_member_options(const MemberOptions& options, daemon::NodeLoopOptions& loop) {
  loop.labels = options.labels;
  loop.decision_log = options.decision_log;
  loop.object_memory = options.object_memory;
  loop.spill_directory = options.spill_directory;
  loop.program_cache = options.program_cache;
  loop.memory_threshold = options.memory_threshold;
  if (options.memory_threshold == 1) loop.memory_check = {};
}

ClusterOptions named_cluster(const ClusterOptions& options, const std::string& what) {
  if (options.address.empty()) {
    throw UsageError(
        fmt::format("{}: name the head of a cluster by --address HOST:PORT or @FILE (or $MOBULA_ADDRESS); what runs on "
                    "this machine alone ends with its program",
                    what));
  }
  const auto found = daemon::head_at(options.address, options.keys, {});
  if (!found) throw UsageError(fmt::format("{}: {}", what, found.error().message));
  if (found->keys.empty()) {
    throw UsageError(
        fmt::format("{}: --keys FILE (or $MOBULA_KEYS) is missing: a copy of the file that `mobula head` wrote", what));
  }
  return {found->address, found->keys};
}

void Announcement::listens(const daemon::NodeLoop& loop, const std::string& head, const std::string& keys) {
  record_.reset();
  address_.reset();
  self_ = daemon::this_daemon();
  self_.address = loop.address();
  self_.head = head;
  self_.keys = std::filesystem::absolute(keys);
  self_.name = loop.name();
  daemon::private_folder(daemon::run_folder()).value();
  record_ = std::make_unique<daemon::AddressFile>(daemon::own_record(), self_);
}

void Announcement::ready() {
  if (!file_.empty()) address_ = std::make_unique<daemon::AddressFile>(file_, self_);
}

Runtime start_runtime(const ClusterOptions& options, int workers) {
  if (options.address.empty()) return Runtime::start({.workers = workers});
  if (workers == 0) {
    throw UsageError(
        fmt::format("workers: 0 runs everything in this process, so nothing would go to the cluster at "
                    "{}; ask for at least 1 worker, or leave the address away",
                    options.address));
  }
  const EndAtInterrupt joining;
  try {
    return Runtime::start({.address = options.address, .keys = options.keys});
  } catch (const TaskError& error) {
    if (error.error().code != ErrorCode::invalid) throw;
    throw UsageError(error.error().message);
  }
}

}  // namespace mobula::cli
