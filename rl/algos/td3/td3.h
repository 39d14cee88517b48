// The learner of TD3.
#pragma once

#include <mobula/rl/td3_options.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "rl/algos/offpolicy/off_policy.h"
#include "rl/algos/td3/gradient.h"

namespace mobula::rl {

nn::PolicySpec policy_spec(const EnvironmentInfo& info, const Td3Options& options);

// parameters() is actor, critics, target actor, target critics; policy() is the actor.
class Td3Learner final : public OffPolicyLearner {
 public:
  Td3Learner(const EnvironmentInfo& info, const Td3Options& options, std::uint64_t seed, std::int64_t total_steps);
  nn::Exploration exploration() const override;

 private:
  std::vector<double> update(ReplayBatch& batch, double lr) override;
  void adapt_noise(std::span<const float> observations);
  std::size_t half() const { return native_.actor().size() + native_.critics().size(); }

  const Td3Options options_;
  Td3Gradient<float> native_;  // also where layouts and first parameters come from
  const std::unique_ptr<Td3Objective<float>> torch_;
  Td3Objective<float>& objective_;
  nn::Adam<float>&actor_adam_, &critic_adam_;
  std::vector<float> noise_;
  std::unique_ptr<nn::Actor> acting_;  // with parameter noise, whose deviation is own_state_
  double last_actor_loss_ = 0;         // of this process: what is told for batches that leave the actor alone
};

// What algorithms.h asks for.
std::unique_ptr<Learner> make_learner(const EnvironmentInfo& info, const Td3Options& options, std::uint64_t seed,
                                      std::int64_t total_steps);
std::string problem_with(const Td3Options& options, const EnvironmentInfo& info);
inline bool supports_constraints(const Td3Options& options) {
  return options.n_steps == 1;  // rewards are mixed one by one
}

}  // namespace mobula::rl
