#include <fmt/format.h>
#include <mobula/tune.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/tune_sweep.h"
#include "cli/tune_view.h"
#include "rl/train/experiment.h"
#include "rl/train/files.h"
#include "rl/train/records.h"
#include "rl/train/run_directory.h"
#include "runtime/config/config.h"

namespace mobula::cli {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

struct Arguments {
  std::string file;
  std::vector<std::string> overrides;
  std::string run_directory;
  std::string resume;
  std::optional<std::int64_t> processes;
  OutputOptions output;
};

constexpr const char* kSweep = "sweep.yaml";
constexpr const char* kOverrides = "overrides.txt";

/// The folder of a study; locked while this lives.
struct Folder {
  std::filesystem::path path;
  std::optional<rl::RunDirectory> made;
  std::unique_ptr<rl::FileLock> lock;
};

void write_tables(const tune::Study& study, const std::filesystem::path& folder) {
  rl::write_file(folder / "trials.csv", tune::trials_csv(study));
}

void write_reports(const tune::Study& study, const std::string& base, const std::filesystem::path& folder) {
  write_tables(study, folder);
  rl::write_file(folder / "report.txt", tune::report_text(study));
  rl::write_file(folder / "report.svg", tune::report_svg(study));
  if (const tune::Trial* best = study.best()) {
    rl::write_file(folder / "best.yaml", fmt::format("# Trial {} of the study in {}: {} {}\n", best->id,
                                                     folder.string(), study.options().metric, *best->value) +
                                             rl::write_experiment(trial_options(base, best->params)));
  }
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

int run(const Arguments& arguments) {
  const bool resuming = !arguments.resume.empty();
  if (resuming && !arguments.run_directory.empty()) {
    throw UsageError("--resume goes on in its own directory; leave out --run-dir");
  }
  if (resuming && !arguments.file.empty()) {
    throw UsageError("--resume goes on with the file that is stored in " + arguments.resume + "; leave out FILE");
  }
  if (!resuming && arguments.file.empty()) throw UsageError("name a configuration FILE, or a study by --resume DIR");
  const std::filesystem::path file =
      resuming ? std::filesystem::path(arguments.resume) / kSweep : std::filesystem::path(arguments.file);
  if (resuming && !std::filesystem::exists(file)) {
    throw UsageError(
        arguments.resume + " is not the folder of a study: it has no " + kSweep +
        (std::filesystem::exists(std::filesystem::path(arguments.resume) / "lock")
             ? "; it was stopped while it was made: begin again by mobula tune FILE --run-dir " + arguments.resume
             : ""));
  }

  auto document = config::Document::load(file);
  std::vector<std::string> overrides;
  std::string stored_base;
  if (resuming) {
    overrides = lines_of(rl::read_file(std::filesystem::path(arguments.resume) / kOverrides));
    for (const auto& assignment : overrides) document.set(assignment);
    stored_base = read_sweep(document).base;
  }
  for (const auto& assignment : arguments.overrides) {
    if (assignment.find('\n') != std::string::npos) throw UsageError("--set takes one line: " + assignment);
    document.set(assignment);
    overrides.push_back(assignment);
  }
  Sweep sweep = read_sweep(document);
  // The journal guards what the study knows; what every trial is trained with it does not see.
  if (resuming && sweep.base != stored_base) {
    throw UsageError("--set would change what the trials of " + arguments.resume +
                     " are trained with, and its table would mix two studies; only tune.num_trials may grow. For other "
                     "settings begin a new study: mobula tune " +
                     file.string() + " --set ...");
  }
  if (!resuming) check_metric(document, sweep);
  const rl::TrainOptions base = rl::read_experiment(config::Document::parse(sweep.base, "base"));
  const std::string& experiment = base.experiment;
  const std::vector<std::string> notes = rl::advice(base);
  if (arguments.processes) sweep.study.processes = static_cast<int>(*arguments.processes);
  { const tune::Study trial_run(sweep.space, sweep.study); }  // what is wrong shows before anything is written

  Folder folder;
  if (resuming) {
    folder.path = arguments.resume;
    folder.lock = std::make_unique<rl::FileLock>(folder.path / "lock", folder.path.string() + " is in use");
  } else {
    folder.made = rl::RunDirectory::create(arguments.run_directory, experiment);
    folder.path = folder.made->path();
  }
  sweep.study.journal = folder.path / "journal.jsonl";
  {
    std::string lines;
    for (const auto& assignment : overrides) lines += assignment + "\n";
    // What --resume reads comes first, so that a study killed at any moment can be gone on with; and sweep.yaml last,
    // whose appearance is the one step that makes this the folder of a study.
    if (!resuming) {
      rl::write_file(folder.path / kOverrides, lines);
      rl::write_file(folder.path / kSweep, rl::read_file(file));
    }
    // Opened before the overrides of a resumption are stored: a journal of other settings is refused with all left as
    // it was.
    const tune::Study opened(sweep.space, sweep.study);
    if (resuming) rl::write_file(folder.path / kOverrides, lines);
    const auto metadata = folder.path / rl::RunDirectory::metadata;
    const std::string before = std::filesystem::exists(metadata) ? rl::read_file(metadata) : "";
    rl::write_file(metadata, rl::metadata_json(experiment, sweep.study.seed, before));
  }

  const Interrupt interrupt;
  TuneView view(arguments.output, interrupt);
  auto written = Clock::now();
  sweep.study.interrupted = [&] { return interrupt.requested() || reader_gone(); };
  sweep.study.on_change = [&](const tune::Study& study) {
    view.show(study);
    if (Clock::now() - written < std::chrono::seconds(2)) return;
    write_tables(study, folder.path);
    written = Clock::now();
  };
  view.note(fmt::format("{} {}: {} trials by {} search, {} scheduler, at most {} at once, in {} (seed {})",
                        resuming ? "Resuming the study" : "Tuning", experiment, sweep.study.num_trials,
                        sweep.study.search.name, sweep.study.scheduler.name, sweep.study.max_concurrent,
                        folder.path.string(), sweep.study.seed));
  for (const auto& text : notes) view.note("Note: " + text);
  view.json({{"event", "start"},
             {"study", experiment},
             {"run_directory", folder.path.string()},
             {"num_trials", sweep.study.num_trials},
             {"max_concurrent", sweep.study.max_concurrent},
             {"metric", sweep.study.metric},
             {"mode", sweep.study.mode},
             {"seed", sweep.study.seed},
             {"notes", notes}});

  const auto trials = std::filesystem::absolute(folder.path / "trials");
  std::filesystem::create_directories(trials);
  const TrainObjective objective{sweep.base, trials.string(), sweep.study.metric, sweep.study.seeds_per_trial,
                                 sweep.study.resumable};
  tune::StudyResult result;
  {
    const Runtime runtime = Runtime::start();
    result = tune::run(runtime, objective, sweep.space, sweep.study);
  }
  // The journal is all that there is to know of a study.
  const tune::Study study(sweep.space, sweep.study);
  view.finish(study);
  write_reports(study, sweep.base, folder.path);
  if (reader_gone()) throw OutputGone();
  if (result.interrupted) {
    view.note(fmt::format("Stopped. To go on: mobula tune --resume {}", folder.path.string()));
    view.json({{"event", "interrupted"}, {"run_directory", folder.path.string()}});
    return interrupted;
  }
  const std::string best_file = (folder.path / "best.yaml").string();
  const tune::Trial* const best = study.best();
  if (arguments.output.json) {
    write_json_line({{"event", "result"},
                     {"run_directory", folder.path.string()},
                     {"trials", study.trials().size()},
                     {"best", best != nullptr ? trial_json(study, *best) : Json(nullptr)},
                     {"best_config", best != nullptr ? Json(best_file) : Json(nullptr)}});
    return best != nullptr ? done : failed;
  }
  write_result(tune::report_text(study) + "\n");
  if (best == nullptr) {
    write_message(fmt::format("No trial succeeded; the errors are above. Everything is in {}\n", folder.path.string()));
    return failed;
  }
  write_result(
      fmt::format("Best configuration: mobula train {}\nEverything is in {}\n", best_file, folder.path.string()));
  return done;
}

}  // namespace

Command add_tune(CLI::App& program) {
  auto* app = program.add_subcommand("tune", "Search hyper-parameters as a configuration file says");
  auto arguments = std::make_shared<Arguments>();
  app->add_option("FILE", arguments->file, "Configuration (YAML) with spaces in place of values and a tune: section");
  app->add_option("--set", arguments->overrides, "Change a setting, as in tune.num_trials=100; may be repeated")
      ->type_name("KEY=VALUE")
      ->take_all()
      ->expected(1);
  app->add_option("--run-dir", arguments->run_directory, "New folder for the study (default: runs/<experiment>-<n>)")
      ->type_name("DIR");
  app->add_option("--resume", arguments->resume,
                  "Go on with the study in this folder, with its stored settings; tune.num_trials may be raised")
      ->type_name("DIR");
  app->add_option("--processes", arguments->processes, "Trials that really run at once (default: one a cpu)")
      ->check(whole_number(1, 100000))
      ->type_name("N");
  add_output_options(*app, arguments->output, "one JSON object a line: start, trials as they end, result");
  app->footer(
      "Examples:\n"
      "  mobula tune examples/cartpole_sweep.yaml\n"
      "  mobula tune examples/cartpole_sweep.yaml --set tune.num_trials=40 --set tune.seed=7\n"
      "  mobula tune --resume runs/cartpole-sweep-1 --set tune.num_trials=80\n"
      "  mobula train runs/cartpole-sweep-1/best.yaml\n"
      "Ctrl-C stops; what was finished is kept; exit status 130.");
  return {app, [arguments] { return run(*arguments); }};
}

}  // namespace mobula::cli
