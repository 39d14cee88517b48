#pragma once

#include <CLI/CLI.hpp>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cli/cluster.h"
#include "runtime/daemon/visitor.h"

namespace mobula::cli {

/// The options of a command that asks a cluster: --address, --keys and --wait.
struct AskOptions {
  ClusterOptions cluster;
  double wait = 5;
  Duration patience() const { return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(wait)); }
};
void add_ask_options(CLI::App& app, AskOptions& options);

/// A cluster that answers questions.
class Asker {
 public:
  /// Throws UsageError for an address or keys that cannot be used, std::runtime_error when the head does not answer.
  /// `what` is the command.
  Asker(const AskOptions& options, const std::string& what);

  struct Told {
    std::string name;  // of the member
    NodeId node;
    daemon::Answer answer;
  };
  /// Of all members, or (`only` not empty) the one of this name; in the order of the status. Throws UsageError if there
  /// is none of that name. Members that do not answer within `patience` have an answer with an error.
  std::vector<Told> ask(const daemon::Question& question, Duration patience, const std::string& only = {});

  daemon::Visitor& visitor() { return visitor_; }
  const wire::StatusReply& status() const { return status_; }
  const std::string& address() const { return cluster_.address; }

 private:
  const ClusterOptions cluster_;
  daemon::Visitor visitor_;
  wire::StatusReply status_;
};

/// A field of a row, empty where the row has none.
inline const std::string& field(const daemon::Row& row, std::size_t i) {
  static const std::string none;
  return i < row.size() ? row[i] : none;
}
/// The number that it holds; 0 where it holds none.
double number(const daemon::Row& row, std::size_t i);

}  // namespace mobula::cli
