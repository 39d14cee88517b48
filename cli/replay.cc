// mobula replay: what another scheduling policy would have made of a recorded load.
#include <fmt/format.h>

#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/options.h"
#include "cli/output.h"
#include "scheduler/replay/replay.h"

namespace mobula::cli {
namespace {

struct ReplayOptions {
  std::vector<std::string> logs;
  std::string policy;
};

int run_replay(const ReplayOptions& options) {
  std::stringstream all;
  for (const std::string& path : options.logs) {
    std::ifstream log(path);
    if (!log) throw UsageError(fmt::format("{} cannot be read; give a file written by --decision-log", path));
    all << log.rdbuf();
  }
  const auto recording = scheduler::read_recording(all);
  if (!recording.ok()) throw UsageError(recording.error().message);
  write_result(fmt::format("{} leases on {} nodes, {:.3f} s from the first request to the last end",
                           recording->jobs.size(), recording->nodes.size(), recording->makespan));
  if (recording->unfinished != 0) {
    write_result(fmt::format(" ({} more did not end and are left out)", recording->unfinished));
  }
  write_result(fmt::format("\n\n{:<18} {:>12} {:>8} {:>12}  {}\n", "policy", "makespan", "change", "utilisation", ""));
  const auto& usual = scheduler::policies().front();
  for (const scheduler::Policy& policy : scheduler::policies()) {
    if (!options.policy.empty() && policy.name != options.policy && policy.name != usual.name) continue;
    const scheduler::ReplayReport report = scheduler::replay(*recording, policy);
    write_result(fmt::format("{:<18} {:>10.3f} s {:>+7.1f}% {:>11.1f}%  {}\n", policy.name, report.with.makespan,
                             100 * report.change(), 100 * report.with.utilisation, policy.describes));
  }
  write_result("\nModelled from the recorded requests and times; the first line is what nodes do.\n");
  return done;
}

}  // namespace

Command add_replay(CLI::App& program) {
  auto options = std::make_shared<ReplayOptions>();
  CLI::App* app = program.add_subcommand(
      "replay", "Ask what another scheduling policy would have made of a recorded load (see --decision-log)");
  app->add_option("logs", options->logs, "Files written by --decision-log, of any number of nodes")
      ->required()
      ->type_name("LOG...");
  std::vector<std::string> names;
  for (const scheduler::Policy& policy : scheduler::policies()) names.emplace_back(policy.name);
  app->add_option("--policy", options->policy, "Compare with this policy only")->check(one_of(names));
  app->footer(
      "Examples:\n"
      "  mobula node --join HEAD:6390 --keys mobula.keys --decision-log decisions.log\n"
      "  mobula replay decisions.log\n"
      "  mobula replay first.log second.log --policy spread");
  return {app, [options] { return run_replay(*options); }};
}

}  // namespace mobula::cli
