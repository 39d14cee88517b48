// IMPALA (Espeholt et al. 2018) and asynchronous PPO: the policy that acts is some updates old, and V-trace corrects
// for it.
#pragma once

#include <mobula/rl/any_vec_env.h>
#include <mobula/rl/impala_options.h>

#include <cstdint>
#include <memory>
#include <string>

#include "rl/algos/actor_critic/learner.h"

namespace mobula::rl {

ActorCriticSettings settings_of(const EnvironmentInfo& info, const ImpalaOptions& options);
ActorCriticSettings settings_of(const EnvironmentInfo& info, const AppoOptions& options);

// What algorithms.h asks for.
std::unique_ptr<Learner> make_learner(const EnvironmentInfo& info, const ImpalaOptions& options, std::uint64_t seed,
                                      std::int64_t total_steps);
std::unique_ptr<Learner> make_learner(const EnvironmentInfo& info, const AppoOptions& options, std::uint64_t seed,
                                      std::int64_t total_steps);
std::string problem_with(const ImpalaOptions& options, const EnvironmentInfo& info);
std::string problem_with(const AppoOptions& options, const EnvironmentInfo& info);
inline bool supports_constraints(const ImpalaOptions&) {
  return true;
}
inline bool supports_constraints(const AppoOptions&) {
  return true;
}

}  // namespace mobula::rl
