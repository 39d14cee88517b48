#include <mobula/rl/train.h>

#include <array>
#include <exception>
#include <string>

#include "rl/algos/algorithms.h"
#include "rl/fairness/check.h"
#include "rl/train/evaluation.h"
#include "rl/train/experiment.h"
#include "rl/train/memory_need.h"
#include "rl/train/trainer.h"
#include "runtime/base/memory.h"

namespace mobula::rl {
namespace {

/// Some held-out episodes of the first baseline, or of the untrained policy, tell what is reported and how far episodes
/// lie apart. Few are enough for most; nothing is refused for what only a few said.
std::string problem_with_pilot(const TrainOptions& options) {
  constexpr std::array kEpisodes{4, 64};
  if (options.fairness.constraints.empty()) return {};
  const auto learner = make_learner(options.env.info, options.algorithm, options.seed, options.stop.env_steps);
  EvaluationActor actor(actor_setup(options, learner->spec()));
  std::string problem;
  for (const int episodes : kEpisodes) {
    const EvaluationResult pilot =
        actor.play(Array<float>(learner->policy()),
                   {.count = episodes, .baseline = options.env.info.baseline_names.empty() ? -1 : 0});
    problem = rl::problem_with_pilot(options.fairness, options.env.info, pilot.episodes, options.evaluate.episodes);
    if (problem.empty()) break;
  }
  return problem;
}

}  // namespace

std::string check_before_training(const TrainOptions& options) {
  if (std::string problem = problem_with(options); !problem.empty()) return problem;
  if (std::string problem = problem_with_memory(options, available_memory()); !problem.empty()) return problem;
  try {
    options.env.factory(options.env.config, {.count = 1, .seed = options.seed});
    return problem_with_pilot(options);
  } catch (const std::exception& error) {
    return std::string("env: ") + error.what();
  }
  return {};
}

namespace {

void check(const TrainOptions& options) {
  if (const std::string problem = check_before_training(options); !problem.empty()) throw TrainError(problem);
}

TrainResult run_on_own_runtime(const TrainOptions& options, const Callbacks& callbacks, Trainer::Begin begin) {
  check(options);
  // First: what cannot start leaves no run directory behind.
  Runtime runtime = Runtime::start({.workers = options.workers});
  return Trainer(options, callbacks, begin).run(runtime);
}

}  // namespace

TrainResult train(const TrainOptions& options, const Callbacks& callbacks) {
  return run_on_own_runtime(options, callbacks, Trainer::Begin::anew);
}
TrainResult resume(const TrainOptions& options, const Callbacks& callbacks) {
  return run_on_own_runtime(options, callbacks, Trainer::Begin::resume);
}
TrainResult train(Runtime& runtime, const TrainOptions& options, const Callbacks& callbacks) {
  check(options);
  return Trainer(options, callbacks, Trainer::Begin::anew).run(runtime);
}
TrainResult resume(Runtime& runtime, const TrainOptions& options, const Callbacks& callbacks) {
  check(options);
  return Trainer(options, callbacks, Trainer::Begin::resume).run(runtime);
}

const Metrics* TrainResult::find(std::string_view policy) const {
  for (const auto& entry : policies) {
    if (entry.policy == policy) return &entry.metrics;
  }
  return nullptr;
}

}  // namespace mobula::rl
