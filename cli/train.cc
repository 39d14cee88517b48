#include <mobula/rl/train.h>
#include <unistd.h>

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/table.h"
#include "rl/train/experiment.h"
#include "rl/train/trainer.h"
#include "runtime/config/config.h"

namespace mobula::cli {
namespace {

struct Arguments {
  std::string file;
  std::vector<std::string> overrides;
  std::string run_directory;
  std::string resume;
  ClusterOptions cluster;
};

/// One line that is written anew on a terminal, or a plain line now and then elsewhere.
class ProgressLine {
 public:
  explicit ProgressLine(std::int64_t total) : total_(total), terminal_(::isatty(STDOUT_FILENO) == 1) {}

  void show(const rl::RolloutEvent& event) {
    const auto now = Clock::now();
    const bool first = shown_ == Clock::time_point{};
    if (!first && now - shown_ < (terminal_ ? std::chrono::milliseconds(200) : std::chrono::milliseconds(5000))) return;
    if (first) {
      // Speed is that of this process: a resumed run starts from many steps.
      began_ = now;
      steps_at_start_ = event.progress.env_steps;
    }
    shown_ = now;
    const double seconds = std::chrono::duration<double>(now - began_).count();
    const double speed = seconds > 0 ? static_cast<double>(event.progress.env_steps - steps_at_start_) / seconds : 0;
    std::string line =
        fmt::format("iteration {:<6} {:>10} of {} steps ({:.0f} %)", event.progress.iteration, event.progress.env_steps,
                    total_, 100.0 * static_cast<double>(event.progress.env_steps) / static_cast<double>(total_));
    if (!std::isnan(event.return_mean)) line += fmt::format("   return {}", short_number(event.return_mean));
    if (speed > 0) line += fmt::format("   {:.0f} steps/s", speed);
    print(line);
  }

  /// A line that stays.
  void note(const std::string& text) {
    clear();
    fmt::print("{}\n", text);
    std::fflush(stdout);
  }
  void clear() {
    if (terminal_ && open_) fmt::print("\r\033[K");
    open_ = false;
  }

 private:
  using Clock = std::chrono::steady_clock;
  void print(const std::string& line) {
    if (terminal_) {
      fmt::print("\r\033[K{}", line);
      open_ = true;
    } else {
      fmt::print("{}\n", line);
    }
    std::fflush(stdout);
  }

  const std::int64_t total_;
  const bool terminal_;
  bool open_ = false;
  Clock::time_point began_{}, shown_{};
  std::int64_t steps_at_start_ = 0;
};

int run(const Arguments& arguments) {
  const bool resuming = !arguments.resume.empty();
  if (resuming && !arguments.run_directory.empty()) {
    throw UsageError("--resume goes on in its own directory; leave out --run-dir");
  }
  if (!resuming && arguments.file.empty()) throw UsageError("name a configuration FILE, or a run by --resume DIR");

  if (resuming && !std::filesystem::exists(std::filesystem::path(arguments.resume) / "config.yaml")) {
    throw UsageError(arguments.resume + " is not a run directory: it has no config.yaml");
  }
  // A resumed run is what was stored with it; the file is not asked again.
  auto document = config::Document::load(resuming ? std::filesystem::path(arguments.resume) / "config.yaml"
                                                  : std::filesystem::path(arguments.file));
  for (const auto& assignment : arguments.overrides) document.set(assignment);
  rl::TrainOptions options = rl::read_experiment(document);
  if (const auto problem = rl::check_before_training(options); problem.starts_with("fairness.")) {
    const auto colon = problem.find(": ");
    throw document.error(problem.substr(0, colon), problem.substr(colon + 2));
  }
  options.run_directory = resuming ? arguments.resume : arguments.run_directory;

  Runtime runtime = start_runtime(arguments.cluster, options.workers);
  const Interrupt interrupt;
  options.interrupted = [&] { return interrupt.requested(); };
  ProgressLine line(options.stop.env_steps);
  rl::Callbacks callbacks;
  callbacks.on_start = [&](const rl::StartEvent& event) {
    for (const auto& note : event.notes) line.note("Note: " + note);
    if (resuming && !arguments.file.empty()) {
      line.note("Note: " + arguments.file + " is not read; a resumed run has its own config.yaml");
    }
    const auto& e = options;
    line.note(fmt::format("{} {} with {}: {} in {} ({} {}, seed {})", resuming ? "Resuming" : "Training", e.experiment,
                          "ppo", e.env.name, event.run_directory.string(), e.workers,
                          e.workers == 1 ? "worker" : "workers", e.seed));
  };
  callbacks.on_rollout = [&](const rl::RolloutEvent& event) { line.show(event); };
  callbacks.on_evaluation = [&](const rl::EvaluationEvent& event) {
    if (event.final) return;
    const auto* value = rl::find(event.metrics, "return");
    line.note(fmt::format("evaluation at {} steps: return {} [{}, {}], n = {}", event.progress.env_steps,
                          short_number(value->value), short_number(value->low), short_number(value->high), value->n));
  };
  const rl::TrainResult result =
      resuming ? rl::resume(runtime, options, callbacks) : rl::train(runtime, options, callbacks);
  line.clear();

  if (result.interrupted) {
    fmt::print("Stopped at {} of {} steps. To go on: mobula train --resume {}\n", result.progress.env_steps,
               options.stop.env_steps, result.run_directory.string());
    return interrupted;
  }
  fmt::print("Trained {} steps in {:.1f} s ({:.1f} s of processor time).\n", result.progress.env_steps,
             result.wall_seconds, result.cpu_seconds);
  const std::string fairness = fairness_table(result.policies);
  fmt::print("{}", fairness.empty() ? "\n" + metrics_table(result.policies) : fairness);
  fmt::print("{}", constraint_lines(result.constraints));
  fmt::print("\nEverything is in {}\n", result.run_directory.string());
  return done;
}

}  // namespace

Command add_train(CLI::App& program) {
  auto* app = program.add_subcommand("train", "Train a policy as a configuration file says");
  auto arguments = std::make_shared<Arguments>();
  app->add_option("FILE", arguments->file, "Configuration (YAML)");
  app->add_option("--set", arguments->overrides, "Change a setting, as in algorithm.lr=3e-4; may be repeated")
      ->type_name("KEY=VALUE")
      ->take_all()
      ->expected(1);
  app->add_option("--run-dir", arguments->run_directory, "New folder for the run (default: runs/<experiment>-<n>)")
      ->type_name("DIR");
  app->add_option("--resume", arguments->resume, "Go on with the run in this folder, with its stored settings")
      ->type_name("DIR");
  add_cluster_options(*app, arguments->cluster);
  app->footer(
      "Examples:\n"
      "  mobula train examples/cartpole.yaml\n"
      "  mobula train examples/cartpole.yaml --set seed=7 --set stop.env_steps=50000\n"
      "  mobula train --resume runs/cartpole-1\n"
      "  mobula train examples/intersection.yaml --set workers=16 --address HEAD:6390 --keys mobula.keys\n"
      "Ctrl-C saves a checkpoint and stops; exit status 130.");
  return {app, [arguments] { return run(*arguments); }};
}

}  // namespace mobula::cli
