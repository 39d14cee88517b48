#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <stdexcept>

namespace mobula::cli {

/// A sub-command: its options are added to `app`, and `run` is called, with them filled in, if it was the one chosen.
/// Returns the exit status.
struct Command {
  CLI::App* app = nullptr;
  std::function<int()> run;
};

/// One function a sub-command, each in a file of its name.
Command add_train(CLI::App& program);
Command add_tune(CLI::App& program);
Command add_evaluate(CLI::App& program);
Command add_config(CLI::App& program);
Command add_completion(CLI::App& program);
Command add_head(CLI::App& program);
Command add_node(CLI::App& program);
Command add_replay(CLI::App& program);
Command add_why(CLI::App& program);
Command add_status(CLI::App& program);
Command add_stop(CLI::App& program);
Command add_microbenchmark(CLI::App& program);

/// Exit statuses that scripts rely on.
enum Status : int { done = 0, failed = 1, wrong_usage = 2, refused = 3, interrupted = 130 };

/// Wrong use that only shows once files were looked at: printed, and the exit status is wrong_usage.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace mobula::cli
