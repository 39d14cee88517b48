// The learners of soft actor-critic.
#pragma once

#include <mobula/rl/sac_options.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "rl/algos/offpolicy/off_policy.h"
#include "rl/algos/sac/discrete.h"
#include "rl/algos/sac/gradient.h"

namespace mobula::rl {

nn::PolicySpec policy_spec(const EnvironmentInfo& info, const SacOptions& options);

// What both forms share. parameters() is the actor, the critics, log alpha (the first of kPadding numbers), the target
// critics; policy() is the actor.
class SacBase : public OffPolicyLearner {
 public:
  nn::Exploration exploration() const override;

 protected:
  SacBase(const EnvironmentInfo& info, const SacOptions& options, std::uint64_t seed, std::int64_t total_steps,
          std::size_t actor_size, std::size_t critics_size, double target_entropy);

  void set_networks(const nn::AlignedVector<float>& actor, const nn::AlignedVector<float>& critics);
  float* actor() { return parameters_.data(); }
  float* critics() { return actor() + actor_size_; }
  float* log_alpha() { return critics() + critics_size_; }
  float* targets() { return log_alpha() + nn::kPadding; }
  float alpha();
  // A step of log alpha, if it is adjusted; returns its loss. `log_prob` is the mean over the batch.
  double adjust_alpha(double log_prob, double lr);
  void step_critics(std::span<const float> gradient, double lr) {
    critic_adam_.step(critics(), gradient.data(), 1, lr);
  }
  void step_actor(std::span<const float> gradient, double lr) { actor_adam_.step(actor(), gradient.data(), 1, lr); }
  void follow();

  const SacOptions options_;
  const std::size_t actor_size_, critics_size_;
  const double target_entropy_;
  nn::Adam<float>&actor_adam_, &critic_adam_, &alpha_adam_;
};

// A batch: alpha, critics, actor (with the new critics and the alpha of before), target critics.
class SacLearner final : public SacBase {
 public:
  SacLearner(const EnvironmentInfo& info, const SacOptions& options, std::uint64_t seed, std::int64_t total_steps);

 private:
  SacLearner(const EnvironmentInfo& info, const SacOptions& options, std::uint64_t seed, std::int64_t total_steps,
             const nn::PolicySpec& spec, SacGradient<float> gradient);
  std::vector<double> update(ReplayBatch& batch, double lr) override;
  SacGradient<float> native_;  // also where layouts and first parameters come from
  const std::unique_ptr<SacObjective<float>> torch_;
  SacObjective<float>& objective_;
  std::vector<float> noise_, next_noise_;
};

class DiscreteSacLearner final : public SacBase {
 public:
  DiscreteSacLearner(const EnvironmentInfo& info, const SacOptions& options, std::uint64_t seed,
                     std::int64_t total_steps);

 private:
  DiscreteSacLearner(const EnvironmentInfo& info, const SacOptions& options, std::uint64_t seed,
                     std::int64_t total_steps, DiscreteSacGradient<float> gradient);
  std::vector<double> update(ReplayBatch& batch, double lr) override;
  DiscreteSacGradient<float> native_;
  const std::unique_ptr<DiscreteSacObjective<float>> torch_;
  DiscreteSacObjective<float>& objective_;
};

// What algorithms.h asks for.
std::unique_ptr<Learner> make_learner(const EnvironmentInfo& info, const SacOptions& options, std::uint64_t seed,
                                      std::int64_t total_steps);
std::string problem_with(const SacOptions& options, const EnvironmentInfo& info);
inline bool supports_constraints(const SacOptions& options) {
  return options.n_steps == 1;  // rewards are mixed one by one
}

}  // namespace mobula::rl
