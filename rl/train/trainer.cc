#include "rl/train/trainer.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

#include "rl/algos/algorithms.h"
#include "rl/train/experiment.h"
#include "rl/train/records.h"
#include "rl/train/sections.h"

namespace mobula::rl {

ActorSetup actor_setup(const TrainOptions& options, const nn::PolicySpec& policy) {
  ActorSetup setup{options.env.factory, options.env.config, policy, options.seed, {}};
  for (const auto& metric : options.fairness.metrics) setup.metrics.push_back(metric.code());
  return setup;
}

Trainer::Trainer(const TrainOptions& options, const Callbacks& callbacks, Begin begin, Hooks hooks)
    : options_(options),
      callbacks_(callbacks),
      hooks_(std::move(hooks)),
      notes_(advice(options)),
      learner_(make_learner(options.env.info, options.algorithm, options.seed, options.stop.env_steps)),
      fairness_(options_.env.info, options_.fairness),
      sampler_(options_.env.info, learner_->rollout()) {
  if (!learner_->deterministic()) free_sampler_.emplace(options_.env.info, learner_->rollout());
  if (hooks_.shape) learner_->set_shape(hooks_.shape);
  if (hooks_.reward || !options_.fairness.constraints.empty() || !options_.fairness.reward_terms.empty()) {
    learner_->set_reward([this](const ConstFragment& fragment, std::span<float> rewards) {
      fairness_.shape(fragment, rewards);
      if (hooks_.reward) hooks_.reward(fragment, rewards);
    });
  }
  average_.begin(averaged_from());
  if (options_.write) {
    open(begin);
  } else if (begin == Begin::resume) {
    throw TrainError("write is off: a run that wrote nothing cannot be resumed");
  }
}

Trainer::~Trainer() = default;

void Trainer::open(Begin begin) {
  if (begin == Begin::anew) {
    directory_ = RunDirectory::create(options_.run_directory, options_.experiment);
  } else {
    directory_ = RunDirectory::open(options_.run_directory);
    check_same_run(options_, directory_->file(RunDirectory::config));
    const auto files = directory_->checkpoints().files();
    if (!files.empty()) {
      try {
        auto loaded = directory_->checkpoints().load_newest();
        for (const auto& refused : loaded.refused) notes_.push_back("a checkpoint was passed over: " + refused);
        load(loaded.checkpoint);
        saved_steps_ = progress_.env_steps;
      } catch (const std::runtime_error& error) {
        throw TrainError(error.what());
      }
    } else {
      notes_.push_back("the run was stopped before its first checkpoint; it starts anew");
    }
  }
  // The settings first: with them a run can be resumed, whenever it is killed.
  write_file(directory_->file(RunDirectory::config), write_experiment(options_));
  const auto metadata = directory_->file(RunDirectory::metadata);
  const std::string before = std::filesystem::exists(metadata) ? read_file(metadata) : "";
  write_file(metadata, metadata_json(options_.experiment, options_.seed, before));
  // What it says is of a run that had ended.
  std::filesystem::remove(directory_->file(RunDirectory::result));
  ResumePoint point{.iteration = progress_.iteration, .env_steps = progress_.env_steps};
  for (const auto& one : evaluations_to_restart_) {
    point.evaluated_again.insert(one.iteration);
    point.steps_evaluated_again.insert(one.env_steps);
  }
  log_ = std::make_unique<RunLog>(*directory_, std::move(point));
  log_start(begin);
}

Checkpoint Trainer::state(const Evaluator& evaluator) const {
  Checkpoint checkpoint;
  checkpoint.iteration = progress_.iteration;
  checkpoint.env_steps = progress_.env_steps;
  Counters counters;
  counters.episodes = progress_.episodes;
  counters.env_restarts = progress_.env_restarts;
  counters.wall_seconds = wall_seconds();
  counters.cpu_seconds = cpu_before_ + meter_.reported_seconds();
  counters.stages = stages_of_run();
  counters.work = work_of_run();
  counters.returns.assign(returns_.begin(), returns_.end());
  checkpoint.add("counters", to_json(counters));
  checkpoint.add("policy", policy_section(learner_->spec(), trained_policy()));
  checkpoint.add("learner", as_text(learner_->save()));
  if (!average_.empty()) checkpoint.add("average", as_text(encode_to_bytes(average_)));
  checkpoint.add("fairness", as_text(fairness_.save()));
  checkpoint.add("environments",
                 as_text(encode_to_bytes(free_sampler_ ? free_sampler_->snapshots() : sampler_.snapshots())));
  checkpoint.add("evaluations", as_text(encode_to_bytes(evaluator.under_way())));
  return checkpoint;
}

void Trainer::load(const Checkpoint& checkpoint) {
  const Counters counters = counters_from_json(checkpoint.section("counters"));
  learner_->load(as_bytes(checkpoint.section("learner")));
  fairness_.load(as_bytes(checkpoint.section("fairness")));
  auto snapshots = decode_from_bytes<std::vector<std::vector<std::byte>>>(as_bytes(checkpoint.section("environments")));
  if (free_sampler_) {
    free_sampler_->restore(snapshots);
  } else {
    sampler_.restore(std::move(snapshots));
  }
  if (checkpoint.has("evaluations")) {
    evaluations_to_restart_ =
        decode_from_bytes<decltype(evaluations_to_restart_)>(as_bytes(checkpoint.section("evaluations")));
  }
  progress_.iteration = checkpoint.iteration;
  progress_.env_steps = checkpoint.env_steps;
  if (checkpoint.has("average")) {
    average_ = decode_from_bytes<PolicyAverage>(as_bytes(checkpoint.section("average")));
  }
  average_.begin(averaged_from());  // a run that is now to be longer averages another part
  progress_.episodes = counters.episodes;
  progress_.env_restarts = counters.env_restarts;
  progress_.wall_seconds = counters.wall_seconds;
  wall_before_ = counters.wall_seconds;
  cpu_before_ = counters.cpu_seconds;
  stages_before_ = counters.stages;
  work_before_ = counters.work;
  returns_.assign(counters.returns.begin(), counters.returns.end());
}

std::int64_t Trainer::checkpoint_period() const {
  if (options_.checkpoint.every > 0) return options_.checkpoint.every;
  const std::int64_t steps = learner_->typical_steps() * learner_->rounds();
  return std::max<std::int64_t>(1, options_.stop.env_steps / steps / 20);
}

void Trainer::save_checkpoint(const Evaluator& evaluator) {
  if (!directory_ || saved_steps_ == progress_.env_steps) return;
  const auto span = stages_.span(Stage::checkpoint);
  log_->flush();
  const auto file = directory_->checkpoints().save(state(evaluator), options_.checkpoint.keep);
  saved_steps_ = progress_.env_steps;
  log_->event(
      "checkpoint", progress_,
      {{"file", file.lexically_relative(directory_->path()).string()}, {"bytes", std::filesystem::file_size(file)}});
  tell(callbacks_.on_checkpoint, CheckpointEvent{progress_, file});
}

double Trainer::averaged_from() const {
  if (options_.average_last == 0) return std::numeric_limits<double>::infinity();
  return (1 - options_.average_last) * static_cast<double>(options_.stop.env_steps);
}

std::vector<float> Trainer::trained_policy() const {
  if (!average_.empty()) return average_.mean();
  return {learner_->policy().begin(), learner_->policy().end()};
}

std::string Trainer::reason_to_stop() const {
  if (progress_.env_steps >= options_.stop.env_steps) return "env_steps";
  if (stop_asked_) return "callback";
  if (fairness_.given_up()) return "constraint_not_met";
  const auto& target = options_.stop.return_mean;
  if (target && returns_.size() == kReturnWindow && training_return_mean() >= *target) return "return_mean";
  const auto& limit = options_.stop.wall_seconds;
  if (limit && seconds_since(started_) >= *limit) return "wall_seconds";
  return {};
}

double Trainer::seconds_since(Clock::time_point then) const {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

double Trainer::wall_seconds() const {
  return wall_before_ + seconds_since(started_);
}

double Trainer::training_return_mean() const {
  if (returns_.empty()) return std::numeric_limits<double>::quiet_NaN();
  return std::accumulate(returns_.begin(), returns_.end(), 0.0) / static_cast<double>(returns_.size());
}

}  // namespace mobula::rl
