// The learner of proximal policy optimisation: fragments in, better parameters out.
#pragma once

#include <mobula/rl/any_vec_env.h>
#include <mobula/rl/ppo_options.h>

#include <cstdint>
#include <memory>
#include <string>

#include "rl/algos/actor_critic/learner.h"

namespace mobula::rl {

using PpoStats = UpdateStats;

ActorCriticSettings settings_of(const EnvironmentInfo& info, const PpoOptions& options);
inline nn::PolicySpec policy_spec(const EnvironmentInfo& info, const PpoOptions& options) {
  return actor_critic_spec(info, options);
}

// What algorithms.h asks for.
std::unique_ptr<Learner> make_learner(const EnvironmentInfo& info, const PpoOptions& options, std::uint64_t seed,
                                      std::int64_t total_steps);
std::string problem_with(const PpoOptions& options, const EnvironmentInfo& info);
inline bool supports_constraints(const PpoOptions&) {
  return true;
}

class PpoLearner final : public ActorCriticLearner {
 public:
  PpoLearner(const EnvironmentInfo& info, const PpoOptions& options, std::uint64_t seed, std::int64_t total_steps)
      : ActorCriticLearner(info, settings_of(info, options), seed, total_steps), options_(options) {}
  const PpoOptions& options() const { return options_; }

 private:
  PpoOptions options_;
};

}  // namespace mobula::rl
