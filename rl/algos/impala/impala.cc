#include "rl/algos/impala/impala.h"

namespace mobula::rl {
namespace {

template <class Options>
ActorCriticSettings common(const EnvironmentInfo& info, const Options& o) {
  return {.policy = actor_critic_spec(info, o),
          .ortho_init = o.ortho_init,
          .n_envs = o.n_envs,
          .n_steps = o.n_steps,
          .lag = o.deterministic ? o.lag : 0,
          .deterministic = o.deterministic,
          .gamma = o.gamma,
          .vtrace = true,
          .lambda = o.vtrace_lambda,
          .rho_bar = o.rho_bar,
          .c_bar = o.c_bar,
          .normalize_reward = o.normalize_reward,
          .ent_coef = o.ent_coef,
          .vf_coef = o.vf_coef,
          .normalize_advantage = false,
          .lr = o.lr,
          .max_grad_norm = o.max_grad_norm,
          .optimizer = o.optimizer == "adam" ? OptimizerOptions(nn::AdamOptions{.eps = o.optimizer_eps})
                                             : OptimizerOptions(nn::RmspropOptions{.eps = o.optimizer_eps}),
          .learner = o.learner,
          .device = o.device,
          .threads = o.learner_threads};
}

template <class Options>
std::string problem(const Options& o) {
  if (std::string problem = problem_with_networks(o); !problem.empty()) return problem;
  if (!o.deterministic && o.normalize_reward) {
    return "normalize_reward: the running return of each environment has to be followed from rollout to rollout, which "
           "deterministic: false does not do; leave one of the two out";
  }
  return problem_with_threads(o.learner_threads, o.learner);
}

}  // namespace

ActorCriticSettings settings_of(const EnvironmentInfo& info, const ImpalaOptions& o) {
  ActorCriticSettings settings = common(info, o);
  settings.algorithm = "IMPALA";
  settings.loss = PpoLoss::Policy::log_probability;
  return settings;
}

ActorCriticSettings settings_of(const EnvironmentInfo& info, const AppoOptions& o) {
  ActorCriticSettings settings = common(info, o);
  settings.algorithm = "APPO";
  settings.clip_range = o.clip_range;
  settings.ratio_limit = 3.0;  // that of the paper
  settings.normalize_advantage = o.normalize_advantage;
  settings.batch_size = o.batch_size;
  settings.epochs = o.n_epochs;
  settings.target_kl = o.target_kl;
  return settings;
}

std::unique_ptr<Learner> make_learner(const EnvironmentInfo& info, const ImpalaOptions& options, std::uint64_t seed,
                                      std::int64_t total_steps) {
  return std::make_unique<ActorCriticLearner>(info, settings_of(info, options), seed, total_steps);
}
std::unique_ptr<Learner> make_learner(const EnvironmentInfo& info, const AppoOptions& options, std::uint64_t seed,
                                      std::int64_t total_steps) {
  return std::make_unique<ActorCriticLearner>(info, settings_of(info, options), seed, total_steps);
}

std::string problem_with(const ImpalaOptions& options, const EnvironmentInfo&) {
  return problem(options);
}
std::string problem_with(const AppoOptions& options, const EnvironmentInfo&) {
  return problem(options);
}

}  // namespace mobula::rl
