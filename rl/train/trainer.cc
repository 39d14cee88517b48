#include "rl/train/trainer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "rl/fairness/check.h"
#include "rl/fairness/trade_svg.h"
#include "rl/train/experiment.h"
#include "rl/train/sections.h"
#include "rl/train/sha256.h"

namespace mobula::rl {
namespace {

constexpr std::size_t kReturnWindow = 100;
/// How often a wait looks whether the program was asked to stop.
constexpr std::chrono::milliseconds kGlance{20};

double seconds_since(std::chrono::steady_clock::time_point then) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - then).count();
}

std::int64_t steps_per_iteration(const TrainOptions& options) {
  return static_cast<std::int64_t>(options.algorithm.n_envs) * options.algorithm.n_steps;
}

std::int64_t checkpoint_period(const TrainOptions& options) {
  if (options.checkpoint.every > 0) return options.checkpoint.every;
  return std::max<std::int64_t>(1, options.stop.env_steps / steps_per_iteration(options) / 20);
}

/// Episodes in the order in which they ended, then of the environments: what a single worker would have seen.
std::vector<EpisodeEnd> in_order_of_time(std::vector<EpisodeEnd> ended, const Fragment& fragment) {
  std::stable_sort(ended.begin(), ended.end(), [](const auto& a, const auto& b) {
    return std::pair(a.env, a.episode) < std::pair(b.env, b.episode);
  });
  const auto envs = static_cast<std::size_t>(fragment.layout.envs);
  std::vector<std::size_t> next(envs);
  for (std::size_t e = 0; e < envs; ++e) {
    const auto first = std::find_if(ended.begin(), ended.end(), [&](const auto& end) { return end.env == e; });
    next[e] = static_cast<std::size_t>(first - ended.begin());
  }
  std::vector<EpisodeEnd> ordered;
  for (std::size_t i = 0; i < fragment.terminated.size(); ++i) {
    if (fragment.terminated[i] || fragment.truncated[i]) ordered.push_back(std::move(ended.at(next[i % envs]++)));
  }
  return ordered;
}

}  // namespace

namespace {

/// Some held-out episodes of the first baseline, or of the untrained policy, tell what is reported and how far episodes
/// lie apart.
std::string problem_with_pilot(const TrainOptions& options) {
  constexpr int kEpisodes = 4;
  if (options.fairness.constraints.empty()) return {};
  const nn::PolicySpec spec = policy_spec(options.env.info, options.algorithm);
  ActorSetup setup{options.env.factory, options.env.config, spec, options.seed, {}};
  for (const auto& metric : options.fairness.metrics) setup.metrics.push_back(metric.code());
  const auto parameters = nn::Policy<float>(spec).initial_parameters(options.seed);
  EvaluationActor actor(setup);
  const EvaluationResult pilot =
      actor.play(Array<float>(std::span<const float>(parameters)),
                 {.count = kEpisodes, .baseline = options.env.info.baseline_names.empty() ? -1 : 0});
  return rl::problem_with_pilot(options.fairness, options.env.info, pilot.episodes, options.evaluate.episodes);
}

}  // namespace

std::string check_before_training(const TrainOptions& options) {
  if (std::string problem = problem_with(options); !problem.empty()) return problem;
  try {
    options.env.factory(options.env.config, {.count = 1, .seed = options.seed});
    return problem_with_pilot(options);
  } catch (const std::exception& error) {
    return std::string("env: ") + error.what();
  }
  return {};
}

Trainer::Trainer(const TrainOptions& options, const Callbacks& callbacks, Begin begin, Hooks hooks)
    : options_(options),
      callbacks_(callbacks),
      hooks_(std::move(hooks)),
      layout_(options.env.info, options.algorithm.n_steps, options.algorithm.n_envs),
      learner_(options.env.info, options.algorithm, options.seed, options.stop.env_steps),
      fairness_(options_.env.info, options_.fairness),
      memory_((layout_.bytes() + sizeof(FragmentLine) - 1) / sizeof(FragmentLine)) {
  if (hooks_.shape) learner_.set_shape(hooks_.shape);
  if (hooks_.reward || !options_.fairness.constraints.empty() || !options_.fairness.reward_terms.empty()) {
    learner_.set_reward([this](const ConstFragment& fragment, std::span<float> rewards) {
      fairness_.shape(fragment, rewards);
      if (hooks_.reward) hooks_.reward(fragment, rewards);
    });
  }
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
        saved_iteration_ = progress_.iteration;
      } catch (const std::runtime_error& error) {
        throw TrainError(error.what());
      }
    } else {
      notes_.push_back("the run was stopped before its first checkpoint; it starts anew");
    }
  }
  const auto metadata = directory_->file(RunDirectory::metadata);
  const std::string before = std::filesystem::exists(metadata) ? read_file(metadata) : "";
  write_file(metadata, metadata_json(options_, before));
  write_file(directory_->file(RunDirectory::config), write_experiment(options_));
  log_ = std::make_unique<ProgressLog>(directory_->file(RunDirectory::progress),
                                       directory_->file(RunDirectory::evaluations), progress_.iteration);
}

