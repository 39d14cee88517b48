#include <mobula/tune/study.h>

#include <cmath>

#include "tune/schedulers/scheduler.h"
#include "tune/search/searcher.h"

namespace mobula::tune {

namespace {

constexpr std::int64_t kMostAtOnce = 1'000'000;  // each open job has its parameters in memory

}  // namespace

void SearchOptions::describe(Fields& f) {
  f("name", name, {.choices = {"random", "sobol", "grid"}, .help = "How the parameters of trials are chosen."});
}

void SchedulerOptions::describe(Fields& f) {
  f("name", name, {.choices = {"none", "asha", "median"}, .help = "Which trials are given more of the resource."});
  f("max", max, {.above = 0, .help = "Resource of a completed trial."});
  f("grace", grace, {.above = 0, .help = "No trial is stopped before it had this much of the resource."});
  f("eta", eta, {.min = 2, .max = 1000, .help = "asha: one trial in eta goes on at each rung."});
  f("variant", variant,
    {.choices = {"stop", "promote"},
     .help = "asha: stop at once and for good, or pause every trial and pick the best when there is room."});
  f("rule", rule, {.choices = {"rank", "percentile"}, .help = "asha, stop: how a trial is judged at a rung."});
  f("interval", interval, {.above = 0, .help = "median: resource between two looks at a trial; default: grace."});
  f("min_samples", min_samples, {.min = 1, .help = "median: how many other trials have to have got as far."});
}

std::string SchedulerOptions::problem() const {
  if (name != "none" && grace > max) return "grace: it is above max, so no trial could ever be stopped";
  return {};
}

void StudyOptions::describe(Fields& f) {
  f("metric", metric, {.help = "What is to become better."});
  f("mode", mode, {.choices = {"max", "min"}, .help = "Whether more of the metric is better, or less."});
  f("seed", seed, {.help = "All proposals and the seeds of all trials follow from it."});
  f("num_trials", num_trials, {.min = 1, .max = 1e9, .help = "Trials; may grow when the study is resumed."});
  f("max_concurrent", max_concurrent,
    {.min = 1, .max = 100000, .help = "Trials under way at once; part of what the study is, whatever the machine."});
  f("seeds_per_trial", seeds_per_trial,
    {.min = 1, .max = 10000, .help = "Repeats of each trial on seeds of their own; its value is their mean."});
  f("budget", budget, {.above = 0, .help = "Resource of all trials together, after which no trial is begun."});
  f("deterministic", deterministic,
    {.help = "The same table for any number of processes; false: decide as reports arrive."});
  f("resumable", resumable, {.help = "Whether trials go on from where they stood, or begin again at each rung."});
  f("max_failures", max_failures, {.min = 0, .max = 1000, .help = "How often a trial that failed is tried again."});
  f("sync", sync, {.choices = {"always", "interval", "never"}, .help = "When the journal is brought to the disk."});
  f("search", search, {.help = "How the parameters of trials are chosen."});
  f("scheduler", scheduler, {.help = "Which trials are stopped early."});
}

std::string StudyOptions::problem() const {
  const auto positive = [](double x) { return std::isfinite(x) && x > 0; };
  if (mode != "max" && mode != "min") return "mode: '" + mode + "' is neither max nor min";
  if (num_trials < 1) return "num_trials: give at least 1";
  if (max_concurrent < 1) return "max_concurrent: give at least 1";
  if (seeds_per_trial < 1) return "seeds_per_trial: give at least 1";
  if (max_concurrent > kMostAtOnce / seeds_per_trial) {
    return "max_concurrent: " + std::to_string(max_concurrent) + " trials of " + std::to_string(seeds_per_trial) +
           " repeats are more than " + std::to_string(kMostAtOnce) + " jobs at once; lower it, or seeds_per_trial";
  }
  if (processes && *processes < 1) return "processes: give at least 1";
  if (budget && !positive(*budget)) return "budget: give a number above 0";
  if (sync != "always" && sync != "interval" && sync != "never") return "sync: '" + sync + "' is unknown";
  if (!positive(scheduler.max)) return "scheduler.max: give a number above 0";
  if (!positive(scheduler.grace)) return "scheduler.grace: give a number above 0";
  if (!(scheduler.eta >= 2) || !std::isfinite(scheduler.eta)) return "scheduler.eta: give a number of at least 2";
  if (scheduler.interval && !positive(*scheduler.interval)) return "scheduler.interval: give a number above 0";
  if (scheduler.variant != "stop" && scheduler.variant != "promote") {
    return "scheduler.variant: '" + scheduler.variant + "' is neither stop nor promote";
  }
  if (scheduler.rule != "rank" && scheduler.rule != "percentile") {
    return "scheduler.rule: '" + scheduler.rule + "' is neither rank nor percentile";
  }
  const std::string problem = scheduler.problem();
  return problem.empty() ? problem : "scheduler." + problem;
}

std::string to_string(Status status) {
  switch (status) {
    case Status::running:
      return "running";
    case Status::paused:
      return "paused";
    case Status::stopped:
      return "stopped";
    case Status::completed:
      return "completed";
    case Status::failed:
      break;
  }
  return "failed";
}

}  // namespace mobula::tune
