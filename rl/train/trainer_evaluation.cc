// Evaluations of a run, and the gate at its end.
#include <algorithm>
#include <chrono>

#include "rl/train/trainer.h"

namespace mobula::rl {
namespace {

/// How often a wait looks whether the program was asked to stop.
constexpr std::chrono::milliseconds kGlance{20};

}  // namespace

Trainer::Outcome Trainer::evaluate_now_and_then(Runtime& runtime, Evaluator& evaluator) {
  const auto span = stages_.span(Stage::evaluate);
  while (const auto finished = evaluator.take(std::chrono::milliseconds(0), meter_)) deliver(*finished);
  if (options_.evaluate.every == 0 || progress_.iteration % options_.evaluate.every != 0) return Outcome::done;
  // Every evaluation that was asked for is made: when they take longer than training, training waits.
  while (evaluator.pending() >= 2) {
    if (const auto finished = evaluator.take(kGlance, meter_)) deliver(*finished);
    if (interrupted()) return Outcome::interrupted;
  }
  evaluator.start({.progress = progress_,
                   .episodes = static_cast<int>(options_.evaluate.episodes),
                   .deterministic = options_.evaluate.deterministic},
                  weights(runtime));
  return Outcome::done;
}

void Trainer::deliver(const Evaluator::Finished& finished) {
  const EvaluationEvent event{finished.request.progress, finished.request.final, finished.request.policy,
                              finished.metrics};
  if (log_) log_->add(event);
  if (hooks_.evaluate) hooks_.evaluate(event);
  if (finished.request.final) policies_.push_back({finished.request.policy, finished.metrics, finished.constraints});
  tell(callbacks_.on_evaluation, event);
}

Trainer::Outcome Trainer::evaluate_finally(Runtime& runtime, Evaluator& evaluator) {
  const auto span = stages_.span(Stage::evaluate);
  // Training is over: the whole machine evaluates.
  evaluator.grow(std::max({options_.workers, options_.evaluate.workers, 1}));
  for (const auto& request : final_requests(options_, progress_)) {
    if (interrupted()) return Outcome::interrupted;
    evaluator.start(request, weights(runtime));
  }
  while (evaluator.pending() > 0) {
    if (const auto finished = evaluator.take(kGlance, meter_)) deliver(*finished);
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
