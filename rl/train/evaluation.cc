#include "rl/train/evaluation.h"

#include <algorithm>
#include <memory>

#include "rl/train/statistics.h"

namespace mobula::rl {
namespace {

/// Episodes of one call: few enough that an interrupted program need not wait long for it, and that actors share the
/// work evenly; many enough to be worth a message.
constexpr int kEpisodesPerCall = 4;

/// Evaluation draws actions from the upper half of the indices of Stream::action, training from the lower.
constexpr std::uint32_t kUpperHalf = 0x8000'0000u;

}  // namespace

EvaluationResult EvaluationActor::play(const Array<float>& parameters, const EvaluationCall& call) {
  const auto envs = setup_.factory(
      setup_.config, {.count = call.count, .first = call.first, .seed = setup_.seed, .stream = Stream::evaluation});
  const auto count = static_cast<std::size_t>(call.count);
  std::vector<Random> random;
  for (std::uint32_t i = 0; i < count; ++i) {
    random.emplace_back(setup_.seed, Stream::action, kUpperHalf | (call.first + i));
  }
  std::vector<float> actions(count * static_cast<std::size_t>(envs->info().action.dimensions));
  EvaluationResult result;
  std::vector<bool> done(count);
  envs->reset(0);
  const std::size_t state = static_cast<std::size_t>(actor_->state_size());
  std::vector<float> states(count * state);
  if (state) actor_->bind_states(states);
  while (result.episodes.size() < count) {
    if (call.baseline >= 0) {
      envs->baseline_actions(call.baseline, actions);
    } else if (call.deterministic) {
      actor_->mode(parameters, envs->observations(), envs->masks(), actions.data());
    } else {
      actor_->sample(parameters, envs->observations(), envs->masks(), random, {}, actions.data(), nullptr, nullptr);
    }
    envs->step(actions);
    // Environments whose episode is over run on into the next one until the last is done; that is not counted. One that
    // broke starts again, and its first whole episode counts.
    for (const EpisodeEnd& end : envs->ended()) {
      std::fill_n(states.data() + (end.env - call.first) * state, state, 0.0f);
      if (end.crashed || done[end.env - call.first]) continue;
      done[end.env - call.first] = true;
      result.episodes.push_back(end);
      for (const auto& metric : setup_.metrics) metric(result.episodes.back().report);
    }
  }
  result.time = ProcessTime::since(made_);
  return result;
}

void Evaluator::grow(int actors) {
  while (static_cast<int>(actors_.size()) < actors) {
    actors_.push_back(runtime_
                          .with({.title = "evaluation " + std::to_string(actors_.size()),
                                 .max_restarts = -1,
                                 .max_call_retries = 3,
                                 .resources = {.cpu = 0}})
                          .spawn<EvaluationActor>(setup_));
  }
}

void Evaluator::start(const Request& request, const Ref<Array<float>>& parameters) {
  Pending pending{request, parameters, {}, {}};
  for (int first = 0; first < request.episodes; first += kEpisodesPerCall) {
    const EvaluationCall call{.first = static_cast<std::uint32_t>(first),
                              .count = std::min(kEpisodesPerCall, request.episodes - first),
                              .baseline = request.baseline,
                              .deterministic = request.deterministic};
    const std::size_t actor = next_actor_++ % actors_.size();
    pending.parts.push_back(actors_[actor].call<&EvaluationActor::play>(parameters, call));
    pending.actors.push_back(actor);
  }
  pending_.push_back(std::move(pending));
}

std::optional<Evaluator::Finished> Evaluator::take(std::chrono::milliseconds wait, CpuMeter& meter,
                                                   WorkerWatch* watch) {
  if (pending_.empty()) return std::nullopt;
  auto& parts = pending_.front().parts;
  if (!runtime_.wait(parts, parts.size(), wait).pending.empty()) return std::nullopt;
  const Pending done = std::move(pending_.front());
  pending_.pop_front();
  std::vector<EpisodeEnd> episodes;
  for (std::size_t i = 0; i < done.parts.size(); ++i) {
    EvaluationResult result = done.parts[i].get();
    meter.report(result.time);
    if (watch) watch->report("evaluation " + std::to_string(done.actors[i]), result.time);
    std::move(result.episodes.begin(), result.episodes.end(), std::back_inserter(episodes));
  }
  Finished finished{done.request, summarise(episodes, seed_), {}};
  FairnessReport fairness = judge(episodes, info_, fairness_, seed_);
  for (auto& [name, estimate] : fairness.metrics) {
    if (!find(finished.metrics, name)) finished.metrics.emplace_back(name, estimate);
  }
  finished.constraints = std::move(fairness.constraints);
  return finished;
}

std::vector<StoredEvaluation> Evaluator::under_way() const {
  std::vector<StoredEvaluation> all;
  for (const auto& one : pending_) {
    const Progress& at = one.request.progress;
    const Array<float> parameters = one.parameters.get();
    const auto values = parameters.span();
    all.push_back({at.iteration, at.env_steps, at.episodes, at.wall_seconds, {values.begin(), values.end()}});
  }
  return all;
}

std::vector<Evaluator::Request> final_requests(const TrainOptions& options, const Progress& progress) {
  Evaluator::Request request{.progress = progress,
                             .episodes = static_cast<int>(options.evaluate.episodes),
                             .deterministic = options.evaluate.deterministic,
                             .final = true};
  std::vector<Evaluator::Request> requests{request};
  const auto& known = options.env.info.baseline_names;
  for (const auto& name : options.evaluate.baselines) {
    request.policy = name;
    request.baseline = static_cast<int>(std::find(known.begin(), known.end(), name) - known.begin());
    requests.push_back(request);
  }
  return requests;
}

}  // namespace mobula::rl
