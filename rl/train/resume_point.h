#pragma once

#include <cstdint>
#include <set>
#include <string_view>

namespace mobula::rl {

/// Where a run goes on from, and so what of its records still holds: what came after is done again.
struct ResumePoint {
  std::int64_t iteration = 0;
  std::int64_t env_steps = 0;
  /// Iterations (and their steps) whose evaluation of the trained policy was under way; it is made again.
  std::set<std::int64_t> evaluated_again, steps_evaluated_again;
  /// The run had come to its end at this iteration, so the final evaluation there is whole.
  bool finished = false;

  bool holds(std::int64_t of_iteration) const { return of_iteration <= iteration; }
  /// Evaluations at the point itself are final ones, or under way.
  bool holds_evaluation(std::int64_t of_iteration, std::string_view policy) const {
    return holds_evaluation(of_iteration, iteration, policy == "trained", evaluated_again);
  }
  bool holds_evaluation_at_step(std::int64_t of_step, bool trained) const {
    return holds_evaluation(of_step, env_steps, trained, steps_evaluated_again);
  }

 private:
  bool holds_evaluation(std::int64_t when, std::int64_t now, bool trained, const std::set<std::int64_t>& again) const {
    if (when >= now) return when == now && finished;
    return !(trained && again.contains(when));
  }
};

}  // namespace mobula::rl
