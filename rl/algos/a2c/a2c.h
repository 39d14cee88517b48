// Advantage actor-critic: one step of the plain policy gradient on each small rollout.
#pragma once

#include <mobula/rl/a2c_options.h>
#include <mobula/rl/any_vec_env.h>

#include <cstdint>
#include <memory>
#include <string>

#include "rl/algos/actor_critic/learner.h"

namespace mobula::rl {

ActorCriticSettings settings_of(const EnvironmentInfo& info, const A2cOptions& options);

// What algorithms.h asks for.
std::unique_ptr<Learner> make_learner(const EnvironmentInfo& info, const A2cOptions& options, std::uint64_t seed,
                                      std::int64_t total_steps);
std::string problem_with(const A2cOptions& options, const EnvironmentInfo& info);
inline bool supports_constraints(const A2cOptions&) {
  return true;
}

}  // namespace mobula::rl