Checkpoint Trainer::state() const {
  Checkpoint checkpoint;
  checkpoint.iteration = progress_.iteration;
  checkpoint.env_steps = progress_.env_steps;
  Counters counters;
  counters.episodes = progress_.episodes;
  counters.wall_seconds = wall_seconds();
  counters.cpu_seconds = cpu_before_ + meter_.reported_seconds();
  counters.returns.assign(returns_.begin(), returns_.end());
  checkpoint.add("counters", to_json(counters));
  checkpoint.add("policy", policy_section(learner_.spec(), learner_.parameters()));
  checkpoint.add("learner", as_text(learner_.save()));
  checkpoint.add("fairness", as_text(fairness_.save()));
  checkpoint.add("environments", as_text(encode_to_bytes(snapshots_)));
  return checkpoint;
}

void Trainer::load(const Checkpoint& checkpoint) {
  const Counters counters = counters_from_json(checkpoint.section("counters"));
  learner_.load(as_bytes(checkpoint.section("learner")));
  fairness_.load(as_bytes(checkpoint.section("fairness")));
  snapshots_ = decode_from_bytes<decltype(snapshots_)>(as_bytes(checkpoint.section("environments")));
  progress_.iteration = checkpoint.iteration;
  progress_.env_steps = checkpoint.env_steps;
  progress_.episodes = counters.episodes;
  progress_.wall_seconds = counters.wall_seconds;
  wall_before_ = counters.wall_seconds;
  cpu_before_ = counters.cpu_seconds;
  returns_.assign(counters.returns.begin(), counters.returns.end());
}

void Trainer::save_checkpoint() {
  if (!directory_ || saved_iteration_ == progress_.iteration) return;
  const auto span = stages_.span(Stage::checkpoint);
  log_->flush();
  const auto file = directory_->checkpoints().save(state(), options_.checkpoint.keep);
  saved_iteration_ = progress_.iteration;
  tell(callbacks_.on_checkpoint, CheckpointEvent{progress_, file});
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

double Trainer::wall_seconds() const {
  return wall_before_ + seconds_since(started_);
}

double Trainer::training_return_mean() const {
  if (returns_.empty()) return std::numeric_limits<double>::quiet_NaN();
  return std::accumulate(returns_.begin(), returns_.end(), 0.0) / static_cast<double>(returns_.size());
}

ActorSetup Trainer::actor_setup() const {
  ActorSetup setup{options_.env.factory, options_.env.config, learner_.spec(), options_.seed, {}};
  for (const auto& metric : options_.fairness.metrics) setup.metrics.push_back(metric.code());
  return setup;
}

TrainResult Trainer::run(Runtime& runtime) {
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
    Evaluator evaluator(runtime, actor_setup(), options_.env.info, options_.fairness, options_.seed);
    if (options_.evaluate.every > 0) evaluator.grow(options_.evaluate.workers);
    for (;;) {
      result.stopped_by = reason_to_stop();
      if (!result.stopped_by.empty()) break;
      if (actors_.empty()) spawn_rollout_actors(runtime);
      outcome = interrupted() ? Outcome::interrupted : iterate(runtime, evaluator);
      if (outcome == Outcome::interrupted) break;
    }
    save_checkpoint();
    actors_.clear();
    if (outcome == Outcome::done) outcome = evaluate_finally(runtime, evaluator);
  }
  result.interrupted = outcome == Outcome::interrupted;
  if (result.interrupted) result.stopped_by = "interrupt";
  if (log_) log_->flush();
  progress_.wall_seconds = wall_seconds();
  result.progress = progress_;
  result.wall_seconds = progress_.wall_seconds;
  result.cpu_seconds = cpu_before_ + meter_.seconds();
  result.stages = stages_.seconds();
  result.training_return_mean = training_return_mean();
  result.parameters.assign(learner_.parameters().begin(), learner_.parameters().end());
  result.parameters_sha256 = sha256(std::as_bytes(learner_.parameters()));
  result.policies = policies_;
  result.constraints = constraints_;
  if (!result.interrupted) {
    if (directory_) {
      write_file(directory_->file(RunDirectory::result), result_json(options_, result));
      const std::string picture = trade_svg(options_.fairness, policies_);
      if (!picture.empty()) write_file(directory_->file(RunDirectory::trade), picture);
    }
    tell(callbacks_.on_finish, result);
  }
  return result;
}

void Trainer::spawn_rollout_actors(Runtime& runtime) {
  // More actors than environments would have nothing to do.
  const int count = std::clamp(options_.workers, 1, options_.algorithm.n_envs);
  for (int w = 0; w < count; ++w) {
    actors_.push_back(runtime
                          .with({.name = "rollout " + std::to_string(w),
                                 .max_restarts = -1,
                                 .max_call_retries = 3,
                                 .resources = {.cpu = 0}})
                          .spawn<RolloutActor>(actor_setup()));
  }
}

