#pragma once

#include <mobula/fields.h>
#include <mobula/tune/objective.h>
#include <mobula/tune/space.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mobula::tune {

class Study;

struct SearchOptions {
  std::string name = "random";  ///< "random", "sobol" or "grid"
  void describe(Fields& f);
};

/// Which trials are given more of the resource. The rules are told in docs/guide/tuning.md.
struct SchedulerOptions {
  std::string name = "none";       ///< "none", "asha" or "median"
  double max = 1;                  ///< the resource of a completed trial
  double grace = 1;                ///< no trial is stopped before it had this much
  double eta = 3;                  ///< asha: one in eta goes on at each rung
  std::string variant = "stop";    ///< asha: "stop" decides at once and for good, "promote" pauses and picks later
  std::string rule = "rank";       ///< asha, stop: "rank" or "percentile"
  std::optional<double> interval;  ///< median: resource between two looks; default: grace
  std::int64_t min_samples = 3;    ///< median: other trials that it takes
  void describe(Fields& f);
  std::string problem() const;
};

/// A YAML file's `tune:` section says the same with the same names.
struct StudyOptions {
  std::string metric = "value";  ///< for people
  std::string mode = "max";      ///< "max" or "min"
  std::uint64_t seed = 0;
  std::int64_t num_trials = 10;
  std::int64_t max_concurrent = 4;    ///< trials that are under way at once; part of the definition of the study
  std::int64_t seeds_per_trial = 1;   ///< repeats on seeds of their own; a trial's value is the mean
  std::optional<double> budget = {};  ///< resource of all trials together, after which no trial is begun
  bool deterministic = true;          ///< the same table for any number of processes; false: decide as reports arrive
  bool resumable = true;              ///< objectives go on from Job::state; false: each job begins at 0
  std::int64_t max_failures = 0;      ///< how often a job that threw is tried again
  std::string sync = "interval";      ///< of the journal to the disk: "always", "interval" (0.1 s) or "never"
  SearchOptions search = {};
  SchedulerOptions scheduler = {};

  std::filesystem::path journal = {};                ///< made, or gone on with; empty: nothing is written
  std::optional<int> processes = {};                 ///< for run(): default as many as the runtime has cpus
  std::function<bool()> interrupted = {};            ///< for run(): asked often; true: return as things stand
  std::function<void(const Study&)> on_change = {};  ///< for run(): after each report, in the calling thread

  void describe(Fields& f);
  std::string problem() const;
};

enum class Status { running, paused, stopped, completed, failed };
std::string to_string(Status status);

struct Trial {
  std::int64_t id = 0;
  Params params;
  Status status = Status::running;
  double reached = 0;                ///< resource
  std::optional<double> value = {};  ///< mean over the repeats at `reached`
  /// 95 % interval of the value and its n: Student's t over the repeats; of one repeat what the objective says (NaN, 0:
  /// nothing).
  double low = std::numeric_limits<double>::quiet_NaN();
  double high = std::numeric_limits<double>::quiet_NaN();
  std::int64_t n = 0;
  std::vector<std::pair<double, double>> values = {};  ///< at each resource it was looked at
  std::int64_t iterations = 0;                         ///< of all repeats
  double seconds = 0;                                  ///< of all repeats
  std::string error = {};
};

/// A search, as a state machine: ask() for jobs, tell() what came of them, in any order.
///
///   tune::Study study(space, {.mode = "min", .num_trials = 100});
///   while (auto job = study.ask()) study.tell(*job, {.value = f(job->params)});
///   study.best()->params
///
/// In deterministic mode time is virtual: `max_concurrent` slots, in which one unit of resource takes one unit of time.
/// Reports that arrive early wait until all that end before them in virtual time are there, so decisions depend on
/// values alone, never on who was faster.
///
/// With a journal every decision is on file before ask() hands it out. A Study made with the journal of an earlier one
/// goes on exactly where that stood: finished jobs are not asked for again, unfinished ones are. The space and all
/// options must be as before, but num_trials may grow. Not synchronised; one journal is held by one Study at a time.
class Study {
 public:
  /// Throws TuneError: options that cannot work, a journal of another study, a damaged one, one in use.
  Study(Space space, StudyOptions options);
  ~Study();
  Study(Study&&) noexcept;

  /// The next job; nothing while all wait for reports, and at the end. Each is handed out once.
  std::optional<Job> ask();
  /// What came of a job that ask() gave. Throws TuneError for one that is not open.
  void tell(const Job& job, const Report& report);
  /// The job failed for good, which fails its trial.
  void fail(const Job& job, const std::string& error);
  /// Brings what was told to the file (ask() does so too).
  void flush();

  bool finished() const;
  const std::vector<Trial>& trials() const;
  /// The best completed trial, or the best of all that have a value while none is completed. The earlier of equals.
  const Trial* best() const;
  double now() const;  ///< virtual time
  const Space& space() const;
  const StudyOptions& options() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mobula::tune
