#include "rl/algos/offpolicy/off_policy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "rl/buffers/raw_bytes.h"

namespace mobula::rl {

OffPolicyLearner::OffPolicyLearner(std::string_view name, const EnvironmentInfo& info, const nn::PolicySpec& spec,
                                   const OffPolicySettings& settings, std::uint64_t seed, std::int64_t total_steps,
                                   std::vector<std::string_view> statistics)
    : buffer_(FragmentLayout(info, settings.rollout.steps, settings.rollout.envs), settings.replay),
      name_(name),
      spec_(spec),
      settings_(settings),
      rows_(info, settings.batch_size, 1),
      seed_(seed),
      total_steps_(total_steps),
      statistics_(std::move(statistics)) {}

void OffPolicyLearner::set_parameters(nn::AlignedVector<float> parameters, std::size_t policy_size) {
  parameters_ = std::move(parameters);
  policy_size_ = policy_size;
}

void OffPolicyLearner::set_reward(RewardHook hook) {
  reward_ = std::move(hook);
  FragmentLayout layout = rows_;
  layout.envs = settings_.rollout.envs;
  ReplayOptions options = settings_.replay;
  options.keep_costs = true;
  buffer_ = ReplayBuffer(layout, options);
  mixing_.assign(rows_.bytes(), std::byte{0});
}

void OffPolicyLearner::mix_rewards() {
  Fragment fragment(rows_, mixing_);
  std::copy(batch_.observations.begin(), batch_.observations.end(), fragment.observations.begin());
  std::copy(batch_.actions.begin(), batch_.actions.end(), fragment.actions.begin());
  std::copy(batch_.rewards.begin(), batch_.rewards.end(), fragment.rewards.begin());
  std::copy(batch_.costs.begin(), batch_.costs.end(), fragment.costs.begin());
  std::copy(batch_.groups.begin(), batch_.groups.end(), fragment.groups.begin());
  reward_(ConstFragment(rows_, mixing_), batch_.rewards);
}

nn::Adam<float>& OffPolicyLearner::add_optimizer(std::size_t size, double eps) {
  optimizers_.push_back(std::make_unique<nn::Adam<float>>(size, nn::AdamOptions{.eps = eps}));
  return *optimizers_.back();
}

std::uint32_t OffPolicyLearner::rounds() const {
  return static_cast<std::uint32_t>(std::max<std::int64_t>(1, settings_.iteration_steps / settings_.rollout.total()));
}

nn::Exploration OffPolicyLearner::exploration() const {
  return {.uniform = env_steps_ < settings_.learning_starts};
}

double OffPolicyLearner::progress() const {
  if (total_steps_ <= 0) return 0;
  return std::min(1.0, static_cast<double>(env_steps_) / static_cast<double>(total_steps_));
}

Random OffPolicyLearner::batch_random(std::uint32_t use) const {
  return {seed_, Stream::shuffle, static_cast<std::uint32_t>(updates_), use};
}

Statistics OffPolicyLearner::learn(const ConstFragment& fragment) {
  if (fragment.layout.envs != settings_.rollout.envs || fragment.layout.observation_size != spec_.observation_size) {
    throw std::invalid_argument(
        name_ + " update: the fragment holds " + std::to_string(fragment.layout.envs) + " environments with " +
        std::to_string(fragment.layout.observation_size) + " numbers in an observation; this learner was made for " +
        std::to_string(settings_.rollout.envs) + " with " + std::to_string(spec_.observation_size) + ".");
  }
  const std::int64_t before = env_steps_;
  const std::int64_t steps = static_cast<std::int64_t>(fragment.layout.steps) * fragment.layout.envs;
  env_steps_ += steps;
  ++iteration_;
  buffer_.add(fragment);

  std::vector<double> sums(statistics_.size());
  const double lr = settings_.lr.at(env_steps_, total_steps_);
  const double beta = settings_.beta + (1.0 - settings_.beta) * progress();
  std::int64_t batches = 0;
  if (env_steps_ > settings_.learning_starts) {
    begin_update(before);
    batches = settings_.gradient_steps < 0 ? steps : settings_.gradient_steps;
  }
  for (std::int64_t k = 0; k < batches; ++k) {
    Random random = batch_random(0);
    buffer_.sample(settings_.batch_size, beta, random, batch_);
    if (reward_) mix_rewards();
    const std::vector<double> numbers = update(batch_, lr);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      if (!std::isfinite(numbers[i])) {
        throw std::runtime_error(name_ + " update " + std::to_string(updates_) + ": " + std::string(statistics_[i]) +
                                 " is not finite. Try a smaller lr, or smaller rewards.");
      }
      sums[i] += numbers[i];
    }
    ++updates_;
    operations_ += operations_of_a_row_ * settings_.batch_size;
  }
  Statistics statistics;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    statistics.emplace_back(statistics_[i], batches > 0 ? sums[i] / static_cast<double>(batches)
                                                        : std::numeric_limits<double>::quiet_NaN());
  }
  statistics.emplace_back("learning_rate", lr);
  statistics.emplace_back("buffer_steps", static_cast<double>(buffer_.size()));
  statistics.emplace_back("updates", static_cast<double>(updates_));
  return statistics;
}

