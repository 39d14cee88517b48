#include "cli/cluster.h"

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/interrupt.h"

namespace mobula::cli {

void add_cluster_options(CLI::App& app, ClusterOptions& options) {
  app.add_option("--address", options.address, "Work on the cluster of this `mobula head`")
      ->type_name("HOST:PORT")
      ->envname("MOBULA_ADDRESS");
  app.add_option("--keys", options.keys, "Copy of the file that `mobula head` wrote; needed with an address")
      ->type_name("FILE")
      ->envname("MOBULA_KEYS");
}

void add_node_options(CLI::App& app, std::map<std::string, std::string>& labels, std::string& decision_log) {
  app.add_option_function<std::vector<std::string>>(
         "--label",
         [&labels](const std::vector<std::string>& given) {
           for (const std::string& label : given) {
             const std::size_t equal = label.find('=');
             if (equal == 0 || equal == std::string::npos) {
               throw CLI::ValidationError("--label", fmt::format("'{}' is not KEY=VALUE, as in zone=a", label));
             }
             labels[label.substr(0, equal)] = label.substr(equal + 1);
           }
         },
         "Label of this node, which tasks and actors may ask for; may be given again")
      ->type_name("KEY=VALUE");
  app.add_option("--decision-log", decision_log, "Append every scheduling decision of this node, for `mobula replay`")
      ->type_name("FILE");
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
