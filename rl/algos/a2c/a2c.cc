#include "rl/algos/a2c/a2c.h"

#include <algorithm>

namespace mobula::rl {
namespace {

// Updates are small and many: so many steps of all environments make an iteration.
constexpr int kStepsInAnIteration = 2000;

OptimizerOptions optimizer_of(const A2cOptions& o) {
  if (o.optimizer == "adam") return nn::AdamOptions{.eps = o.optimizer_eps};
  return nn::RmspropOptions{.eps = o.optimizer_eps, .tensorflow_style = o.optimizer == "rmsprop_tf"};
}

}  // namespace

ActorCriticSettings settings_of(const EnvironmentInfo& info, const A2cOptions& o) {
  return {.algorithm = "A2C",
          .policy = actor_critic_spec(info, o),
          .ortho_init = o.ortho_init,
          .n_envs = o.n_envs,
          .n_steps = o.n_steps,
          .rounds = static_cast<std::uint32_t>(std::max(1, kStepsInAnIteration / (o.n_envs * o.n_steps))),
          .gamma = o.gamma,
          .lambda = o.gae_lambda,
          .normalize_reward = o.normalize_reward,
          .loss = PpoLoss::Policy::log_probability,
          .ent_coef = o.ent_coef,
          .vf_coef = o.vf_coef,
          .normalize_advantage = o.normalize_advantage,
          .lr = o.lr,
          .max_grad_norm = o.max_grad_norm,
          .optimizer = optimizer_of(o),
          .learner = o.learner,
          .device = o.device,
          .threads = o.learner_threads,
          .resample_every = o.sde_sample_freq};
}

std::unique_ptr<Learner> make_learner(const EnvironmentInfo& info, const A2cOptions& options, std::uint64_t seed,
                                      std::int64_t total_steps) {
  return std::make_unique<ActorCriticLearner>(info, settings_of(info, options), seed, total_steps);
}

std::string problem_with(const A2cOptions& options, const EnvironmentInfo& info) {
  if (std::string problem = problem_with_networks(options); !problem.empty()) return problem;
  if (std::string problem = problem_with_threads(options.learner_threads, options.learner); !problem.empty()) {
    return problem;
  }
  return problem_with_state_noise(info, options.use_sde, options.learner, options.hidden);
}

}  // namespace mobula::rl
