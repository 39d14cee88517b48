#include "rl/algos/actor_critic/learner.h"

#include <mobula/rl/snapshot.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "rl/algos/actor_critic/gradient.h"
#include "rl/algos/torch_module.h"
#include "rl/buffers/advantage.h"
#include "rl/buffers/normalizer.h"
#include "rl/buffers/vtrace.h"
#include "rl/nn/operations.h"

namespace mobula::rl {
namespace {

constexpr std::uint32_t kMagic = 0x4c43414d;  // "MACL"

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

std::string problem_with_networks(const std::string& learner, const std::string& device, const std::string& network,
                                  const std::string& memory) {
  if (std::string problem = problem_with_learner(learner, device); !problem.empty() || network.empty()) return problem;
  if (learner != "torch") return "network: a network of one's own needs learner: torch";
  if (memory != "none") return "memory: a network of one's own replaces the layer with memory; leave memory out";
  std::error_code ignored;
  if (std::filesystem::is_regular_file(network, ignored)) return {};
  return "network: there is no file '" + std::filesystem::absolute(network).string() +
         "'; give the library that defines mobula_torch_network_v1";
}

std::string problem_with_state_noise(const EnvironmentInfo& info, bool use_sde, const std::string& learner,
                                     const std::vector<int>& hidden) {
  if (!use_sde) return {};
  if (info.action.kind != ActionSpace::Kind::box) {
    return "use_sde: state-dependent noise is for boxes of real numbers; this environment has choices. Leave use_sde "
           "out";
  }
  if (learner != "native") return "use_sde: state-dependent noise needs learner: native";
  if (hidden.empty()) return "hidden: state-dependent noise follows the last hidden layer; give one";
  return {};
}

std::string problem_with_threads(int threads, const std::string& learner) {
  if (threads == 1 || learner == "native") return {};
  return "learner_threads: LibTorch has threads of its own; leave learner_threads out";
}

struct ActorCriticLearner::State {
  State(const EnvironmentInfo& info, const ActorCriticSettings& s, std::uint64_t run_seed, std::int64_t steps)
      : settings(s),
        seed(run_seed),
        total_steps(steps),
        policy(s.policy),
        parameters(policy.initial_parameters(run_seed, s.ortho_init)),
        optimizer(policy.trainable(), s.optimizer),
        objective(make_objective()),
        observation_normalizer(s.policy.normalize_observation ? info.observation_size : 0),
        reward_normalizer(s.normalize_reward ? s.n_envs : 0, s.gamma) {}

  std::unique_ptr<ActorCriticObjective<float>> make_objective() const {
    if (settings.learner != "torch") return std::make_unique<PpoGradient<float>>(policy, settings.threads);
    return torch_objectives<float>().actor_critic(policy.spec(), policy.layout(), settings.device);
  }
  double now(const Schedule& schedule) const { return schedule.at(env_steps, total_steps); }

  void check_shape(const FragmentLayout& layout) const;
  void prepare(const ConstFragment& fragment);
  void value_ends(const ConstFragment& fragment);
  void estimate(const ConstFragment& fragment, UpdateStats& stats);
  void learn_from(const ConstFragment& fragment, const PpoLoss& loss, UpdateStats& stats);
  PpoLossStats gradient_of(const ConstFragment& fragment, std::span<const std::uint32_t> part, const PpoLoss& loss);
  void remember_behaviour();
  void measure_lag(UpdateStats& stats);

  const ActorCriticSettings settings;
  const std::uint64_t seed;
  const std::int64_t total_steps;
  const nn::Policy<float> policy;
  ShapeHook shape;
  RewardHook reward;

  nn::AlignedVector<float> parameters;
  std::deque<nn::AlignedVector<float>> behaviours;  // those of the last `lag` updates, the oldest first
  Optimizer optimizer;
  const std::unique_ptr<ActorCriticObjective<float>> objective;
  ObservationNormalizer observation_normalizer;
  RewardNormalizer reward_normalizer;
  std::int64_t env_steps = 0;
  std::uint32_t iteration = 0;
  const nn::Passes passes{nn::passes_of(policy.layout())};
  double operations = 0, advantage_seconds = 0;  // in this process

