#pragma once

#include <mobula/runtime.h>

#include <CLI/CLI.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "runtime/daemon/node_loop.h"

namespace mobula::cli {

/// The cluster that a command's work goes to; no address: this machine alone.
struct ClusterOptions {
  std::string address, keys;
};

/// --address and --keys, which $MOBULA_ADDRESS and $MOBULA_KEYS may say as well.
void add_cluster_options(CLI::App& app, ClusterOptions& options);

/// What every node can be told, whether it is the head or joins one.
struct MemberOptions {
  std::map<std::string, std::string> labels;
  std::string decision_log;
  std::uint64_t object_memory = 0;
  std::optional<std::string> spill_directory;
  double memory_threshold = 0.95;
};

/// --label KEY=VALUE (any number), --decision-log FILE, --object-memory BYTES, --spill-dir FOLDER and
/// --memory-threshold PART of a node. A label that is not KEY=VALUE is an error.
void add_member_options(CLI::App& app, MemberOptions& options);
void set_member_options(const MemberOptions& options, daemon::NodeLoopOptions& loop);

/// --trusted-network of a node.
void add_trusted_network(CLI::App& app, bool& trusted);

/// A runtime for `workers` actors: as many worker processes here, or a cluster, to which this process then brings none
/// of its own. While it joins, an interrupt ends the program at once. Throws UsageError if the options cannot work, and
/// TaskError if the cluster does not answer.
Runtime start_runtime(const ClusterOptions& options, int workers);

}  // namespace mobula::cli