Trainer::Outcome Trainer::iterate(Runtime& runtime, Evaluator& evaluator) {
  const auto began = Clock::now();
  std::vector<RolloutResult> parts;
  if (collect(runtime, parts) == Outcome::interrupted) return Outcome::interrupted;
  learn(parts, seconds_since(began));
  if (evaluate_now_and_then(runtime, evaluator) == Outcome::interrupted) return Outcome::interrupted;
  if (progress_.iteration % checkpoint_period(options_) == 0) save_checkpoint();
  return Outcome::done;
}

Trainer::Outcome Trainer::collect(Runtime& runtime, std::vector<RolloutResult>& parts) {
  const auto span = stages_.span(Stage::collect);
  std::vector<Ref<RolloutResult>> refs;
  const int envs = options_.algorithm.n_envs;
  const int workers = static_cast<int>(actors_.size());
  for (int w = 0; w < workers; ++w) {
    const int first = envs * w / workers, end = envs * (w + 1) / workers;
    RolloutCall call{.iteration = learner_.iteration(),
                     .first = static_cast<std::uint32_t>(first),
                     .count = end - first,
                     .steps = options_.algorithm.n_steps};
    if (!snapshots_.empty()) call.snapshots.assign(snapshots_.begin() + first, snapshots_.begin() + end);
    refs.push_back(actors_[w].call<&RolloutActor::collect>(weights(runtime), call));
  }
  while (!runtime.wait(refs, refs.size(), kGlance).pending.empty()) {
    if (interrupted()) return Outcome::interrupted;
  }
  for (const auto& ref : refs) parts.push_back(ref.get());
  return Outcome::done;
}

const Ref<Array<float>>& Trainer::weights(Runtime& runtime) {
  const auto span = stages_.span(Stage::broadcast);
  if (!weights_) weights_ = runtime.put(Array<float>(learner_.parameters()));
  return weights_;
}

void Trainer::learn(const std::vector<RolloutResult>& parts, double collect_seconds) {
  const auto span = stages_.span(Stage::update);
  // Merged in the order of the environments, whoever collected what and whenever it arrived.
  Fragment whole(layout_, std::as_writable_bytes(std::span(memory_)));
  std::vector<std::vector<std::byte>> snapshots;
  std::vector<EpisodeEnd> ended;
  CostSums costs;
  for (const auto& part : parts) {
    const int first = static_cast<int>(snapshots.size());
    const FragmentLayout layout(options_.env.info, options_.algorithm.n_steps, static_cast<int>(part.snapshots.size()));
    place_columns(ConstFragment(layout, std::as_bytes(part.fragment.span())), whole, first);
    snapshots.insert(snapshots.end(), part.snapshots.begin(), part.snapshots.end());
    ended.insert(ended.end(), part.ended.begin(), part.ended.end());
    costs.merge(part.costs);
    meter_.report(part.time);
  }
  ended = in_order_of_time(std::move(ended), whole);

  const auto began = Clock::now();
  Progress next = progress_;
  ++next.iteration;
  next.env_steps += steps_per_iteration(options_);
  next.episodes += static_cast<std::int64_t>(ended.size());
  next.wall_seconds = wall_seconds();
  for (const auto& end : ended) {
    returns_.push_back(end.total);
    if (returns_.size() > kReturnWindow) returns_.pop_front();
  }
  const double return_mean = training_return_mean();
  tell(callbacks_.on_rollout, RolloutEvent{next, ended, return_mean, collect_seconds});

  fairness_.accumulate(ended);
  if (hooks_.accumulate) hooks_.accumulate(next, costs);
  fairness_.constrain(next.iteration);
  if (hooks_.constrain) hooks_.constrain(next);
  const PpoStats stats = learner_.update(ConstFragment(layout_, std::as_bytes(std::span(memory_))));
  weights_ = {};
  snapshots_ = std::move(snapshots);
  progress_ = next;

  const double update_seconds = seconds_since(began);
  std::vector<std::pair<std::string_view, double>> statistics{{"policy_loss", stats.policy_loss},
                                                              {"value_loss", stats.value_loss},
                                                              {"entropy", stats.entropy},
                                                              {"approx_kl", stats.approx_kl},
                                                              {"clip_fraction", stats.clip_fraction},
                                                              {"explained_variance", stats.explained_variance},
                                                              {"grad_norm", stats.grad_norm},
                                                              {"learning_rate", stats.learning_rate},
                                                              {"clip_range", stats.clip_range},
                                                              {"collect_seconds", collect_seconds},
                                                              {"update_seconds", update_seconds}};
  for (const auto& entry : fairness_.series()) statistics.push_back(entry);
  if (log_) log_->add(progress_, return_mean, statistics);
  std::vector<ConstraintProgress> constraints;
  if (callbacks_.on_update) constraints = fairness_.progress();
  tell(callbacks_.on_update, UpdateEvent{progress_, statistics, update_seconds, stages_.seconds(), constraints});
}

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