std::vector<std::byte> OffPolicyLearner::save() const {
  std::vector<std::byte> bytes;
  append_raw(bytes, std::span<const char>(name_));
  const std::int64_t counters[] = {env_steps_, updates_, iteration_};
  append_raw(bytes, std::span<const std::int64_t>(counters));
  append_raw(bytes, parameters());
  for (const auto& optimizer : optimizers_) {
    const std::int64_t steps[] = {optimizer->steps()};
    append_raw(bytes, std::span<const std::int64_t>(steps));
    append_raw(bytes, optimizer->first_moments());
    append_raw(bytes, optimizer->second_moments());
  }
  if (!own_state_.empty()) append_raw(bytes, std::span<const double>(own_state_));
  buffer_.save(bytes);
  return bytes;
}

void OffPolicyLearner::load(std::span<const std::byte> bytes) {
  struct Moments {
    std::vector<std::int64_t> steps;
    std::vector<float> first, second;
  };
  std::string name;
  std::vector<std::int64_t> counters;
  nn::AlignedVector<float> parameters;
  std::vector<Moments> moments(optimizers_.size());
  take_raw(bytes, name);
  take_raw(bytes, counters);
  take_raw(bytes, parameters);
  bool fits = name == name_ && counters.size() == 3 && parameters.size() == parameters_.size();
  for (std::size_t k = 0; fits && k < moments.size(); ++k) {
    take_raw(bytes, moments[k].steps);
    take_raw(bytes, moments[k].first);
    take_raw(bytes, moments[k].second);
    const std::size_t size = optimizers_[k]->first_moments().size();
    fits = moments[k].steps.size() == 1 && moments[k].first.size() == size && moments[k].second.size() == size;
  }
  std::vector<double> own;
  if (fits && !own_state_.empty()) {
    take_raw(bytes, own);
    fits = own.size() == own_state_.size();
  }
  if (!fits) {
    throw std::runtime_error("Loading a " + name_ + " learner: the state is of a " + name + " learner with " +
                             std::to_string(parameters.size()) + " numbers; this one has " +
                             std::to_string(parameters_.size()) +
                             ". Resume with the options that it was trained with.");
  }
  buffer_.load(bytes);
  parameters_ = std::move(parameters);
  for (std::size_t k = 0; k < moments.size(); ++k) {
    optimizers_[k]->restore(moments[k].steps[0], moments[k].first, moments[k].second);
  }
  own_state_ = std::move(own);
  env_steps_ = counters[0];
  updates_ = counters[1];
  iteration_ = static_cast<std::uint32_t>(counters[2]);
}

}  // namespace mobula::rl
