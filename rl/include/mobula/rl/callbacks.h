#pragma once

#include <mobula/rl/estimate.h>
#include <mobula/rl/stage_seconds.h>

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace mobula::rl {

struct EpisodeEnd;
struct TrainResult;

/// What a callback may ask for. `stop` ends training after the present iteration as any other stopping rule does: with
/// a checkpoint, the final evaluation and a result.
enum class Flow { go_on, stop };

/// A function of an event, from anything that can be called with it and returns Flow or nothing. Runs in the thread
/// that trains; an exception it throws ends training and comes out of train().
template <class Event>
class Callback {
 public:
  Callback() = default;
  template <class F>
  requires(std::invocable<F&, const Event&> && !std::same_as<std::remove_cvref_t<F>, Callback>) Callback(F function)
      : function_([f = std::move(function)](const Event& event) mutable {
          if constexpr (std::same_as<std::invoke_result_t<F&, const Event&>, Flow>) {
            return f(event);
          } else {
            f(event);
            return Flow::go_on;
          }
        }) {}
  Flow operator()(const Event& event) const { return function_ ? function_(event) : Flow::go_on; }
  explicit operator bool() const { return static_cast<bool>(function_); }

 private:
  std::function<Flow(const Event&)> function_;
};

/// Where training stands at the end of an iteration.
struct Progress {
  std::int64_t iteration = 0;  ///< iterations done since the run began, over all its resumptions
  std::int64_t env_steps = 0;
  std::int64_t episodes = 0;      ///< finished ones
  std::int64_t env_restarts = 0;  ///< environments made anew because they threw or stalled
  double wall_seconds = 0;        ///< over all resumptions
};

struct StartEvent {
  std::filesystem::path run_directory;  ///< empty: nothing is written
  Progress progress;                    ///< all 0, or where the resumed run stood
  std::int64_t total_env_steps = 0;     ///< when it will stop, if nothing else stops it
  std::vector<std::string> notes;       ///< what a user should know: checkpoints that could not be used, and so on
};

struct RolloutEvent {
  Progress progress;
  std::span<const EpisodeEnd> ended;  ///< episodes that ended in this rollout, by time and then by environment
  double return_mean = 0;             ///< of the last 100 training episodes (NaN before the first)
  double seconds = 0;                 ///< spent collecting
};

/// Where training stands on one signed part of a constraint, from the last training episodes.
struct ConstraintProgress {
  std::string_view metric;  ///< as the options name it
  std::string_view part;    ///< "side - main"; empty where the constraint is one part
  bool upper = true;        ///< at most `limit`; false: at least
  double limit = 0;
  double value = 0;  ///< NaN: not known yet
  double bound = 0;  ///< the confidence bound that is held against the limit; NaN: not known yet
  double multiplier = 0;
  int updates_at_cap = 0;  ///< in a row, up to now
};

struct UpdateEvent {
  Progress progress;
  std::span<const std::pair<std::string_view, double>> statistics;  ///< policy_loss, entropy, approx_kl and so on
  double seconds = 0;
  StageSeconds stages = {};  ///< where the time went so far
  std::span<const ConstraintProgress> constraints = {};
};

struct EvaluationEvent {
  Progress progress;   ///< of the policy that was evaluated; training may have gone on since
  bool final = false;  ///< the evaluation at the end: of the trained policy, then of each baseline
  std::string_view policy;
  const Metrics& metrics;
};

struct CheckpointEvent {
  Progress progress;
  std::filesystem::path file;
};

/// Called at each step of the training loop, in this order within an iteration: rollout, update, evaluation (those that
/// have arrived), checkpoint.
struct Callbacks {
  Callback<StartEvent> on_start;
  Callback<RolloutEvent> on_rollout;
  Callback<UpdateEvent> on_update;
  Callback<EvaluationEvent> on_evaluation;
  Callback<CheckpointEvent> on_checkpoint;
  Callback<TrainResult> on_finish;
};

}  // namespace mobula::rl
