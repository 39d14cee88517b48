#include "rl/algos/es/es.h"

#include <mobula/rl/snapshot.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "rl/algos/es/directions.h"
#include "rl/buffers/normalizer.h"

namespace mobula::rl {
namespace {

constexpr std::uint32_t kMagic = 0x5645424d;  // "MBEV"

template <class Options>
nn::PolicySpec policy_of(const EnvironmentInfo& info, const Options& o) {
  nn::PolicySpec spec;
  spec.observation_size = info.observation_size;
  spec.action = info.action;
  spec.hidden = o.hidden;
  spec.activation = nn::activation_named(o.activation);
  spec.normalize_observation = o.normalize_observation;
  spec.value_function = false;
  return spec;
}

// Place of each number in ascending order, from -0.5 to 0.5; equal numbers share the mean of their places, so that the
// order in which they stand does not matter.
std::vector<double> centered_ranks(std::span<const float> numbers) {
  const std::size_t n = numbers.size();
  std::vector<std::uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return numbers[a] < numbers[b]; });
  std::vector<double> ranks(n);
  for (std::size_t first = 0; first < n;) {
    std::size_t end = first + 1;
    while (end < n && numbers[order[end]] == numbers[order[first]]) ++end;
    const double place = 0.5 * static_cast<double>(first + end - 1);
    for (std::size_t k = first; k < end; ++k) ranks[order[k]] = n > 1 ? place / static_cast<double>(n - 1) - 0.5 : 0.0;
    first = end;
  }
  return ranks;
}

RunningMoments moments_of(std::span<const float> numbers) {
  RunningMoments moments;
  for (const float x : numbers) moments.add(x);
  return moments;
}

}  // namespace

EvolutionSettings settings_of(const EnvironmentInfo& info, const ArsOptions& o) {
  nn::PolicySpec policy = policy_of(info, o);
  policy.squash_output = o.squash_output;
  return {.algorithm = "ARS",
          .policy = std::move(policy),
          .n_directions = o.n_delta,
          .n_top = o.n_top.value_or(o.n_delta),
          .deviation = o.delta_std,
          .lr = o.lr,
          .zero_policy = o.zero_policy,
          .ortho_init = false,
          .bonus = o.alive_bonus_offset};
}

EvolutionSettings settings_of(const EnvironmentInfo& info, const EsOptions& o) {
  return {.algorithm = "ES",
          .policy = policy_of(info, o),
          .n_directions = o.n_directions,
          .n_top = o.n_directions,
          .deviation = o.noise_std,
          .lr = o.lr,
          .ranks = true,
          .weight_decay = o.weight_decay};
}

std::vector<double> direction_weights(const EvolutionSettings& settings, double deviation,
                                      std::span<const float> returns) {
  const std::size_t n = returns.size() / 2;
  std::vector<double> weights(n, 0.0);
  if (settings.ranks) {
    const auto ranks = centered_ranks(returns);
    for (std::size_t d = 0; d < n; ++d) {
      weights[d] = (ranks[2 * d] - ranks[2 * d + 1]) / (2.0 * static_cast<double>(n) * deviation);
    }
    return weights;
  }
  std::vector<std::uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0u);
  const auto best = [&](std::uint32_t d) { return std::max(returns[2 * d], returns[2 * d + 1]); };
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return best(a) > best(b); });
  order.resize(std::min(n, static_cast<std::size_t>(settings.n_top)));
  std::vector<float> used;
  for (const auto d : order) used.insert(used.end(), {returns[2 * d], returns[2 * d + 1]});
  const double size = static_cast<double>(order.size());
  // With fewer than two returns, or equal ones, there is nothing to scale by: the differences are 0 then, too.
  const RunningMoments spread = moments_of(used);
  const double scale = size * std::sqrt(spread.squares / spread.count) + 1e-6;
  for (const auto d : order) {
    weights[d] = (static_cast<double>(returns[2 * d]) - returns[2 * d + 1]) / scale;
  }
  return weights;
}

