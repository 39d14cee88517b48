// The learner of deep Q-learning.
#pragma once

#include <mobula/rl/dqn_options.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "rl/algos/dqn/objective.h"
#include "rl/algos/offpolicy/off_policy.h"
#include "rl/nn/action_values.h"

namespace mobula::rl {

nn::PolicySpec policy_spec(const EnvironmentInfo& info, const DqnOptions& options);

// parameters() is the online network, then the target network. policy() is the online one.
class DqnLearner final : public OffPolicyLearner {
 public:
  DqnLearner(const EnvironmentInfo& info, const DqnOptions& options, std::uint64_t seed, std::int64_t total_steps);
  nn::Exploration exploration() const override;

 private:
  std::vector<double> update(ReplayBatch& batch, double lr) override;
  void begin_update(std::int64_t before) override;
  double epsilon() const;
  void adapt_noise(std::span<const float> observations);

  const DqnOptions options_;
  const nn::ActionValues<float> values_;
  nn::Adam<float>& adam_;
  const std::unique_ptr<DqnObjective<float>> objective_;
};

// The mean over the observations of KL(pi || pi'), pi(a) in proportion to exp Q(a): how far two networks are from
// choosing alike (Plappert et al. 2018, appendix C).
double divergence(const nn::ActionValues<float>& values, std::span<const float> parameters,
                  std::span<const float> others, std::span<const float> observations);
// The divergence of the greedy policy from the epsilon-greedy one, among so many actions (the same).
double divergence_of_epsilon(double epsilon, int actions);

// What algorithms.h asks for.
std::unique_ptr<Learner> make_learner(const EnvironmentInfo& info, const DqnOptions& options, std::uint64_t seed,
                                      std::int64_t total_steps);
std::string problem_with(const DqnOptions& options, const EnvironmentInfo& info);
inline bool supports_constraints(const DqnOptions& options) {
  return options.n_steps == 1;  // rewards are mixed one by one
}

}  // namespace mobula::rl
