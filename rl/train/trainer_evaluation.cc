// Evaluations of a run, and the gate at its end.
#include <algorithm>
#include <utility>

#include "rl/train/trainer.h"

namespace mobula::rl {

void Trainer::restart_evaluations(Runtime& runtime, Evaluator& evaluator) {
  for (const auto& one : std::exchange(evaluations_to_restart_, {})) {
    // Where the run stops at once, the final evaluation says the same.
    if (one.iteration == progress_.iteration && !reason_to_stop().empty()) continue;
    evaluator.grow(1);
    evaluator.start({.progress = {.iteration = one.iteration,
                                  .env_steps = one.env_steps,
                                  .episodes = one.episodes,
                                  .wall_seconds = one.wall_seconds},
                     .episodes = static_cast<int>(options_.evaluate.episodes),
                     .deterministic = options_.evaluate.deterministic},
                    runtime.put(Array<float>(std::span<const float>(one.parameters))));
  }
}

Trainer::Outcome Trainer::evaluate_now_and_then(Runtime& runtime, Evaluator& evaluator) {
  const auto span = stages_.span(Stage::evaluate);
  while (const auto finished = evaluator.take(std::chrono::milliseconds(0), meter_, &watch_)) deliver(*finished);
  if (options_.evaluate.every == 0 || progress_.iteration % options_.evaluate.every != 0) return Outcome::done;
  // At the end of training comes the final evaluation, of this same policy on the same episodes.
  if (!reason_to_stop().empty()) return Outcome::done;
  // Every evaluation that was asked for is made: when they take longer than training, training waits.
  while (evaluator.pending() >= 2) {
    if (const auto finished = evaluator.take(kGlance, meter_, &watch_)) deliver(*finished);
    if (interrupted()) return Outcome::interrupted;
  }
  evaluator.start({.progress = progress_,
                   .episodes = static_cast<int>(options_.evaluate.episodes),
                   .deterministic = options_.evaluate.deterministic},
                  trained_weights(runtime));
  return Outcome::done;
}

void Trainer::deliver(const Evaluator::Finished& finished) {
  const EvaluationEvent event{finished.request.progress, finished.request.final, finished.request.policy,
                              finished.metrics};
  log_deaths();
  if (log_) log_->evaluation(event, finished.constraints);
  if (hooks_.evaluate) hooks_.evaluate(event);
  if (finished.request.final) policies_.push_back({finished.request.policy, finished.metrics, finished.constraints});
  tell(callbacks_.on_evaluation, event);
}

Trainer::Outcome Trainer::evaluate_finally(Runtime& runtime, Evaluator& evaluator) {
  const auto span = stages_.span(Stage::evaluate);
  if (log_) log_->drop_final_evaluation(progress_);
  // Training is over: the whole machine evaluates.
  evaluator.grow(std::max({options_.workers, options_.evaluate.workers, 1}));
  const auto trained = trained_weights(runtime);
  for (const auto& request : final_requests(options_, progress_)) {
    if (interrupted()) return Outcome::interrupted;
    evaluator.start(request, trained);
  }
  while (evaluator.pending() > 0) {
    if (const auto finished = evaluator.take(kGlance, meter_, &watch_)) deliver(*finished);
    if (interrupted()) return Outcome::interrupted;
  }
  gate();
  return Outcome::done;
}

void Trainer::gate() {
  // The trained policy is the first that was asked for.
  if (!policies_.empty()) constraints_ = policies_.front().constraints;
  if (const auto not_met = fairness_.given_up(); not_met && *not_met < constraints_.size()) {
    ConstraintResult& constraint = constraints_[*not_met];
    constraint.verdict = Verdict::failed;
    constraint.reason = fairness_.reason(*not_met);
    policies_.front().constraints = constraints_;
  }
  if (hooks_.gate) hooks_.gate(policies_);
}

}  // namespace mobula::rl
