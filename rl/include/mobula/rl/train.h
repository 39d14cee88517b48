#pragma once

#include <mobula/fields.h>
#include <mobula/rl/algorithm_options.h>
#include <mobula/rl/callbacks.h>
#include <mobula/rl/environment_spec.h>
#include <mobula/rl/estimate.h>
#include <mobula/rl/fairness.h>
#include <mobula/rl/stage_seconds.h>
#include <mobula/rl/verdict.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace mobula {
class Runtime;
}

namespace mobula::rl {

/// When training ends: as soon as one of the rules holds at the end of an iteration.
struct StopOptions {
  std::int64_t env_steps = 1'000'000;       ///< steps of all environments; schedules end here too
  std::optional<double> return_mean = {};   ///< mean return of the last 100 training episodes is at least this
  std::optional<double> wall_seconds = {};  ///< of this process; a run that stops by it does not repeat exactly
  void describe(Fields& f);
};

/// Evaluation of the frozen policy on held-out episodes, by actors of its own while training goes on. Nothing of it
/// feeds back into training.
struct EvaluateOptions {
  std::int64_t every = 0;              ///< iterations between evaluations; 0: at the end only
  std::int64_t episodes = 20;          ///< in each evaluation, the same ones each time
  std::vector<std::string> baselines;  ///< of the environment, evaluated at the end on the same episodes
  bool deterministic = true;           ///< take the most likely action instead of a random one
  int workers = 1;                     ///< evaluation actors while training goes on
  void describe(Fields& f);
};

struct CheckpointOptions {
  std::int64_t every = 0;  ///< iterations between checkpoints; 0: about 20 in a run
  int keep = 3;            ///< how many of the newest are kept
  void describe(Fields& f);
};

/// A training run. The YAML file of `mobula train` says the same with the same names.
struct TrainOptions {
  std::string experiment = "experiment";
  EnvironmentSpec env;         ///< environment<CartPole>("cartpole", {...})
  AlgorithmOptions algorithm;  ///< PpoOptions{.lr = 1e-3}
  int workers = 2;             ///< rollout actors; 0: everything in this process
  std::uint64_t seed = 0;
  StopOptions stop;
  EvaluateOptions evaluate;
  CheckpointOptions checkpoint;
  FairnessOptions fairness;
  /// Share of stop.env_steps, at the end, over which the trained policy's parameters are averaged; 0: it is the last
  /// one. Training itself goes on from the last one.
  double average_last = 0;

  std::filesystem::path run_directory = {};  ///< new or empty; by default runs/<experiment>-<n> with the next free n
  bool write = true;                         ///< false: no run directory, nothing touches the disk
  std::function<bool()> interrupted = {};    ///< asked often; true: checkpoint and return at once, without evaluation
};

struct TrainResult {
  std::filesystem::path run_directory;
  bool interrupted = false;
  std::string stopped_by;  ///< "env_steps", "return_mean", "wall_seconds", "callback", "interrupt",
                           ///< "constraint_not_met"
  Progress progress;
  double wall_seconds = 0;
  double cpu_seconds = 0;  ///< of all processes; of the first run since this one began
  StageSeconds stages;     ///< where the wall time went, over all resumptions
  WorkSeconds work;        ///< what was done in it, likewise
  /// The rate of the learner's floating-point operations while it updates, as a share of the rate of a matrix product
  /// on one core of this machine (512 x 512 x 512, single precision); NaN where nothing was written, and where the
  /// learner has no networks or one of your own.
  double learner_floor_share = std::numeric_limits<double>::quiet_NaN();
  double training_return_mean = 0;      ///< of the last 100 training episodes (NaN if none ended)
  Estimate training_return;             ///< the same with its interval, as though the policy had stood still
  std::string parameters_sha256;        ///< of `parameters`, as little-endian floats
  std::vector<float> parameters;        ///< all that was learnt: policy, value functions, target
                                        ///< networks; of the last round, whatever average_last says
  std::vector<PolicyMetrics> policies;  ///< the final evaluation: "trained" and the baselines
  /// The gate: what the final evaluation, and training itself, say of the trained policy's constraints.
  std::vector<ConstraintResult> constraints;

  const Metrics* find(std::string_view policy) const;
};

/// The options or the run directory cannot be used; nothing was written.
class TrainError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Trains on a runtime of its own with `workers` worker processes (none for 0). `mobula::init` must have run. Throws
/// TrainError before anything is written, if the options cannot work.
///
/// For one build and CPU type the parameters depend on the options and the seed alone: not on the number of workers,
/// on workers that die, nor on where the run was stopped and resumed. (But for IMPALA and APPO where they were told to
/// be otherwise: deterministic = false.)
TrainResult train(const TrainOptions& options, const Callbacks& callbacks = {});

/// The same on a runtime that the caller has started: rollout and evaluation actors reserve no cpu there.
TrainResult train(Runtime& runtime, const TrainOptions& options, const Callbacks& callbacks = {});

/// Goes on from the newest checkpoint in options.run_directory, which must be one of a run with the same environment,
/// algorithm, fairness and seed; stop, evaluate, checkpoint and workers may differ from before.
TrainResult resume(const TrainOptions& options, const Callbacks& callbacks = {});
TrainResult resume(Runtime& runtime, const TrainOptions& options, const Callbacks& callbacks = {});

}  // namespace mobula::rl
