// The learner of proximal policy optimisation: fragments in, better parameters out.
#pragma once

#include <mobula/rl/any_vec_env.h>
#include <mobula/rl/ppo_options.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "rl/algos/learner.h"

namespace mobula::rl {

// Means over all minibatches of an update, unless said otherwise.
struct PpoStats {
  double policy_loss = 0;
  double value_loss = 0;
  double entropy = 0;
  double approx_kl = 0;  // mean(ratio - 1 - log ratio), over the last epoch done (Schulman's k3)
  double clip_fraction = 0;
  double grad_norm = 0;           // before clipping
  double explained_variance = 0;  // of the returns by the values, before the update; NaN if the returns are constant
  double learning_rate = 0;
  double clip_range = 0;
  int minibatches = 0;  // fewer than epochs x batches where target_kl ended the update
};

nn::PolicySpec policy_spec(const EnvironmentInfo& info, const PpoOptions& options);

// What algorithms.h asks for.
std::unique_ptr<Learner> make_learner(const EnvironmentInfo& info, const PpoOptions& options, std::uint64_t seed,
                                      std::int64_t total_steps);
std::string problem_with(const PpoOptions& options, const EnvironmentInfo& info);
inline bool supports_constraints(const PpoOptions&) {
  return true;
}

// One thread, no hidden state: the same fragments give the same bytes. `total_steps` is where linear schedules end.
class PpoLearner final : public Learner {
 public:
  PpoLearner(const EnvironmentInfo& info, const PpoOptions& options, std::uint64_t seed, std::int64_t total_steps);
  ~PpoLearner() override;
  PpoLearner(PpoLearner&&) noexcept;

  const PpoOptions& options() const;
  const nn::PolicySpec& spec() const override;
  std::span<const float> parameters() const override;
  RolloutSize rollout() const override;

  // Learns from one iteration: all environments in order, options().n_steps steps. Also moves the normalisers on (those
  // of the fragment first used in the next one), and counts its steps.
  PpoStats update(const ConstFragment& fragment);
  Statistics learn(const ConstFragment& fragment) override;

  std::int64_t env_steps() const override;
  std::uint32_t iteration() const override;
  std::vector<std::byte> save() const override;
  void load(std::span<const std::byte> bytes) override;
  void set_shape(ShapeHook hook) override;
  void set_reward(RewardHook hook) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mobula::rl
