#include "rl/algos/ppo/ppo.h"

#include <mobula/rl/snapshot.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

#include "rl/algos/actor_critic/gradient.h"
#include "rl/buffers/advantage.h"
#include "rl/buffers/normalizer.h"
#include "rl/nn/adam.h"

namespace mobula::rl {
namespace {

constexpr std::uint32_t kMagic = 0x4f50504d;  // "MPPO"

double explained_variance(std::span<const float> values, std::span<const float> returns) {
  RunningMoments all, rest;
  for (std::size_t k = 0; k < returns.size(); ++k) {
    all.add(returns[k]);
    rest.add(static_cast<double>(returns[k]) - values[k]);
  }
  if (all.squares == 0) return std::numeric_limits<double>::quiet_NaN();
  return 1.0 - rest.squares / all.squares;
}

}  // namespace

nn::PolicySpec policy_spec(const EnvironmentInfo& info, const PpoOptions& options) {
  nn::PolicySpec spec;
  spec.observation_size = info.observation_size;
  spec.action = info.action;
  spec.hidden = options.hidden;
  spec.activation = nn::activation_named(options.activation);
  spec.log_std_init = options.log_std_init;
  spec.normalize_observation = options.normalize_observation;
  return spec;
}

std::unique_ptr<Learner> make_learner(const EnvironmentInfo& info, const PpoOptions& options, std::uint64_t seed,
                                      std::int64_t total_steps) {
  return std::make_unique<PpoLearner>(info, options, seed, total_steps);
}

std::string problem_with(const PpoOptions&, const EnvironmentInfo&) {
  return {};
}

struct PpoLearner::State {
  State(const EnvironmentInfo& info, const PpoOptions& o, std::uint64_t run_seed, std::int64_t steps)
      : options(o),
        seed(run_seed),
        total_steps(steps),
        policy(policy_spec(info, o)),
        parameters(policy.initial_parameters(run_seed)),
        adam(policy.trainable(), {.eps = o.adam_eps}),
        gradient(policy),
        observation_normalizer(o.normalize_observation ? info.observation_size : 0),
        reward_normalizer(o.normalize_reward ? o.n_envs : 0, o.gamma) {}

  // What linear schedules are at once the steps so far are counted: 1 at the start, 0 at the end.
  double remaining(std::int64_t steps_done) const {
    if (total_steps <= 0) return 1.0;
    return std::max(0.0, 1.0 - static_cast<double>(steps_done) / static_cast<double>(total_steps));
  }

  const PpoOptions options;
  const std::uint64_t seed;
  const std::int64_t total_steps;
  const nn::Policy<float> policy;
  ShapeHook shape;
  RewardHook reward;

  nn::AlignedVector<float> parameters;
  nn::Adam<float> adam;
  PpoGradient<float> gradient;
  ObservationNormalizer observation_normalizer;
  RewardNormalizer reward_normalizer;
  std::int64_t env_steps = 0;
  std::uint32_t iteration = 0;

