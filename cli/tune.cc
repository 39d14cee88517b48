#include <fmt/format.h>
#include <mobula/tune.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/table.h"
#include "cli/tune_sweep.h"
#include "rl/train/experiment.h"
#include "rl/train/files.h"
#include "rl/train/records.h"
#include "rl/train/run_directory.h"
#include "runtime/config/config.h"

namespace mobula::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct Arguments {
  std::string file;
  std::vector<std::string> overrides;
  std::string run_directory;
  std::string resume;
  std::optional<int> processes;
};

constexpr const char* kSweep = "sweep.yaml";
constexpr const char* kOverrides = "overrides.txt";

std::string params_text(const tune::Params& params) {
  std::string text;
  for (const auto& [name, value] : params.entries()) {
    const auto dot = name.rfind('.');
    const auto* number = std::get_if<double>(&value);
    text += (text.empty() ? "" : "  ") + name.substr(dot == std::string::npos ? 0 : dot + 1) + "=" +
            (number != nullptr ? short_number(*number) : tune::to_text(value));
  }
  return text;
}

std::string trial_line(const tune::Study& study, const tune::Trial& trial) {
  return fmt::format("trial {:<5} {:<10} {:>10} at {:<9.0f} {}", trial.id, tune::status_text(study, trial),
                     trial.value ? short_number(*trial.value) : "-", trial.reached, params_text(trial.params));
}

/// A table that is written anew in place on a terminal; elsewhere a line for each trial that has ended.
class LiveTable {
 public:
  LiveTable() : terminal_(::isatty(STDOUT_FILENO) == 1) {}

  void show(const tune::Study& study) {
    if (!terminal_) {
      for (const auto& trial : study.trials()) {
        const bool over = trial.status == tune::Status::completed || trial.status == tune::Status::stopped ||
                          trial.status == tune::Status::failed;
        if (over && said_.insert(trial.id).second) {
          fmt::print("{}{}\n", trial_line(study, trial), trial.error.empty() ? "" : "  (" + trial.error + ")");
        }
      }
      std::fflush(stdout);
      return;
    }
    const auto now = Clock::now();
    if (!study.finished() && now - shown_ < std::chrono::milliseconds(200)) return;
    shown_ = now;
    clear();
    std::vector<std::string> lines;
    std::vector<const tune::Trial*> running, ranked;
    for (const auto& trial : study.trials()) {
      if (trial.status == tune::Status::running) running.push_back(&trial);
      if (trial.value && trial.status != tune::Status::failed) ranked.push_back(&trial);
    }
    const bool more = study.options().mode == "max";
    std::stable_sort(ranked.begin(), ranked.end(), [&](const auto* a, const auto* b) {
      return more ? *a->value > *b->value : *a->value < *b->value;
    });
    lines.push_back(fmt::format("{} of {} trials begun, {} running, {:.0f} s", study.trials().size(),
                                study.options().num_trials, running.size(),
                                std::chrono::duration<double>(now - began_).count()));
    for (std::size_t i = 0; i < std::min<std::size_t>(6, running.size()); ++i) {
      lines.push_back("  " + trial_line(study, *running[i]));
    }
    if (!ranked.empty()) lines.push_back("best by " + study.options().metric);
    for (std::size_t i = 0; i < std::min<std::size_t>(4, ranked.size()); ++i) {
      lines.push_back("  " + trial_line(study, *ranked[i]));
    }
    // A line that wraps would be two, and the next table would be drawn over the wrong ones.
    winsize size{};
    const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
    const std::size_t width = known ? size.ws_col - 1u : 1000u;
    for (const auto& line : lines) fmt::print("{}\033[K\n", line.substr(0, width));
    std::fflush(stdout);
    shown_lines_ = lines.size();
  }
  void clear() {
    if (terminal_ && shown_lines_ > 0) fmt::print("\033[{}A\033[J", shown_lines_);
    shown_lines_ = 0;
  }

 private:
  const bool terminal_;
  const Clock::time_point began_ = Clock::now();
  Clock::time_point shown_{};
  std::size_t shown_lines_ = 0;
  std::set<std::int64_t> said_;
};

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
    throw UsageError(arguments.resume + " is not the folder of a study: it has no " + kSweep);
  }

  auto document = config::Document::load(file);
  std::vector<std::string> overrides;
  if (resuming) overrides = lines_of(rl::read_file(std::filesystem::path(arguments.resume) / kOverrides));
  overrides.insert(overrides.end(), arguments.overrides.begin(), arguments.overrides.end());
  for (const auto& assignment : overrides) {
    if (assignment.find('\n') != std::string::npos) throw UsageError("--set takes one line: " + assignment);
    document.set(assignment);
  }
  Sweep sweep = read_sweep(document);
  const std::string experiment = rl::read_experiment(config::Document::parse(sweep.base, "base")).experiment;
  sweep.study.processes = arguments.processes;
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
    // Opened once before anything else is written: a journal of other settings is refused with all left as it was.
    const tune::Study opened(sweep.space, sweep.study);
    std::string lines;
    for (const auto& assignment : overrides) lines += assignment + "\n";
    rl::write_file(folder.path / kOverrides, lines);
    if (!resuming) rl::write_file(folder.path / kSweep, rl::read_file(file));
    const auto metadata = folder.path / rl::RunDirectory::metadata;
    const std::string before = std::filesystem::exists(metadata) ? rl::read_file(metadata) : "";
    rl::write_file(metadata, rl::metadata_json(experiment, sweep.study.seed, before));
  }

  const Interrupt interrupt;
  LiveTable table;
  auto written = Clock::now();
  sweep.study.interrupted = [&] { return interrupt.requested(); };
  sweep.study.on_change = [&](const tune::Study& study) {
    table.show(study);
    if (Clock::now() - written < std::chrono::seconds(2)) return;
    write_tables(study, folder.path);
    written = Clock::now();
  };
  fmt::print("{} {}: {} trials by {} search, {} scheduler, at most {} at once, in {} (seed {})\n",
             resuming ? "Resuming the study" : "Tuning", experiment, sweep.study.num_trials, sweep.study.search.name,
             sweep.study.scheduler.name, sweep.study.max_concurrent, folder.path.string(), sweep.study.seed);
  std::fflush(stdout);

  const auto trials = std::filesystem::absolute(folder.path / "trials");
  std::filesystem::create_directories(trials);
  const TrainObjective objective{sweep.base, trials.string(), sweep.study.metric, sweep.study.seeds_per_trial,
                                 sweep.study.resumable};
  tune::StudyResult result;
  {
    const Runtime runtime = Runtime::start();
    result = tune::run(runtime, objective, sweep.space, sweep.study);
  }
  table.clear();
  // The journal is all that there is to know of a study.
  const tune::Study study(sweep.space, sweep.study);
  write_reports(study, sweep.base, folder.path);
  if (result.interrupted) {
    fmt::print("Stopped. To go on: mobula tune --resume {}\n", folder.path.string());
    return interrupted;
  }
  fmt::print("\n{}\n", tune::report_text(study));
  if (!result.best) {
    fmt::print("No trial succeeded; the errors are above. Everything is in {}\n", folder.path.string());
    return failed;
  }
  fmt::print("Best configuration: mobula train {}\nEverything is in {}\n", (folder.path / "best.yaml").string(),
             folder.path.string());
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
      ->check(CLI::Range(1, 100000))
      ->type_name("N");
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
