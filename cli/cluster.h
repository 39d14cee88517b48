#pragma once

#include <mobula/runtime.h>

#include <CLI/CLI.hpp>

#include <map>
#include <string>

namespace mobula::cli {

/// The cluster that a command's work goes to; no address: this machine alone.
struct ClusterOptions {
  std::string address, keys;
};

/// --address and --keys, which $MOBULA_ADDRESS and $MOBULA_KEYS may say as well.
void add_cluster_options(CLI::App& app, ClusterOptions& options);

/// --label KEY=VALUE (any number) and --decision-log FILE of a node. A label that is not KEY=VALUE is an error.
void add_node_options(CLI::App& app, std::map<std::string, std::string>& labels, std::string& decision_log);

/// A runtime for `workers` actors: as many worker processes here, or a cluster, to which this process then brings none
/// of its own. While it joins, an interrupt ends the program at once. Throws UsageError if the options cannot work, and
/// TaskError if the cluster does not answer.
Runtime start_runtime(const ClusterOptions& options, int workers);

}  // namespace mobula::cli
