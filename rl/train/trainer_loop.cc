// The training loop: rounds of collecting and learning, iterations, what is told and written after each.
#include <algorithm>
#include <numeric>
#include <utility>

#include "rl/train/sha256.h"
#include "rl/train/statistics.h"
#include "rl/train/trainer.h"

namespace mobula::rl {

TrainResult Trainer::run(Runtime& runtime) {
  try {
    return run_to_end(runtime);
  } catch (const FileError& error) {
    // What is on the disk is whole, so nothing is lost but the iterations since the newest checkpoint.
    std::string what = error.what();
    if (directory_) what += "; when that is mended, go on by: mobula train --resume " + directory_->path().string();
    throw FileError(what);
  } catch (const std::exception& error) {
    log_failure(error.what());
    throw;
  }
}

TrainResult Trainer::run_to_end(Runtime& runtime) {
  StartEvent start;
  start.progress = progress_;
  start.total_env_steps = options_.stop.env_steps;
  start.notes = notes_;
  if (directory_) start.run_directory = directory_->path();
  tell(callbacks_.on_start, start);

  TrainResult result;
  result.run_directory = start.run_directory;
  Outcome outcome = Outcome::done;
  {
    const ActorSetup setup = actor_setup(options_, learner_->spec());
    Evaluator evaluator(runtime, setup, options_.env.info, options_.fairness, options_.seed);
    if (options_.evaluate.every > 0) evaluator.grow(options_.evaluate.workers);
    restart_evaluations(runtime, evaluator);
    for (;;) {
      result.stopped_by = reason_to_stop();
      if (!result.stopped_by.empty()) break;
      spawn_actors(runtime, setup);
      outcome = iterate(runtime, evaluator);
      if (outcome == Outcome::interrupted) break;
    }
    save_checkpoint(evaluator);
    sampler_.dismiss();
    if (free_sampler_) free_sampler_->dismiss();
    if (outcome == Outcome::done) outcome = evaluate_finally(runtime, evaluator);
  }
  result.interrupted = outcome == Outcome::interrupted;
  if (result.interrupted) result.stopped_by = "interrupt";
  progress_.wall_seconds = wall_seconds();
  result.progress = progress_;
  result.wall_seconds = progress_.wall_seconds;
  result.cpu_seconds = cpu_before_ + meter_.seconds();
  result.stages = stages_of_run();
  result.work = work_of_run();
  result.learner_floor_share = floor_share(result.work.operations, result.stages[Stage::update]);
  result.training_return_mean = training_return_mean();
  result.training_return = mean_estimate(std::vector<double>(returns_.begin(), returns_.end()));
  result.parameters.assign(learner_->parameters().begin(), learner_->parameters().end());
  result.parameters_sha256 = sha256(std::as_bytes(learner_->parameters()));
  result.policies = policies_;
  result.constraints = constraints_;
  if (!result.interrupted) write_result(result);
  log_end(result);
  if (!result.interrupted) tell(callbacks_.on_finish, result);
  return result;
}

Trainer::Outcome Trainer::iterate(Runtime& runtime, Evaluator& evaluator) {
  IterationTotals totals;
  bool last;
  do {
    if (interrupted()) return Outcome::interrupted;
    const auto began = Clock::now();
    const double waited = stages_.seconds()[Stage::collect];
    const auto collected = collect(runtime);
    if (!collected) return Outcome::interrupted;
    const double seconds = seconds_since(began);
    sampling_ += {.environment = collected->seconds.environment,
                  .inference = collected->seconds.inference,
                  .transfer = collected->seconds.transfer,
                  .idle = std::max(0.0, stages_.seconds()[Stage::collect] - waited - collected->here)};
    last = (learner_->iteration() + 1) % learner_->rounds() == 0 ||
           progress_.env_steps + learner_->rollout().total() >= options_.stop.env_steps;
    learn(*collected, last, seconds, totals);
  } while (!last);
  if (evaluate_now_and_then(runtime, evaluator) == Outcome::interrupted) return Outcome::interrupted;
  if (progress_.iteration % checkpoint_period() == 0) save_checkpoint(evaluator);
  return Outcome::done;
}

void Trainer::spawn_actors(Runtime& runtime, const ActorSetup& setup) {
  if (free_sampler_) {
    if (!free_sampler_->spawned()) free_sampler_->spawn(runtime, options_.workers, setup, learner_->iteration());
  } else if (!sampler_.spawned()) {
    sampler_.spawn(runtime, options_.workers, setup);
  }
}

std::optional<Sampler::Collected> Trainer::collect_freely(Runtime& runtime) {
  const FreeSampler::Behaviour behaviour{weights(runtime), learner_->iteration(), learner_->exploration()};
  auto collected = free_sampler_->collect(runtime, behaviour, options_.stop.env_steps - progress_.env_steps,
                                          options_.interrupted, meter_, watch_);
  if (!collected) return std::nullopt;
  learner_->collected_by(collected->versions);
  return *std::move(collected);
}

std::optional<Sampler::Collected> Trainer::collect(Runtime& runtime) {
  const auto span = stages_.span(Stage::collect);
  if (free_sampler_) return collect_freely(runtime);
  if (!sampler_.started()) sampler_.start(behaviour(runtime, 0), learner_->iteration(), learner_->exploration());
  auto collected = sampler_.finish(runtime, options_.interrupted, meter_, &watch_);
  // The next rollout may be under way while the learner is busy with this one, if the policy that collects it is there.
  const bool more = progress_.env_steps + learner_->rollout().total() < options_.stop.env_steps;
  if (collected && more && learner_->lag() > 0) {
    sampler_.start(behaviour(runtime, 1), learner_->iteration() + 1, learner_->exploration());
  }
  return collected;
}

Ref<Array<float>> Trainer::behaviour(Runtime& runtime, int ahead) {
  const auto policy = learner_->behaviour(ahead);
  if (policy.data() == learner_->policy().data()) return weights(runtime);
  const auto span = stages_.span(Stage::broadcast);
  return runtime.put(Array<float>(policy));
}

const Ref<Array<float>>& Trainer::weights(Runtime& runtime) {
  const auto span = stages_.span(Stage::broadcast);
  if (!weights_) weights_ = runtime.put(Array<float>(learner_->policy()));
  return weights_;
}

Ref<Array<float>> Trainer::trained_weights(Runtime& runtime) {
  if (average_.empty()) return weights(runtime);
  const auto span = stages_.span(Stage::broadcast);
  return runtime.put(Array<float>(trained_policy()));
}

void Trainer::learn(const Sampler::Collected& collected, bool last, double collect_seconds, IterationTotals& totals) {
  const auto span = stages_.span(Stage::update);
  const auto began = Clock::now();
  Progress next = progress_;
  if (last) ++next.iteration;
  next.env_steps += learner_->steps_in(collected.fragment);
  next.episodes += static_cast<std::int64_t>(collected.ended.size());
  next.env_restarts += collected.env_restarts;
  next.wall_seconds = wall_seconds();
  for (const auto& end : collected.ended) {
    returns_.push_back(end.total);
    if (returns_.size() > kReturnWindow) returns_.pop_front();
  }
  const double return_mean = training_return_mean();
  tell(callbacks_.on_rollout, RolloutEvent{next, collected.ended, return_mean, collect_seconds});

  fairness_.accumulate(collected.ended);
  if (hooks_.accumulate) hooks_.accumulate(next, collected.costs);
  if (last) fairness_.constrain(next.iteration);
  if (last && hooks_.constrain) hooks_.constrain(next);
  totals.add(learner_->learn(collected.fragment));
  weights_ = {};
  progress_ = next;
  if (static_cast<double>(progress_.env_steps) > averaged_from()) average_.add(learner_->policy());
  totals.update_seconds += seconds_since(began);
  log_deaths();
  if (!last) return;

  Statistics statistics = totals.means();
  statistics.emplace_back("env_restarts", static_cast<double>(progress_.env_restarts));
  for (const auto& entry : stage_columns()) statistics.push_back(entry);
  for (const auto& entry : fairness_.series()) statistics.push_back(entry);
  std::vector<ConstraintProgress> constraints;
  if (log_ || callbacks_.on_update) constraints = fairness_.progress();
  if (log_) {
    const auto writing = stages_.span(Stage::checkpoint);
    log_->iteration(progress_, return_mean, statistics, constraints);
  }
  tell(callbacks_.on_update, UpdateEvent{progress_, statistics, totals.update_seconds, stages_.seconds(), constraints});
}

}  // namespace mobula::rl