struct EvolutionLearner::State {
  State(const EvolutionSettings& s, std::uint64_t run_seed, std::int64_t steps)
      : settings(s),
        seed(run_seed),
        total_steps(steps),
        policy(s.policy),
        parameters(policy.initial_parameters(run_seed, s.ortho_init)),
        optimizer(policy.trainable(), nn::AdamOptions{.weight_decay = s.weight_decay}),
        moments(s.policy.normalize_observation ? static_cast<std::size_t>(s.policy.observation_size) : 0) {
    if (s.zero_policy) std::fill_n(parameters.begin(), policy.trainable(), 0.0f);
  }

  const EvolutionSettings settings;
  const std::uint64_t seed;
  const std::int64_t total_steps;
  const nn::Policy<float> policy;

  nn::AlignedVector<float> parameters;
  Optimizer optimizer;
  std::vector<RunningMoments> moments;  // of each component of the observation
  std::int64_t env_steps = 0;
  std::uint32_t iteration = 0;
};

EvolutionLearner::EvolutionLearner(const EnvironmentInfo&, const EvolutionSettings& settings, std::uint64_t seed,
                                   std::int64_t total_steps)
    : state_(std::make_unique<State>(settings, seed, total_steps)) {}
EvolutionLearner::~EvolutionLearner() = default;

const nn::PolicySpec& EvolutionLearner::spec() const {
  return state_->policy.spec();
}
std::span<const float> EvolutionLearner::parameters() const {
  return state_->parameters;
}
RolloutSize EvolutionLearner::rollout() const {
  return {2 * state_->settings.n_directions, 1, state_->policy.state_size()};
}
std::int64_t EvolutionLearner::steps_in(const ConstFragment& fragment) const {
  std::int64_t steps = 0;
  for (const float length : fragment.values) steps += static_cast<std::int64_t>(length);
  return steps;
}
std::int64_t EvolutionLearner::typical_steps() const {
  return 100 * rollout().total();  // nobody knows how long episodes will be
}
nn::Exploration EvolutionLearner::exploration() const {
  return {.perturbation = state_->settings.deviation.at(state_->env_steps, state_->total_steps)};
}
std::int64_t EvolutionLearner::env_steps() const {
  return state_->env_steps;
}
std::uint32_t EvolutionLearner::iteration() const {
  return state_->iteration;
}

Statistics EvolutionLearner::learn(const ConstFragment& fragment) {
  State& s = *state_;
  const EvolutionSettings& o = s.settings;
  if (fragment.layout.envs != 2 * o.n_directions || fragment.layout.steps != 1) {
    throw std::invalid_argument(o.algorithm + " update: the fragment holds " + std::to_string(fragment.layout.envs) +
                                " episodes; this learner was made for " + std::to_string(2 * o.n_directions) + ".");
  }
  const double deviation = exploration().perturbation, lr = o.lr.at(s.env_steps, s.total_steps);
  std::vector<float> returns(fragment.rewards.begin(), fragment.rewards.end());
  for (std::size_t n = 0; n < returns.size(); ++n) {
    if (!std::isfinite(returns[n])) {
      throw std::runtime_error(o.algorithm + " update " + std::to_string(s.iteration) + ": the return of environment " +
                               std::to_string(n) + " is not finite. rl::check_environment finds such faults.");
    }
    returns[n] += static_cast<float>(o.bonus) * fragment.values[n];
  }
  s.env_steps += steps_in(fragment);

  const std::vector<double> weights = direction_weights(o, deviation, returns);
  nn::AlignedVector<float> step(s.parameters.size());
  for (std::size_t d = 0; d < weights.size(); ++d) {
    if (weights[d] == 0) continue;
    add_direction(s.policy.layout(), s.seed, static_cast<std::uint32_t>(d), s.iteration, static_cast<float>(weights[d]),
                  step);
  }
  const double norm = nn::norm<float>(step);
  if (o.ranks) {
    s.optimizer.step(s.parameters.data(), step.data(), -1.0, lr);  // the optimiser goes down, fitness goes up
  } else {
    for (std::size_t k = 0; k < s.policy.trainable(); ++k) s.parameters[k] += static_cast<float>(lr) * step[k];
  }

  if (o.policy.normalize_observation) {
    const std::size_t width = s.moments.size();
    for (std::size_t n = 0; n < returns.size(); ++n) {
      for (std::size_t k = 0; k < width; ++k) {
        s.moments[k].merge(
            {fragment.values[n], fragment.observations[n * width + k], fragment.final_observations[n * width + k]});
      }
    }
    for (std::size_t k = 0; k < width; ++k) {
      s.parameters[s.policy.mean_offset() + k] = static_cast<float>(s.moments[k].mean);
      s.parameters[s.policy.scale_offset() + k] = static_cast<float>(1.0 / std::sqrt(s.moments[k].variance() + 1e-8));
    }
  }
  ++s.iteration;
  const RunningMoments all = moments_of(returns);
  return {{"return_of_directions", all.mean},
          {"return_std", std::sqrt(all.squares / all.count)},
          {"return_best", *std::max_element(returns.begin(), returns.end())},
          {"step_norm", norm * lr},
          {"noise_std", deviation},
          {"learning_rate", lr}};
}

