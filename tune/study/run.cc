#include <mobula/tune/run.h>

#include <algorithm>

namespace mobula::tune::detail {
namespace {

/// How often a wait looks whether the program was asked to stop.
constexpr std::chrono::milliseconds kGlance{50};

/// Jobs that take less are submitted several at a time to each runner, so that it need not wait for this process in
/// between. Longer ones are not: they would queue behind one another while another runner is idle.
constexpr double kShortSeconds = 0.001;
constexpr std::size_t kQueue = 8;

struct Running {
  Job job;
  std::int64_t failures = 0;
};

/// What went wrong in one line, with its causes.
std::string reason_of(const Error& error) {
  std::string text = error.message;
  for (const Error& cause : error.causes) text += ": " + reason_of(cause);
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

}  // namespace

std::size_t process_count(const Runtime& runtime, const StudyOptions& options) {
  const auto most = static_cast<std::size_t>(options.max_concurrent * options.seeds_per_trial);
  // A program that joined a cluster has no worker slots of its own; the work goes to nodes that it does not know.
  const int here = runtime.cpus() > 0 || runtime.in_process() ? std::max(1, runtime.cpus()) : 1 << 20;
  return std::min(most, static_cast<std::size_t>(options.processes.value_or(here)));
}

StudyResult drive(Study& study, Runners& runners, std::size_t processes) {
  const StudyOptions& options = study.options();
  std::vector<std::optional<Running>> running(processes * kQueue);  // lane i belongs to runner i % processes
  std::size_t busy = 0;
  double longest = 1;  // of the last jobs, in seconds
  StudyResult result;
  const auto changed = [&] {
    if (options.on_change) options.on_change(study);
  };
  for (;;) {
    if (options.interrupted && options.interrupted()) {
      result.interrupted = true;
      break;
    }
    const std::size_t lanes = processes * (longest < kShortSeconds ? kQueue : 1);
    for (std::size_t i = 0; i < lanes && busy < lanes; ++i) {
      if (running[i]) continue;
      auto job = study.ask();
      if (!job) break;
      runners.start(i, i % processes, *job);
      running[i] = Running{std::move(*job)};
      ++busy;
    }
    if (busy == 0) break;
    bool told = false;
    for (auto& [i, report] : runners.wait(kGlance)) {
      Running& done = *running[i];
      if (!report && done.failures < options.max_failures) {
        ++done.failures;
        runners.start(i, i % processes, done.job);
        continue;
      }
      if (report) {
        longest = std::max(report->seconds, 0.9 * longest);
        study.tell(done.job, *report);
      } else {
        study.fail(done.job, reason_of(report.error()));
      }
      running[i].reset();
      --busy;
      told = true;
    }
    if (told) changed();
  }
  study.flush();
  result.trials = study.trials();
  if (const Trial* best = study.best()) result.best = *best;
  return result;
}

}  // namespace mobula::tune::detail