  PpoBatch<float> batch;
  std::vector<float> raw_rewards, rewards, advantages, returns, observations, log_probs, values, log_rhos, last_values,
      final_values, row;
  std::vector<std::uint8_t> ended;
  std::vector<std::uint32_t> order;
  std::vector<std::uint32_t> collected_by;  // of the next fragment, where it is not deterministic
};

ActorCriticLearner::ActorCriticLearner(const EnvironmentInfo& info, const ActorCriticSettings& settings,
                                       std::uint64_t seed, std::int64_t total_steps)
    : state_(std::make_unique<State>(info, settings, seed, total_steps)) {}
ActorCriticLearner::~ActorCriticLearner() = default;
ActorCriticLearner::ActorCriticLearner(ActorCriticLearner&&) noexcept = default;

const nn::PolicySpec& ActorCriticLearner::spec() const {
  return state_->policy.spec();
}
std::span<const float> ActorCriticLearner::parameters() const {
  return state_->parameters;
}
int ActorCriticLearner::lag() const {
  return state_->settings.lag;
}
bool ActorCriticLearner::deterministic() const {
  return state_->settings.deterministic;
}
void ActorCriticLearner::collected_by(std::span<const std::uint32_t> iterations) {
  state_->collected_by.assign(iterations.begin(), iterations.end());
}
std::span<const float> ActorCriticLearner::behaviour(int ahead) const {
  // Kept are the parameters before each of the last updates; the present ones follow them.
  const State& s = *state_;
  const std::int64_t kept = static_cast<std::int64_t>(s.behaviours.size());
  const std::int64_t wanted =
      std::max<std::int64_t>(0, static_cast<std::int64_t>(s.iteration) + ahead - s.settings.lag);
  const std::int64_t place = wanted - (s.iteration - kept);
  return place < kept ? s.behaviours[static_cast<std::size_t>(place)] : s.parameters;
}
RolloutSize ActorCriticLearner::rollout() const {
  return {state_->settings.n_envs, state_->settings.n_steps, state_->policy.state_size()};
}
nn::Exploration ActorCriticLearner::exploration() const {
  return {.resample_every = state_->settings.resample_every};
}
std::uint32_t ActorCriticLearner::rounds() const {
  return state_->settings.rounds;
}
void ActorCriticLearner::set_shape(ShapeHook hook) {
  state_->shape = std::move(hook);
}
void ActorCriticLearner::set_reward(RewardHook hook) {
  state_->reward = std::move(hook);
}
std::int64_t ActorCriticLearner::env_steps() const {
  return state_->env_steps;
}
std::uint32_t ActorCriticLearner::iteration() const {
  return state_->iteration;
}

double ActorCriticLearner::advantage_seconds() const {
  return state_->advantage_seconds;
}
double ActorCriticLearner::operations() const {
  return state_->operations;
}

Statistics ActorCriticLearner::learn(const ConstFragment& fragment) {
  const UpdateStats stats = update(fragment);
  Statistics all{{"policy_loss", stats.policy_loss},
                 {"value_loss", stats.value_loss},
                 {"entropy", stats.entropy},
                 {"approx_kl", stats.approx_kl},
                 {"clip_fraction", stats.clip_fraction},
                 {"explained_variance", stats.explained_variance},
                 {"grad_norm", stats.grad_norm},
                 {"learning_rate", stats.learning_rate},
                 {"clip_range", stats.clip_range}};
  if (state_->settings.vtrace) {
    all.emplace_back("policy_lag", stats.policy_lag);
    all.emplace_back("policy_lag_max", stats.policy_lag_max);
    all.emplace_back("mean_rho", stats.mean_rho);
  }
  return all;
}

void ActorCriticLearner::State::check_shape(const FragmentLayout& layout) const {
  if (layout.envs == settings.n_envs && layout.observation_size == policy.spec().observation_size) return;
  throw std::invalid_argument(
      settings.algorithm + " update: the fragment holds " + std::to_string(layout.envs) + " environments with " +
      std::to_string(layout.observation_size) + " numbers in an observation; this learner was made for " +
      std::to_string(settings.n_envs) + " with " + std::to_string(policy.spec().observation_size) + ".");
}

// Rewards as they are learned from, and the batch as far as it needs no advantages.
void ActorCriticLearner::State::prepare(const ConstFragment& fragment) {
  const int steps = fragment.layout.steps, envs = fragment.layout.envs;
  const std::size_t samples = static_cast<std::size_t>(steps) * envs;
  rewards.resize(samples);
  advantages.resize(samples);
  returns.resize(samples);
  std::span<const float> raw = fragment.rewards;
  if (reward) {
    raw_rewards.assign(raw.begin(), raw.end());
    reward(fragment, raw_rewards);
    raw = raw_rewards;
  }
  if (settings.normalize_reward) {
    reward_normalizer.normalize(raw, fragment.terminated, fragment.truncated, steps, envs, rewards);
  } else {
    std::copy(raw.begin(), raw.end(), rewards.begin());
  }
  ended.resize(samples);
  for (std::size_t k = 0; k < samples; ++k) ended[k] = fragment.terminated[k] || fragment.truncated[k];

  batch.observations = fragment.observations;
  const std::size_t width = fragment.layout.observation_size;
  if (settings.policy.normalize_observation) {
    observations.resize(samples * width);
    for (std::size_t r = 0; r < samples; ++r) {
      policy.normalize(parameters.data(), fragment.observations.data() + r * width, observations.data() + r * width);
    }
    batch.observations = observations;
  }
  batch.actions = fragment.actions;
  batch.log_probs = fragment.log_probs;
  batch.values = fragment.values;
  batch.advantages = advantages;
  batch.returns = returns;
  batch.masks = fragment.masks;
}

// What the newest value function says of the observations that were not acted on. With memory the values of the policy
// that collected must do, as what it remembered there was not kept.
void ActorCriticLearner::State::value_ends(const ConstFragment& fragment) {
  last_values.assign(fragment.last_values.begin(), fragment.last_values.end());
  final_values.assign(fragment.final_values.begin(), fragment.final_values.end());
  if (policy.actor_memory()) return;
  const std::size_t width = fragment.layout.observation_size;
  const auto value = [&](std::span<const float> observation, float& out) {
    row.resize(width);
    policy.normalize(parameters.data(), observation.data(), row.data());
    objective->values(parameters.data(), row, {&out, 1});
  };
  for (std::size_t n = 0; n < last_values.size(); ++n) {
    value(fragment.last_observations.subspan(n * width, width), last_values[n]);
  }
  for (std::size_t k = 0; k < final_values.size(); ++k) {
    if (fragment.terminated[k] || !fragment.truncated[k]) continue;
    value(fragment.final_observations.subspan(k * width, width), final_values[k]);
  }
}

// Advantages and returns.
void ActorCriticLearner::State::estimate(const ConstFragment& fragment, UpdateStats& stats) {
  const int steps = fragment.layout.steps, envs = fragment.layout.envs;
  if (!settings.vtrace) {
    const GaeInput<float> gae{.steps = steps,
                              .envs = envs,
                              .gamma = settings.gamma,
                              .lambda = now(settings.lambda),
                              .rewards = rewards,
                              .values = fragment.values,
                              .last_values = fragment.last_values,
                              .final_values = fragment.final_values,
                              .terminated = fragment.terminated,
                              .truncated = fragment.truncated};
    generalized_advantages<float>(gae, advantages, returns);
  } else {
    // What the newest policy, the target, makes of the samples. Under the clipped surrogate a sample is weighed by its
    // ratio to the policy that acted and the advantage is not: so a policy that has gone as far as the clip range since
    // then is not pushed further by what it did before.
    const bool clipped = settings.loss == PpoLoss::Policy::clipped;
    const std::size_t samples = rewards.size();
    log_probs.resize(samples);
    values.resize(samples);
    log_rhos.resize(samples);
    objective->evaluate(parameters.data(), batch, steps, envs, fragment.initial_states, ended, log_probs, values);
    operations += passes.forward * static_cast<double>(samples);
    double sum = 0;
    for (std::size_t k = 0; k < samples; ++k) {
      log_rhos[k] = log_probs[k] - fragment.log_probs[k];
      sum += std::min(settings.rho_bar, std::exp(static_cast<double>(log_rhos[k])));
    }
    stats.mean_rho = sum / static_cast<double>(samples);
    value_ends(fragment);
    vtrace<float>({.steps = steps,
                   .envs = envs,
                   .gamma = settings.gamma,
                   .lambda = now(settings.lambda),
                   .rho_bar = settings.rho_bar,
                   .c_bar = settings.c_bar,
                   .pg_rho_bar = settings.rho_bar,
                   .weigh_advantages = !clipped,
                   .log_rhos = log_rhos,
                   .rewards = rewards,
                   .values = values,
                   .last_values = last_values,
                   .final_values = final_values,
                   .terminated = fragment.terminated,
                   .truncated = fragment.truncated},
                  returns, advantages);
    if (!clipped) batch.log_probs = log_probs;
    batch.values = values;
  }
  if (shape) shape({fragment, rewards, advantages});
  stats.explained_variance = explained_variance(batch.values, returns);
}

// Of a minibatch: samples, or whole environments where there is a memory.
PpoLossStats ActorCriticLearner::State::gradient_of(const ConstFragment& fragment, std::span<const std::uint32_t> part,
                                                    const PpoLoss& loss) {
  if (!policy.actor_memory()) return objective->compute(parameters.data(), batch, part, loss);
  return objective->compute(parameters.data(), batch, fragment.layout.steps, fragment.layout.envs, part,
                            fragment.initial_states, ended, loss);
}

void ActorCriticLearner::State::learn_from(const ConstFragment& fragment, const PpoLoss& loss, UpdateStats& stats) {
  const ActorCriticSettings& o = settings;
  const double most = now(o.max_grad_norm);
  const bool memory = policy.actor_memory() != nullptr;
  const std::size_t steps = static_cast<std::size_t>(fragment.layout.steps);
  const std::size_t units = memory ? static_cast<std::size_t>(fragment.layout.envs) : rewards.size();
  std::size_t size = o.batch_size == 0 ? rewards.size() : static_cast<std::size_t>(o.batch_size);
  if (memory) size = std::max<std::size_t>(1, size / steps);
  const bool whole = size >= units;  // nothing to shuffle: the sums run in the order of the fragment

  order.resize(units);
  std::iota(order.begin(), order.end(), 0u);
  bool go_on = true;
  for (int epoch = 0; epoch < o.epochs && go_on; ++epoch) {
    if (!whole || o.loss == PpoLoss::Policy::clipped) {
      Random shuffle(seed, Stream::shuffle, iteration, static_cast<std::uint32_t>(epoch));
      for (std::size_t k = units - 1; k > 0; --k) {
        std::swap(order[k], order[shuffle.below(static_cast<std::uint32_t>(k + 1))]);
      }
    }
    double kl = 0;
    int batches = 0;
    for (std::size_t first = 0; first < units && go_on; first += size) {
      const auto part = gradient_of(fragment, {order.data() + first, std::min(size, units - first)}, loss);
      const double norm = nn::norm<float>(objective->gradient());
      if (!std::isfinite(norm) || !std::isfinite(part.loss)) {
        throw std::runtime_error(
            o.algorithm + " update " + std::to_string(iteration) +
            ": the loss or its gradient is not finite. Try a smaller lr, normalize_reward: true or "
            "normalize_observation: true.");
      }
      kl += part.approx_kl;
      ++batches;
      operations += passes.learn * static_cast<double>(std::min(size, units - first) * (memory ? steps : 1));
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
      optimizer.step(parameters.data(), objective->gradient().data(), nn::clip_factor(norm, most), stats.learning_rate);
    }
    stats.approx_kl = kl / batches;
  }
  stats.policy_loss /= stats.minibatches;
  stats.value_loss /= stats.minibatches;
  stats.entropy /= stats.minibatches;
  stats.clip_fraction /= stats.minibatches;
  stats.grad_norm /= stats.minibatches;
}

void ActorCriticLearner::State::remember_behaviour() {
  if (settings.lag == 0) return;
  behaviours.push_back(parameters);
  if (behaviours.size() > static_cast<std::size_t>(settings.lag)) behaviours.pop_front();
}

void ActorCriticLearner::State::measure_lag(UpdateStats& stats) {
  if (settings.deterministic) {
    stats.policy_lag = stats.policy_lag_max = std::min<double>(settings.lag, iteration);
    return;
  }
  for (const std::uint32_t version : std::exchange(collected_by, {})) {
    const double age = iteration - version;
    stats.policy_lag += age / settings.n_envs;
    stats.policy_lag_max = std::max(stats.policy_lag_max, age);
  }
}

UpdateStats ActorCriticLearner::update(const ConstFragment& fragment) {
  State& s = *state_;
  const ActorCriticSettings& o = s.settings;
  s.check_shape(fragment.layout);
  s.remember_behaviour();
  s.env_steps += static_cast<std::int64_t>(fragment.layout.steps) * fragment.layout.envs;
  UpdateStats stats;
  s.measure_lag(stats);
  const auto began = std::chrono::steady_clock::now();
  s.prepare(fragment);
  s.estimate(fragment, stats);
  s.advantage_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  stats.learning_rate = s.now(o.lr);
  stats.clip_range = s.now(o.clip_range);
  s.learn_from(fragment,
               {.policy = o.loss,
                .clip_range = stats.clip_range,
                .ratio_limit = o.ratio_limit,
                .clip_range_vf = o.clip_range_vf,
                .ent_coef = s.now(o.ent_coef),
                .vf_coef = s.now(o.vf_coef),
                .normalize_advantage = o.normalize_advantage},
               stats);
  if (o.policy.normalize_observation) {
    s.observation_normalizer.update(fragment.observations, fragment.layout.steps, fragment.layout.envs);
    s.observation_normalizer.write(s.parameters.data() + s.policy.mean_offset(),
                                   s.parameters.data() + s.policy.scale_offset());
  }
  ++s.iteration;
  return stats;
}

std::vector<std::byte> ActorCriticLearner::save() const {
  const State& s = *state_;
  std::vector<std::byte> bytes;
  append_snapshot(bytes, kMagic);
  append_snapshot(bytes, static_cast<std::uint64_t>(s.parameters.size()));
  append_snapshot(bytes, static_cast<std::uint64_t>(s.policy.trainable()));
  append_snapshot(bytes, static_cast<std::uint64_t>(s.settings.n_envs));
  append_snapshot(bytes, static_cast<std::uint64_t>(s.settings.optimizer.index()));
  append_snapshot(bytes, static_cast<std::uint64_t>(s.behaviours.size()));
  append_snapshot(bytes, s.env_steps);
  append_snapshot(bytes, s.iteration);
  for (const float x : s.parameters) append_snapshot(bytes, x);
  for (const auto& behaviour : s.behaviours) {
    for (const float x : behaviour) append_snapshot(bytes, x);
  }
  s.optimizer.append(bytes);
  append_snapshot(bytes, s.observation_normalizer);
  append_snapshot(bytes, s.reward_normalizer);
  return bytes;
}

void ActorCriticLearner::load(std::span<const std::byte> bytes) {
  State& s = *state_;
  std::uint32_t magic = 0, iteration = 0;
  std::uint64_t size = 0, trainable = 0, envs = 0, optimizer_kind = 0, kept = 0;
  std::int64_t env_steps = 0;
  take_snapshot(bytes, magic);
  take_snapshot(bytes, size);
  take_snapshot(bytes, trainable);
  take_snapshot(bytes, envs);
  take_snapshot(bytes, optimizer_kind);
  take_snapshot(bytes, kept);
  if (magic != kMagic || size != s.parameters.size() || trainable != s.policy.trainable() ||
      envs != static_cast<std::uint64_t>(s.settings.n_envs) || optimizer_kind != s.settings.optimizer.index() ||
      kept > static_cast<std::uint64_t>(s.settings.lag)) {
    throw std::runtime_error("Loading the state of an " + s.settings.algorithm + " learner: it is of another policy (" +
                             std::to_string(size) + " numbers, " + std::to_string(envs) +
                             " environments; this one has " + std::to_string(s.parameters.size()) + " and " +
                             std::to_string(s.settings.n_envs) +
                             "). Resume with the options that it was trained with.");
  }
  take_snapshot(bytes, env_steps);
  take_snapshot(bytes, iteration);
  nn::AlignedVector<float> parameters(size);
  for (float& x : parameters) take_snapshot(bytes, x);
  std::deque<nn::AlignedVector<float>> behaviours(kept, nn::AlignedVector<float>(size));
  for (auto& behaviour : behaviours) {
    for (float& x : behaviour) take_snapshot(bytes, x);
  }
  Optimizer optimizer(trainable, s.settings.optimizer);
  optimizer.take(bytes);
  ObservationNormalizer observation_normalizer;
  RewardNormalizer reward_normalizer;
  take_snapshot(bytes, observation_normalizer);
  take_snapshot(bytes, reward_normalizer);
  s.parameters = std::move(parameters);
  s.behaviours = std::move(behaviours);
  s.optimizer = std::move(optimizer);
  s.observation_normalizer = std::move(observation_normalizer);
  s.reward_normalizer = std::move(reward_normalizer);
  s.env_steps = env_steps;
  s.iteration = iteration;
}

}  // namespace mobula::rl
