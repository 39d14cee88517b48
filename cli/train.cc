#include <mobula/rl/train.h>
#include <unistd.h>

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/live_block.h"
#include "cli/output.h"
#include "cli/table.h"
#include "cli/train_status.h"
#include "rl/algos/algorithms.h"
#include "rl/train/experiment.h"
#include "rl/train/records.h"
#include "rl/train/trainer.h"
#include "runtime/config/config.h"

namespace mobula::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  std::string file;
  std::vector<std::string> overrides;
  std::string run_directory;
  std::string resume;
  ClusterOptions cluster;
  OutputOptions output;
};

/// Shows a run while it goes on: a block on a terminal, else a line now and then, or an object an event.
class TrainView {
 public:
  enum class Mode { quiet, lines, block, json };
  TrainView(const OutputOptions& options, const Interrupt& interrupt)
      : mode_(options.json                 ? Mode::json
              : options.quiet              ? Mode::quiet
              : is_terminal(STDERR_FILENO) ? Mode::block
                                           : Mode::lines),
        interrupt_(interrupt) {}

  void note(const std::string& text) {
    if (mode_ == Mode::block) {
      settle();
      std::string lines = wrapped(text, terminal_size(STDERR_FILENO).text_columns());
      lines.pop_back();  // the block ends it
      block_.note(lines);
    }
    if (mode_ == Mode::lines) write_message(text + "\n");
  }
  void on_start(const rl::StartEvent& event) {
    status_.on_start(event, Clock::now());
    Json notes = Json::array();
    for (const auto& text : event.notes) {
      note("Note: " + text);
      notes.push_back(text);
    }
    json({{"event", "start"},
          {"run_directory", event.run_directory.string()},
          {"iteration", event.progress.iteration},
          {"env_steps", event.progress.env_steps},
          {"total_env_steps", event.total_env_steps},
          {"notes", notes}});
  }
  void on_rollout(const rl::RolloutEvent& event) {
    status_.on_rollout(event, Clock::now());
    show(std::chrono::milliseconds(200));
  }
  void on_update(const rl::UpdateEvent& event) {
    status_.on_update(event, Clock::now());
    json(status_.json());
  }
  void on_evaluation(const rl::EvaluationEvent& event) {
    status_.on_evaluation(event, Clock::now());
    if (mode_ == Mode::block) show({});
    if (mode_ == Mode::json) {
      Json metrics = Json::object();
      for (const auto& [name, e] : event.metrics) {
        metrics[name] = {
            {"value", json_number(e.value)}, {"ci95", {json_number(e.low), json_number(e.high)}}, {"n", e.n}};
      }
      json({{"event", "evaluation"},
            {"policy", event.policy},
            {"final", event.final},
            {"iteration", event.progress.iteration},
            {"env_steps", event.progress.env_steps},
            {"metrics", metrics}});
    } else if (const auto* total = rl::find(event.metrics, "return"); total != nullptr && !event.final) {
      if (mode_ == Mode::lines) {
        note(fmt::format("evaluation at {} steps: return {} [{}, {}], n = {}", event.progress.env_steps,
                         short_number(total->value), short_number(total->low), short_number(total->high), total->n));
      }
    }
  }
  /// While nothing else happens: the time shown goes on.
  void tick() {
    status_.at(Clock::now());
    if (mode_ == Mode::block) show(std::chrono::milliseconds(500));
  }
  void json(const Json& object) {
    if (mode_ == Mode::json && !reader_gone()) {
      try {
        write_json_line(object);
      } catch (const OutputGone&) {  // training comes to its end in good order: see run()
      }
    }
  }
  void finish() {
    settle();
    block_.clear();
  }

 private:
  using Clock = std::chrono::steady_clock;

  /// An interrupt has said so below the block, which stays where it is then.
  void settle() {
    if (interrupt_.requested()) block_.leave();
  }

  void show(Clock::duration at_most_every) {
    if (mode_ != Mode::block && mode_ != Mode::lines) return;
    if (interrupt_.requested()) return;  // there is little left to follow
    const auto now = Clock::now();
    const auto pause = mode_ == Mode::block ? at_most_every : std::chrono::seconds(5);
    if (shown_ != Clock::time_point{} && now - shown_ < pause) return;
    shown_ = now;
    if (mode_ == Mode::block) {
      block_.draw(status_.lines(terminal_size(STDERR_FILENO).text_columns()));
    } else {
      write_message(status_.line() + "\n");
    }
  }

