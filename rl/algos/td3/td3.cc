#include "rl/algos/td3/td3.h"

#include <algorithm>
#include <cmath>

#include "rl/algos/offpolicy/parameter_noise.h"
#include "rl/algos/torch_module.h"
#include "rl/nn/operations.h"
#include "rl/nn/polyak.h"

namespace mobula::rl {

nn::PolicySpec policy_spec(const EnvironmentInfo& info, const Td3Options& options) {
  nn::PolicySpec spec;
  spec.kind = nn::PolicySpec::Kind::deterministic;
  spec.observation_size = info.observation_size;
  spec.action = info.action;
  spec.hidden = options.hidden;
  spec.activation = nn::activation_named(options.activation);
  spec.correlated_noise = options.exploration == "ornstein_uhlenbeck";
  return spec;
}

Td3Learner::Td3Learner(const EnvironmentInfo& info, const Td3Options& options, std::uint64_t seed,
                       std::int64_t total_steps)
    : OffPolicyLearner("TD3", info, policy_spec(info, options),
                       OffPolicySettings::from(options, info.action.dimensions), seed, total_steps,
                       {"actor_loss", "critic_loss", "q_mean"}),
      options_(options),
      native_(spec()),
      torch_(options.learner == "torch" ? torch_objectives<float>().td3(spec(), native_.actor().layout(),
                                                                        native_.critics().layout(), options.device)
                                        : nullptr),
      objective_(torch_ ? *torch_ : native_),
      actor_adam_(add_optimizer(native_.actor().size(), options.adam_eps)),
      critic_adam_(add_optimizer(native_.critics().size(), options.adam_eps)) {
  Random random(seed, Stream::parameters);
  nn::AlignedVector<float> all = native_.actor().initial_parameters(random);
  const auto critics = native_.critics().initial_parameters(random);
  all.insert(all.end(), critics.begin(), critics.end());
  all.resize(2 * half());
  std::copy_n(all.begin(), half(), all.begin() + static_cast<std::ptrdiff_t>(half()));
  set_parameters(std::move(all), native_.actor().size());
  // The targets; the critics; now and then the actor, and through one of the two critics to its inputs.
  const auto act = nn::passes_of(native_.actor().layout()), judge = nn::passes_of(native_.critics().layout());
  set_operations(act.forward + judge.forward + judge.learn + (act.learn + judge.forward) / options.policy_delay);
  if (options.exploration == "parameter") {
    acting_ = nn::make_actor(spec());
    own_state_ = {now(options.exploration_noise)};
  }
}

// By how much the actions of a perturbed policy differ on this batch decides how large the perturbation is from now on.
void Td3Learner::adapt_noise(std::span<const float> observations) {
  constexpr std::int64_t kUpdates = 50;  // between two such looks
  if (!acting_ || (updates() + 1) % kUpdates != 0) return;
  Random random = batch_random(3);
  const auto moved = perturbed(policy(), native_.actor().layout(), own_state_[0], random);
  const std::size_t numbers = observations.size() / static_cast<std::size_t>(spec().observation_size) *
                              static_cast<std::size_t>(spec().action.dimensions);
  std::vector<float> as_learnt(numbers), as_moved(numbers);
  acting_->mode(policy(), observations, {}, as_learnt.data());
  acting_->mode(moved, observations, {}, as_moved.data());
  double squares = 0;
  for (std::size_t k = 0; k < numbers; ++k) {
    const double miss = nn::to_unit(spec().action, as_moved[k]) - nn::to_unit(spec().action, as_learnt[k]);
    squares += miss * miss;
  }
  own_state_[0] =
      adapted(own_state_[0], std::sqrt(squares / static_cast<double>(numbers)), now(options_.exploration_noise));
}

nn::Exploration Td3Learner::exploration() const {
  nn::Exploration exploration = OffPolicyLearner::exploration();
  if (options_.exploration == "parameter") {
    exploration.parameter_noise = own_state_[0];
    return exploration;
  }
  exploration.noise = now(options_.exploration_noise);
  exploration.theta = options_.noise_theta;
  exploration.dt = options_.noise_dt;
  return exploration;
}

std::vector<double> Td3Learner::update(ReplayBatch& batch, double lr) {
  for (float& x : batch.actions) x = std::clamp(nn::to_unit(spec().action, x), -1.0f, 1.0f);
  noise_.resize(batch.actions.size());
  Random random = batch_random(1);
  for (float& x : noise_) {
    x = static_cast<float>(std::clamp(options_.target_policy_noise * random.normal(), -options_.target_noise_clip,
                                      options_.target_noise_clip));
  }
  float* actor = parameters_.data();
  float* critics = actor + native_.actor().size();
  const auto fit = objective_.fit(actor + half(), critics, critics + half(), view(batch), noise_);
  critic_adam_.step(critics, objective_.critic_gradient().data(), 1, lr);
  if ((updates() + 1) % options_.policy_delay == 0) {
    last_actor_loss_ = objective_.policy(actor, critics, batch.observations);
    actor_adam_.step(actor, objective_.actor_gradient().data(), 1, lr);
    const std::span<float> all(parameters_);
    nn::follow<float>(all.first(half()), now(options_.tau), all.subspan(half()));
  }
  adapt_noise(batch.observations);
  return {last_actor_loss_, fit.loss, fit.q_mean};
}

std::unique_ptr<Learner> make_learner(const EnvironmentInfo& info, const Td3Options& options, std::uint64_t seed,
                                      std::int64_t total_steps) {
  return std::make_unique<Td3Learner>(info, options, seed, total_steps);
}

std::string problem_with(const Td3Options& options, const EnvironmentInfo& info) {
  if (info.action.kind != ActionSpace::Kind::box) {
    return "name: td3 learns boxes of real numbers; this environment has choices. ppo, dqn and sac can learn one of N "
           "actions";
  }
  if (options.exploration == "parameter" && options.exploration_noise.range().first <= 0) {
    return "exploration_noise: parameter noise needs to know how far it may move actions; give a positive number";
  }
  if (options.hidden.empty()) return "hidden: the networks need a hidden layer";
  return problem_with_learner(options.learner, options.device);
}

}  // namespace mobula::rl
