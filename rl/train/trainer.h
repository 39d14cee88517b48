#pragma once

#include <mobula/rl/train.h>
#include <mobula/runtime.h>

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rl/algos/learner.h"
#include "rl/fairness/controller.h"
#include "rl/train/evaluation.h"
#include "rl/train/free_sampler.h"
#include "rl/train/hooks.h"
#include "rl/train/iteration_totals.h"
#include "rl/train/policy_average.h"
#include "rl/train/records.h"
#include "rl/train/run_directory.h"
#include "rl/train/run_log.h"
#include "rl/train/sampler.h"
#include "rl/train/stage_clock.h"
#include "rl/train/worker_watch.h"

namespace mobula::rl {

/// What is wrong with the options, or an environment that does not start; empty if training can begin. Starts nothing
/// and writes nothing.
std::string check_before_training(const TrainOptions& options);

/// What the actors of the run are made of.
ActorSetup actor_setup(const TrainOptions& options, const nn::PolicySpec& policy);

/// One training run, from its start or from its newest checkpoint to its end. The learner is here, in the calling
/// process; rollouts and evaluations are calls of actors.
///
/// The state of a run between two rounds is the learner, the snapshots of all environments and some counters; a
/// checkpoint is just that, and a round that was interrupted leaves no trace. Most algorithms make one round an
/// iteration; see Learner::rounds().
class Trainer {
 public:
  enum class Begin { anew, resume };
  /// Opens (or makes) the run directory and reads the checkpoint. Throws TrainError.
  Trainer(const TrainOptions& options, const Callbacks& callbacks, Begin begin, Hooks hooks = {});
  ~Trainer();

  /// Once.
  TrainResult run(Runtime& runtime);

 private:
  static constexpr std::size_t kReturnWindow = 100;
  using Clock = std::chrono::steady_clock;
  enum class Outcome { done, interrupted };

  TrainResult run_to_end(Runtime& runtime);
  void open(Begin begin);
  void load(const Checkpoint& checkpoint);
  Checkpoint state(const Evaluator& evaluator) const;
  void save_checkpoint(const Evaluator& evaluator);
  void log_start(Begin begin);
  void log_deaths();
  void log_failure(const std::string& what);
  void log_end(const TrainResult& result);
  void write_result(const TrainResult& result) const;

  std::string reason_to_stop() const;
  bool interrupted() const { return options_.interrupted && options_.interrupted(); }
  Outcome iterate(Runtime& runtime, Evaluator& evaluator);
  void spawn_actors(Runtime& runtime, const ActorSetup& setup);
  std::optional<Sampler::Collected> collect(Runtime& runtime);         // nothing if interrupted
  std::optional<Sampler::Collected> collect_freely(Runtime& runtime);  // the same
  const Ref<Array<float>>& weights(Runtime& runtime);
  Ref<Array<float>> behaviour(Runtime& runtime, int ahead);
  double averaged_from() const;               // the step of the run from which policies are averaged
  std::vector<float> trained_policy() const;  // what is evaluated and stored
  Ref<Array<float>> trained_weights(Runtime& runtime);
  void gate();
  void learn(const Sampler::Collected& collected, bool last, double collect_seconds, IterationTotals& totals);
  void restart_evaluations(Runtime& runtime, Evaluator& evaluator);
  Outcome evaluate_now_and_then(Runtime& runtime, Evaluator& evaluator);
  void deliver(const Evaluator::Finished& finished);
  Outcome evaluate_finally(Runtime& runtime, Evaluator& evaluator);

  template <class Event>
  void tell(const Callback<Event>& callback, const Event& event) {
    const auto span = stages_.span(Stage::other);
    if (callback(event) == Flow::stop) stop_asked_ = true;
  }
  double wall_seconds() const;
  StageSeconds stages_of_run() const;  ///< over all resumptions
  WorkSeconds work_here() const;       ///< in this process
  WorkSeconds work_of_run() const;
  double floor_share(double operations, double update_seconds) const;
  Statistics stage_columns();  ///< since the last call
  double seconds_since(Clock::time_point then) const;
  double training_return_mean() const;
  std::int64_t checkpoint_period() const;

  // Constant after construction.
  const TrainOptions options_;
  const Callbacks callbacks_;
  const Hooks hooks_;
  const Clock::time_point started_ = Clock::now();
  std::optional<RunDirectory> directory_;
  std::unique_ptr<RunLog> log_;
  std::vector<std::string> notes_;

  // The state of the run.
  std::unique_ptr<Learner> learner_;
  Controller fairness_;
  Sampler sampler_;
  std::optional<FreeSampler> free_sampler_;  // in its place, for learners that take what arrives
  Progress progress_;
  PolicyAverage average_;
  std::deque<double> returns_;               // of the last 100 training episodes
  double wall_before_ = 0, cpu_before_ = 0;  // used before this resumption
  StageSeconds stages_before_;
  WorkSeconds work_before_;
  std::vector<StoredEvaluation> evaluations_to_restart_;

  // Of this process only.
  StageClock stages_;
  StageSeconds stages_logged_;
  WorkSeconds sampling_;  // but for what the learner knows itself
  WorkSeconds work_logged_;
  Ref<Array<float>> weights_;  // the present parameters, once someone asked for them
  std::vector<PolicyMetrics> policies_;
  std::vector<ConstraintResult> constraints_;  // of the trained policy
  CpuMeter meter_;
  WorkerWatch watch_;
  std::int64_t saved_steps_ = -1;
  bool stop_asked_ = false;
};

}  // namespace mobula::rl
