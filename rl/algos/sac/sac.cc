#include "rl/algos/sac/sac.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "rl/algos/torch_module.h"
#include "rl/nn/operations.h"
#include "rl/nn/polyak.h"

namespace mobula::rl {
namespace {

double target_entropy(const SacOptions& options, const ActionSpace& space) {
  if (options.target_entropy) return *options.target_entropy;
  if (space.kind == ActionSpace::Kind::box) return -static_cast<double>(space.dimensions);
  return 0.98 * std::log(static_cast<double>(space.head_size()));
}

void draw_normals(Random random, std::vector<float>& out, std::size_t count) {
  out.resize(count);
  for (float& x : out) x = static_cast<float>(random.normal());
}

}  // namespace

nn::PolicySpec policy_spec(const EnvironmentInfo& info, const SacOptions& options) {
  nn::PolicySpec spec;
  spec.kind = info.action.kind == ActionSpace::Kind::box ? nn::PolicySpec::Kind::squashed_gaussian
                                                         : nn::PolicySpec::Kind::categorical;
  spec.observation_size = info.observation_size;
  spec.action = info.action;
  spec.hidden = options.hidden;
  spec.activation = nn::activation_named(options.activation);
  spec.correlated_noise = options.exploration == "ornstein_uhlenbeck";
  spec.state_dependent_noise = options.use_sde;
  if (options.use_sde) spec.log_std_init = options.log_std_init;
  return spec;
}

SacBase::SacBase(const EnvironmentInfo& info, const SacOptions& options, std::uint64_t seed, std::int64_t total_steps,
                 std::size_t actor_size, std::size_t critics_size, double entropy)
    : OffPolicyLearner("SAC", info, policy_spec(info, options),
                       OffPolicySettings::from(options, info.action.dimensions), seed, total_steps,
                       {"actor_loss", "critic_loss", "q_mean", "entropy", "ent_coef", "ent_coef_loss"}),
      options_(options),
      actor_size_(actor_size),
      critics_size_(critics_size),
      target_entropy_(entropy),
      actor_adam_(add_optimizer(actor_size, options.adam_eps)),
      critic_adam_(add_optimizer(critics_size, options.adam_eps)),
      alpha_adam_(add_optimizer(nn::kPadding, options.adam_eps)) {}

nn::Exploration SacBase::exploration() const {
  nn::Exploration exploration = OffPolicyLearner::exploration();
  if (spec().correlated_noise) exploration.noise = now(options_.exploration_noise);
  exploration.theta = options_.noise_theta;
  exploration.dt = options_.noise_dt;
  exploration.resample_every = options_.sde_sample_freq;
  return exploration;
}

void SacBase::set_networks(const nn::AlignedVector<float>& actor, const nn::AlignedVector<float>& critics) {
  nn::AlignedVector<float> all(actor.begin(), actor.end());
  all.insert(all.end(), critics.begin(), critics.end());
  all.push_back(static_cast<float>(std::log(options_.ent_coef_init)));
  all.resize(all.size() + nn::kPadding - 1);
  all.insert(all.end(), critics.begin(), critics.end());
  set_parameters(std::move(all), actor.size());
}

float SacBase::alpha() {
  return options_.ent_coef ? static_cast<float>(*options_.ent_coef) : std::exp(*log_alpha());
}

double SacBase::adjust_alpha(double log_prob, double lr) {
  if (options_.ent_coef) return 0;
  alignas(64) float gradient[nn::kPadding] = {};
  const double excess = log_prob + target_entropy_;
  const double loss = -static_cast<double>(*log_alpha()) * excess;
  gradient[0] = static_cast<float>(-excess);
  alpha_adam_.step(log_alpha(), gradient, 1, lr);
  return loss;
}

void SacBase::follow() {
  nn::follow<float>({critics(), critics_size_}, now(options_.tau), {targets(), critics_size_});
}

SacLearner::SacLearner(const EnvironmentInfo& info, const SacOptions& options, std::uint64_t seed,
                       std::int64_t total_steps)
    : SacLearner(info, options, seed, total_steps, policy_spec(info, options),
                 SacGradient<float>(policy_spec(info, options), SquashCorrection::epsilon)) {}

SacLearner::SacLearner(const EnvironmentInfo& info, const SacOptions& options, std::uint64_t seed,
                       std::int64_t total_steps, const nn::PolicySpec& spec, SacGradient<float> gradient)
    : SacBase(info, options, seed, total_steps, gradient.actor().size(), gradient.critics().size(),
              target_entropy(options, info.action)),
      native_(std::move(gradient)),
      torch_(options.learner == "torch"
                 ? torch_objectives<float>().sac(spec, native_.actor().layout(), native_.critics().layout(),
                                                 SquashCorrection::epsilon, options.device)
                 : nullptr),
      objective_(torch_ ? *torch_ : native_) {
  Random random(seed, Stream::parameters);
  const auto actor_parameters = native_.actor().initial_parameters(random);
  set_networks(actor_parameters, native_.critics().initial_parameters(random));
  // What comes next: the actor and the targets; the critics; the actor, and through the critics to their inputs.
  const auto act = nn::passes_of(native_.actor().layout()), judge = nn::passes_of(native_.critics().layout());
  set_operations(act.forward + judge.forward + judge.learn + act.learn + 2 * judge.forward);
}

std::vector<double> SacLearner::update(ReplayBatch& batch, double lr) {
  for (float& x : batch.actions) x = nn::to_unit(spec().action, x);
  draw_normals(batch_random(1), noise_, batch.actions.size());
  draw_normals(batch_random(2), next_noise_, batch.actions.size());
  objective_.act(actor(), batch.observations, noise_);
  const auto log_probs = objective_.log_probs();
  const double log_prob =
      std::accumulate(log_probs.begin(), log_probs.end(), 0.0) / static_cast<double>(log_probs.size());
  const float before = alpha();
  const double alpha_loss = adjust_alpha(log_prob, lr);
  const auto fit = objective_.fit(actor(), critics(), targets(), view(batch), next_noise_, before);
  step_critics(objective_.critic_gradient(), lr);
  const double loss = objective_.policy(actor(), critics(), batch.observations, before);
  step_actor(objective_.actor_gradient(), lr);
  follow();
  return {loss, fit.loss, fit.q_mean, -log_prob, before, alpha_loss};
}

DiscreteSacLearner::DiscreteSacLearner(const EnvironmentInfo& info, const SacOptions& options, std::uint64_t seed,
                                       std::int64_t total_steps)
    : DiscreteSacLearner(info, options, seed, total_steps, DiscreteSacGradient<float>(policy_spec(info, options))) {}

DiscreteSacLearner::DiscreteSacLearner(const EnvironmentInfo& info, const SacOptions& options, std::uint64_t seed,
                                       std::int64_t total_steps, DiscreteSacGradient<float> gradient)
    : SacBase(info, options, seed, total_steps, gradient.actor().size(), gradient.critics().size(),
              target_entropy(options, info.action)),
      native_(std::move(gradient)),
      torch_(options.learner == "torch"
                 ? torch_objectives<float>().discrete_sac(policy_spec(info, options), native_.actor().layout(),
                                                          native_.critics().layout(), options.device)
                 : nullptr),
      objective_(torch_ ? *torch_ : native_) {
  Random random(seed, Stream::parameters);
  const auto actor_parameters = native_.actor().initial_parameters(random);
  set_networks(actor_parameters, native_.critics().initial_parameters(random));
  const auto act = nn::passes_of(native_.actor().layout()), judge = nn::passes_of(native_.critics().layout());
  set_operations(act.forward + judge.forward + judge.learn + act.learn);
}

std::vector<double> DiscreteSacLearner::update(ReplayBatch& batch, double lr) {
  const float before = alpha();
  const auto fit = objective_.fit(actor(), critics(), targets(), view(batch), before);
  step_critics(objective_.critic_gradient(), lr);
  const auto policy = objective_.policy(actor(), critics(), batch.observations, before);
  step_actor(objective_.actor_gradient(), lr);
  const double alpha_loss = adjust_alpha(-policy.entropy, lr);
  follow();
  return {policy.loss, fit.loss, fit.q_mean, policy.entropy, before, alpha_loss};
}

std::unique_ptr<Learner> make_learner(const EnvironmentInfo& info, const SacOptions& options, std::uint64_t seed,
                                      std::int64_t total_steps) {
  if (info.action.kind == ActionSpace::Kind::box) {
    return std::make_unique<SacLearner>(info, options, seed, total_steps);
  }
  return std::make_unique<DiscreteSacLearner>(info, options, seed, total_steps);
}

std::string problem_with(const SacOptions& options, const EnvironmentInfo& info) {
  if (info.action.kind == ActionSpace::Kind::multi_discrete) {
    return "name: sac learns boxes of real numbers or one of N actions; this environment has several choices at once. "
           "ppo can learn it";
  }
  if (info.mask_size > 0) {
    return "name: sac does not know action masks, which this environment has. ppo and dqn do";
  }
  if (options.exploration == "ornstein_uhlenbeck" && info.action.kind != ActionSpace::Kind::box) {
    return "exploration: an ornstein_uhlenbeck process moves boxes of real numbers; this environment has choices. "
           "Leave "
           "exploration out";
  }
  if (options.use_sde && info.action.kind != ActionSpace::Kind::box) {
    return "use_sde: state-dependent noise is for boxes of real numbers; this environment has choices. Leave use_sde "
           "out";
  }
  if (options.hidden.empty()) return "hidden: the networks need a hidden layer";
  return problem_with_learner(options.learner, options.device);
}

}  // namespace mobula::rl
