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

#include "rl/algos/ppo/ppo.h"
#include "rl/fairness/controller.h"
#include "rl/train/evaluation.h"
#include "rl/train/hooks.h"
#include "rl/train/records.h"
#include "rl/train/rollout.h"
#include "rl/train/run_directory.h"
#include "rl/train/stage_clock.h"

namespace mobula::rl {

/// What is wrong with the options, or an environment that does not start; empty if training can begin. Starts nothing
/// and writes nothing.
std::string check_before_training(const TrainOptions& options);

/// One training run, from its start or from its newest checkpoint to its end. The learner is here, in the calling
/// process; rollouts and evaluations are calls of actors.
///
/// The state of a run between two iterations is the learner, the snapshots of all environments and some counters; a
/// checkpoint is just that, and an iteration that was interrupted leaves no trace.
class Trainer {
 public:
  enum class Begin { anew, resume };
  /// Opens (or makes) the run directory and reads the checkpoint. Throws TrainError.
  Trainer(const TrainOptions& options, const Callbacks& callbacks, Begin begin, Hooks hooks = {});
  ~Trainer();

  /// Once.
  TrainResult run(Runtime& runtime);

 private:
  using Clock = std::chrono::steady_clock;
  enum class Outcome { done, interrupted };

  void open(Begin begin);
  void load(const Checkpoint& checkpoint);
  Checkpoint state() const;
  void save_checkpoint();

  std::string reason_to_stop() const;
  bool interrupted() const { return options_.interrupted && options_.interrupted(); }
  void spawn_rollout_actors(Runtime& runtime);
  Outcome iterate(Runtime& runtime, Evaluator& evaluator);
  Outcome collect(Runtime& runtime, std::vector<RolloutResult>& parts);
  const Ref<Array<float>>& weights(Runtime& runtime);
  void gate();
  void learn(const std::vector<RolloutResult>& parts, double collect_seconds);
  Outcome evaluate_now_and_then(Runtime& runtime, Evaluator& evaluator);
  void deliver(const Evaluator::Finished& finished);
  Outcome evaluate_finally(Runtime& runtime, Evaluator& evaluator);

  template <class Event>
  void tell(const Callback<Event>& callback, const Event& event) {
    const auto span = stages_.span(Stage::other);
    if (callback(event) == Flow::stop) stop_asked_ = true;
  }
  double wall_seconds() const;
  double training_return_mean() const;
  ActorSetup actor_setup() const;

  // Constant after construction.
  const TrainOptions options_;
  const Callbacks callbacks_;
  const Hooks hooks_;
  const Clock::time_point started_ = Clock::now();
  const FragmentLayout layout_;
  std::optional<RunDirectory> directory_;
  std::unique_ptr<ProgressLog> log_;
  std::vector<std::string> notes_;

  // The state of the run.
  PpoLearner learner_;
  Controller fairness_;
  std::vector<std::vector<std::byte>> snapshots_;  // of each environment; empty before the first iteration
  Progress progress_;
  std::deque<double> returns_;               // of the last 100 training episodes
  double wall_before_ = 0, cpu_before_ = 0;  // used before this resumption

  // Of this process only.
  StageClock stages_;
  std::vector<FragmentLine> memory_;  // the fragment of all environments
  std::vector<Actor<RolloutActor>> actors_;
  Ref<Array<float>> weights_;  // the present parameters, once someone asked for them
  std::vector<PolicyMetrics> policies_;
  std::vector<ConstraintResult> constraints_;  // of the trained policy
  CpuMeter meter_;
  std::int64_t saved_iteration_ = -1;
  bool stop_asked_ = false;
};

}  // namespace mobula::rl