  std::vector<float> raw_rewards, rewards, advantages, returns, observations;
  std::vector<std::uint32_t> order;
};

PpoLearner::PpoLearner(const EnvironmentInfo& info, const PpoOptions& options, std::uint64_t seed,
                       std::int64_t total_steps)
    : state_(std::make_unique<State>(info, options, seed, total_steps)) {}
PpoLearner::~PpoLearner() = default;
PpoLearner::PpoLearner(PpoLearner&&) noexcept = default;

const nn::PolicySpec& PpoLearner::spec() const {
  return state_->policy.spec();
}
const PpoOptions& PpoLearner::options() const {
  return state_->options;
}
std::span<const float> PpoLearner::parameters() const {
  return state_->parameters;
}
void PpoLearner::set_shape(ShapeHook hook) {
  state_->shape = std::move(hook);
}
void PpoLearner::set_reward(RewardHook hook) {
  state_->reward = std::move(hook);
}
std::int64_t PpoLearner::env_steps() const {
  return state_->env_steps;
}
std::uint32_t PpoLearner::iteration() const {
  return state_->iteration;
}

RolloutSize PpoLearner::rollout() const {
  return {state_->options.n_envs, state_->options.n_steps};
}

Statistics PpoLearner::learn(const ConstFragment& fragment) {
  const PpoStats stats = update(fragment);
  return {{"policy_loss", stats.policy_loss},
          {"value_loss", stats.value_loss},
          {"entropy", stats.entropy},
          {"approx_kl", stats.approx_kl},
          {"clip_fraction", stats.clip_fraction},
          {"explained_variance", stats.explained_variance},
          {"grad_norm", stats.grad_norm},
          {"learning_rate", stats.learning_rate},
          {"clip_range", stats.clip_range}};
}

PpoStats PpoLearner::update(const ConstFragment& fragment) {
  State& s = *state_;
  const PpoOptions& o = s.options;
  const int steps = fragment.layout.steps, envs = fragment.layout.envs;
  const std::size_t samples = static_cast<std::size_t>(steps) * envs;
  if (envs != o.n_envs || fragment.layout.observation_size != s.policy.spec().observation_size) {
    throw std::invalid_argument("PPO update: the fragment holds " + std::to_string(envs) + " environments with " +
                                std::to_string(fragment.layout.observation_size) +
                                " numbers in an observation; this learner was made for " + std::to_string(o.n_envs) +
                                " with " + std::to_string(s.policy.spec().observation_size) + ".");
  }
  s.env_steps += static_cast<std::int64_t>(samples);

  // Rewards, advantages, returns.
  s.rewards.resize(samples);
  s.advantages.resize(samples);
  s.returns.resize(samples);
  std::span<const float> raw = fragment.rewards;
  if (s.reward) {
    s.raw_rewards.assign(raw.begin(), raw.end());
    s.reward(fragment, s.raw_rewards);
    raw = s.raw_rewards;
  }
  if (o.normalize_reward) {
    s.reward_normalizer.normalize(raw, fragment.terminated, fragment.truncated, steps, envs, s.rewards);
  } else {
    std::copy(raw.begin(), raw.end(), s.rewards.begin());
  }
  const GaeInput<float> gae{.steps = steps,
                            .envs = envs,
                            .gamma = o.gamma,
                            .lambda = o.gae_lambda,
                            .rewards = s.rewards,
                            .values = fragment.values,
                            .last_values = fragment.last_values,
                            .final_values = fragment.final_values,
                            .terminated = fragment.terminated,
                            .truncated = fragment.truncated};
  generalized_advantages<float>(gae, s.advantages, s.returns);
  if (s.shape) s.shape({fragment, s.rewards, s.advantages});

  PpoBatch<float> batch;
  batch.observations = fragment.observations;
  const std::size_t width = fragment.layout.observation_size;
  if (o.normalize_observation) {
    s.observations.resize(samples * width);
    for (std::size_t r = 0; r < samples; ++r) {
      s.policy.normalize(s.parameters.data(), fragment.observations.data() + r * width,
                         s.observations.data() + r * width);
    }
    batch.observations = s.observations;
  }
  batch.actions = fragment.actions;
  batch.log_probs = fragment.log_probs;
  batch.values = fragment.values;
  batch.advantages = s.advantages;
  batch.returns = s.returns;
  batch.masks = fragment.masks;

  const double remaining = s.remaining(s.env_steps);
  PpoStats stats;
  stats.learning_rate = o.lr.at(s.env_steps, s.total_steps) * (o.lr_schedule == "linear" ? remaining : 1.0);
  stats.clip_range = o.clip_range.at(s.env_steps, s.total_steps) * (o.clip_schedule == "linear" ? remaining : 1.0);
  stats.explained_variance = explained_variance(fragment.values, s.returns);
  const PpoLoss loss{.clip_range = stats.clip_range,
                     .clip_range_vf = o.clip_range_vf,
                     .ent_coef = o.ent_coef.at(s.env_steps, s.total_steps),
                     .vf_coef = o.vf_coef,
                     .normalize_advantage = o.normalize_advantage};

  s.order.resize(samples);
  std::iota(s.order.begin(), s.order.end(), 0u);
  bool go_on = true;
  for (int epoch = 0; epoch < o.n_epochs && go_on; ++epoch) {
    Random shuffle(s.seed, Stream::shuffle, s.iteration, static_cast<std::uint32_t>(epoch));
    for (std::size_t k = samples - 1; k > 0; --k) {
      std::swap(s.order[k], s.order[shuffle.below(static_cast<std::uint32_t>(k + 1))]);
    }
    double kl = 0;
    int batches = 0;
    for (std::size_t first = 0; first < samples && go_on; first += o.batch_size) {
      const std::size_t count = std::min<std::size_t>(o.batch_size, samples - first);
      const auto part = s.gradient.compute(s.parameters.data(), batch, {s.order.data() + first, count}, loss);
      const double norm = nn::norm<float>(s.gradient.gradient());
      if (!std::isfinite(norm) || !std::isfinite(part.loss)) {
        throw std::runtime_error(
            "PPO update " + std::to_string(s.iteration) +
            ": the loss or its gradient is not finite. Try a smaller lr, normalize_reward: true or "
            "normalize_observation: true.");
      }
      kl += part.approx_kl;
      ++batches;
      stats.policy_loss += part.policy_loss;
      stats.value_loss += part.value_loss;
      stats.entropy += part.entropy;
      stats.clip_fraction += part.clip_fraction;
      stats.grad_norm += norm;
      ++stats.minibatches;
      if (o.target_kl && part.approx_kl > 1.5 * *o.target_kl) {
        go_on = false;  // without the step that would move the policy further still
        break;
      }
      s.adam.step(s.parameters.data(), s.gradient.gradient().data(), nn::clip_factor(norm, o.max_grad_norm),
                  stats.learning_rate);
    }
    stats.approx_kl = kl / batches;
  }
  stats.policy_loss /= stats.minibatches;
  stats.value_loss /= stats.minibatches;
  stats.entropy /= stats.minibatches;
  stats.clip_fraction /= stats.minibatches;
  stats.grad_norm /= stats.minibatches;

  if (o.normalize_observation) {
    s.observation_normalizer.update(fragment.observations, steps, envs);
    s.observation_normalizer.write(s.parameters.data() + s.policy.mean_offset(),
                                   s.parameters.data() + s.policy.scale_offset());
  }
  ++s.iteration;
  return stats;
}

std::vector<std::byte> PpoLearner::save() const {
  const State& s = *state_;
  std::vector<std::byte> bytes;
  append_snapshot(bytes, kMagic);
  append_snapshot(bytes, static_cast<std::uint64_t>(s.parameters.size()));
  append_snapshot(bytes, static_cast<std::uint64_t>(s.policy.trainable()));
  append_snapshot(bytes, static_cast<std::uint64_t>(s.options.n_envs));
  append_snapshot(bytes, s.env_steps);
  append_snapshot(bytes, s.iteration);
  append_snapshot(bytes, s.adam.steps());
  for (const float x : s.parameters) append_snapshot(bytes, x);
  for (const float x : s.adam.first_moments()) append_snapshot(bytes, x);
  for (const float x : s.adam.second_moments()) append_snapshot(bytes, x);
  append_snapshot(bytes, s.observation_normalizer);
  append_snapshot(bytes, s.reward_normalizer);
  return bytes;
}

void PpoLearner::load(std::span<const std::byte> bytes) {
  State& s = *state_;
  std::uint32_t magic = 0, iteration = 0;
  std::uint64_t size = 0, trainable = 0, envs = 0;
  std::int64_t env_steps = 0, adam_steps = 0;
  take_snapshot(bytes, magic);
  take_snapshot(bytes, size);
  take_snapshot(bytes, trainable);
  take_snapshot(bytes, envs);
  if (magic != kMagic || size != s.parameters.size() || trainable != s.policy.trainable() ||
      envs != static_cast<std::uint64_t>(s.options.n_envs)) {
    throw std::runtime_error("Loading a PPO learner: the state is of another policy (" + std::to_string(size) +
                             " numbers, " + std::to_string(envs) + " environments; this one has " +
                             std::to_string(s.parameters.size()) + " and " + std::to_string(s.options.n_envs) +
                             "). Resume with the options that it was trained with.");
  }
  take_snapshot(bytes, env_steps);
  take_snapshot(bytes, iteration);
  take_snapshot(bytes, adam_steps);
  nn::AlignedVector<float> parameters(size), first(trainable), second(trainable);
  for (float& x : parameters) take_snapshot(bytes, x);
  for (float& x : first) take_snapshot(bytes, x);
  for (float& x : second) take_snapshot(bytes, x);
  ObservationNormalizer observation_normalizer;
  RewardNormalizer reward_normalizer;
  take_snapshot(bytes, observation_normalizer);
  take_snapshot(bytes, reward_normalizer);
  s.parameters = std::move(parameters);
  s.adam.restore(adam_steps, first, second);
  s.observation_normalizer = std::move(observation_normalizer);
  s.reward_normalizer = std::move(reward_normalizer);
  s.env_steps = env_steps;
  s.iteration = iteration;
}

}  // namespace mobula::rl
