#pragma once

#include <mobula/runtime.h>

#include <CLI/CLI.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "runtime/daemon/address_file.h"
#include "runtime/daemon/node_loop.h"

namespace mobula::cli {

/// The cluster that a command's work goes to; no address: this machine alone.
struct ClusterOptions {
  std::string address, keys;
};

/// The same with what an address file says in place of "@FILE". Throws UsageError: no address (`what` says of which
/// command), no such file, or no keys.
ClusterOptions named_cluster(const ClusterOptions& options, const std::string& what);

/// --address and --keys, which $MOBULA_ADDRESS and $MOBULA_KEYS may say as well.
void add_cluster_options(CLI::App& app, ClusterOptions& options);

/// What every node can be told, whether it is the head or joins one.
struct MemberOptions {
  std::string address_file;
  std::map<std::string, std::string> labels;
  std::string decision_log;
  std::uint64_t object_memory = 0;
  std::optional<std::string> spill_directory, program_cache;
  double memory_threshold = 0.95;
};

/// --address-file FILE, --label KEY=VALUE (any number), --decision-log FILE, --object-memory BYTES, --spill-dir FOLDER
/// and
/// --memory-threshold PART of a node. A label that is not KEY=VALUE is an error.
void add_member_options(CLI::App& app, MemberOptions& options);
void set_member_options(const MemberOptions& options, daemon::NodeLoopOptions& loop);

/// What the daemon that runs in this process leaves for others to find it by: for `mobula stop`, and its address file.
class Announcement {
 public:
  explicit Announcement(const MemberOptions& options) : file_(options.address_file) {}
  /// It listens. Throws TaskError where a file cannot be written.
  void listens(const daemon::NodeLoop& loop, const std::string& head, const std::string& keys);
  /// Others may use it: the address file is written.
  void ready();

 private:
  const std::string file_;
  daemon::Running self_;
  std::unique_ptr<daemon::AddressFile> record_, address_;
};

/// --trusted-network of a node.
void add_trusted_network(CLI::App& app, bool& trusted);

/// A runtime for `workers` actors: as many worker processes here, or a cluster, to which this process then brings none
/// of its own. While it joins, an interrupt ends the program at once. Throws UsageError if the options cannot work, and
/// TaskError if the cluster does not answer.
Runtime start_runtime(const ClusterOptions& options, int workers);

}  // namespace mobula::cli