  const Mode mode_;
  const Interrupt& interrupt_;
  TrainStatus status_;
  LiveBlock block_;
  Clock::time_point shown_{};
};

int run(const Arguments& arguments) {
  const bool resuming = !arguments.resume.empty();
  if (resuming && !arguments.run_directory.empty()) {
    throw UsageError("--resume goes on in its own directory; leave out --run-dir");
  }
  if (!resuming && arguments.file.empty()) {
    throw UsageError("train: name a configuration FILE, or a run by --resume DIR. See mobula train --help");
  }

  if (resuming && !std::filesystem::exists(std::filesystem::path(arguments.resume) / "config.yaml")) {
    throw UsageError(arguments.resume + " is not a run directory: it has no config.yaml");
  }
  // A resumed run is what was stored with it; the file is not asked again.
  auto document = config::Document::load(resuming ? std::filesystem::path(arguments.resume) / "config.yaml"
                                                  : std::filesystem::path(arguments.file));
  for (const auto& assignment : arguments.overrides) document.set(assignment);
  if (document.has("tune")) throw document.error("tune", "this file asks for a search; run it by `mobula tune`");
  rl::TrainOptions options = rl::read_experiment(document);
  if (const auto problem = rl::check_before_training(options); !problem.empty()) {
    const auto colon = problem.find(": ");
    throw document.error(problem.substr(0, colon), problem.substr(colon + 2));
  }
  options.run_directory = resuming ? arguments.resume : arguments.run_directory;

  Runtime runtime = start_runtime(arguments.cluster, options.workers);
  const Interrupt interrupt;
  TrainView view(arguments.output, interrupt);
  options.interrupted = [&] {
    view.tick();
    return interrupt.requested() || reader_gone();
  };
  rl::Callbacks callbacks;
  callbacks.on_start = [&](const rl::StartEvent& event) {
    if (resuming && !arguments.file.empty()) {
      view.note("Note: " + arguments.file + " is not read; a resumed run has its own config.yaml");
    }
    view.note(fmt::format("{} {} with {}: {} in {} ({} {}, seed {})", resuming ? "Resuming" : "Training",
                          options.experiment, rl::name_of(options.algorithm), options.env.name,
                          event.run_directory.string(), options.workers, options.workers == 1 ? "worker" : "workers",
                          options.seed));
    view.on_start(event);
  };
  callbacks.on_rollout = [&](const rl::RolloutEvent& event) { view.on_rollout(event); };
  callbacks.on_update = [&](const rl::UpdateEvent& event) { view.on_update(event); };
  callbacks.on_evaluation = [&](const rl::EvaluationEvent& event) { view.on_evaluation(event); };
  const rl::TrainResult result =
      resuming ? rl::resume(runtime, options, callbacks) : rl::train(runtime, options, callbacks);
  view.finish();
  if (reader_gone()) throw OutputGone();

  if (result.interrupted) {
    view.note(fmt::format("Stopped at {} of {} steps. To go on: mobula train --resume {}", result.progress.env_steps,
                          options.stop.env_steps, result.run_directory.string()));
    view.json({{"event", "interrupted"},
               {"run_directory", result.run_directory.string()},
               {"env_steps", result.progress.env_steps}});
    return interrupted;
  }
  if (arguments.output.json) {
    Json object{{"event", "result"}, {"run_directory", result.run_directory.string()}};
    object.update(Json::parse(rl::result_json(options, result)));
    write_json_line(object);
    return done;
  }
  const int width = result_width();
  const std::string fairness = fairness_table(result.policies, width);
  write_result(fmt::format("Trained {} steps in {:.1f} s ({:.1f} s of processor time).\n\n{}{}\nEverything is in {}\n",
                           result.progress.env_steps, result.wall_seconds, result.cpu_seconds,
                           fairness.empty() ? metrics_table(result.policies, width) : fairness,
                           constraint_lines(result.constraints, width), result.run_directory.string()));
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
  add_output_options(*app, arguments->output,
                     "an object a line on standard output: start, progress, evaluation, result");
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
