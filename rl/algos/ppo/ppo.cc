#include "rl/algos/ppo/ppo.h"

namespace mobula::rl {
namespace {

// `lr` with `lr_schedule: linear` beside it.
Schedule with_name(const Schedule& schedule, const std::string& name) {
  return name == "linear" ? Schedule::linear(schedule.at(0, 0), 0) : schedule;
}

}  // namespace

ActorCriticSettings settings_of(const EnvironmentInfo& info, const PpoOptions& o) {
  return {.algorithm = "PPO",
          .policy = actor_critic_spec(info, o),
          .ortho_init = o.ortho_init,
          .n_envs = o.n_envs,
          .n_steps = o.n_steps,
          .gamma = o.gamma,
          .lambda = o.gae_lambda,
          .normalize_reward = o.normalize_reward,
          .clip_range = with_name(o.clip_range, o.clip_schedule),
          .clip_range_vf = o.clip_range_vf,
          .ent_coef = o.ent_coef,
          .vf_coef = o.vf_coef,
          .normalize_advantage = o.normalize_advantage,
          .batch_size = o.batch_size,
          .epochs = o.n_epochs,
          .target_kl = o.target_kl,
          .lr = with_name(o.lr, o.lr_schedule),
          .max_grad_norm = o.max_grad_norm,
          .optimizer = nn::AdamOptions{.eps = o.adam_eps},
          .learner = o.learner,
          .device = o.device,
          .threads = o.learner_threads,
          .resample_every = o.sde_sample_freq};
}

std::unique_ptr<Learner> make_learner(const EnvironmentInfo& info, const PpoOptions& options, std::uint64_t seed,
                                      std::int64_t total_steps) {
  return std::make_unique<PpoLearner>(info, options, seed, total_steps);
}

std::string problem_with(const PpoOptions& options, const EnvironmentInfo& info) {
  if (std::string problem = problem_with_networks(options); !problem.empty()) return problem;
  if (std::string problem = problem_with_threads(options.learner_threads, options.learner); !problem.empty()) {
    return problem;
  }
  return problem_with_state_noise(info, options.use_sde, options.learner, options.hidden);
}

}  // namespace mobula::rl