std::vector<std::byte> EvolutionLearner::save() const {
  const State& s = *state_;
  std::vector<std::byte> bytes;
  append_snapshot(bytes, kMagic);
  append_snapshot(bytes, static_cast<std::uint64_t>(s.parameters.size()));
  append_snapshot(bytes, static_cast<std::uint64_t>(s.settings.n_directions));
  append_snapshot(bytes, s.env_steps);
  append_snapshot(bytes, s.iteration);
  for (const float x : s.parameters) append_snapshot(bytes, x);
  s.optimizer.append(bytes);
  for (const RunningMoments& moments : s.moments) append_snapshot(bytes, moments);
  return bytes;
}

void EvolutionLearner::load(std::span<const std::byte> bytes) {
  State& s = *state_;
  std::uint32_t magic = 0, iteration = 0;
  std::uint64_t size = 0, directions = 0;
  std::int64_t env_steps = 0;
  take_snapshot(bytes, magic);
  take_snapshot(bytes, size);
  take_snapshot(bytes, directions);
  if (magic != kMagic || size != s.parameters.size() ||
      directions != static_cast<std::uint64_t>(s.settings.n_directions)) {
    throw std::runtime_error("Loading the state of an " + s.settings.algorithm + " learner: it is of another policy (" +
                             std::to_string(size) + " numbers; this one has " + std::to_string(s.parameters.size()) +
                             "). Resume with the options that it was trained with.");
  }
  take_snapshot(bytes, env_steps);
  take_snapshot(bytes, iteration);
  nn::AlignedVector<float> parameters(size);
  for (float& x : parameters) take_snapshot(bytes, x);
  Optimizer optimizer = s.optimizer;
  optimizer.take(bytes);
  std::vector<RunningMoments> moments(s.moments.size());
  for (RunningMoments& one : moments) take_snapshot(bytes, one);
  s.parameters = std::move(parameters);
  s.optimizer = std::move(optimizer);
  s.moments = std::move(moments);
  s.env_steps = env_steps;
  s.iteration = iteration;
}

std::unique_ptr<Learner> make_learner(const EnvironmentInfo& info, const ArsOptions& options, std::uint64_t seed,
                                      std::int64_t total_steps) {
  return std::make_unique<EvolutionLearner>(info, settings_of(info, options), seed, total_steps);
}
std::unique_ptr<Learner> make_learner(const EnvironmentInfo& info, const EsOptions& options, std::uint64_t seed,
                                      std::int64_t total_steps) {
  return std::make_unique<EvolutionLearner>(info, settings_of(info, options), seed, total_steps);
}

}  // namespace mobula::rl
