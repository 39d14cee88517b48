// Learning without gradients: perturbed policies play an episode each, and the parameters move towards those that did
// well.
#pragma once

#include <mobula/rl/any_vec_env.h>
#include <mobula/rl/es_options.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "rl/algos/learner.h"
#include "rl/algos/optimizer.h"

namespace mobula::rl {

struct EvolutionSettings {
  std::string algorithm;  // for messages
  nn::PolicySpec policy;
  int n_directions = 8;
  int n_top = 8;  // directions that are used: those of which either end did best
  Schedule deviation = 0.05;
  Schedule lr = 0.02;
  bool zero_policy = false;
  bool ortho_init = true;  // else uniformly drawn, as PyTorch does
  double bonus = 0;        // added to the reward of a step
  // ranks false: parameters += lr / (n_top s + 1e-6) * sum over directions of (R+ - R-) direction, with s the standard
  // deviation of the 2 n_top returns (Mania et al. 2018). ranks true: Adam's step along
  // 1 / (2 n deviation) * sum of (u+ - u-) direction, with u the ranks of all returns spread over [-0.5, 0.5]
  // (Salimans et al. 2017).
  bool ranks = false;
  double weight_decay = 0;
};

EvolutionSettings settings_of(const EnvironmentInfo& info, const ArsOptions& options);
EvolutionSettings settings_of(const EnvironmentInfo& info, const EsOptions& options);

// How much each direction counts, and what it is divided by: the update of the settings' formula is the sum of
// weights[d] * direction d. `returns` has two numbers a direction, + then -.
std::vector<double> direction_weights(const EvolutionSettings& settings, double deviation,
                                      std::span<const float> returns);

// A round is one update: the fragment holds an episode of each of 2 n_directions environments (see directions.h).
class EvolutionLearner final : public Learner {
 public:
  EvolutionLearner(const EnvironmentInfo& info, const EvolutionSettings& settings, std::uint64_t seed,
                   std::int64_t total_steps);
  ~EvolutionLearner() override;

  const nn::PolicySpec& spec() const override;
  std::span<const float> parameters() const override;
  RolloutSize rollout() const override;
  std::int64_t steps_in(const ConstFragment& fragment) const override;
  std::int64_t typical_steps() const override;
  nn::Exploration exploration() const override;
  Statistics learn(const ConstFragment& fragment) override;
  std::int64_t env_steps() const override;
  std::uint32_t iteration() const override;
  std::vector<std::byte> save() const override;
  void load(std::span<const std::byte> bytes) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// What algorithms.h asks for.
std::unique_ptr<Learner> make_learner(const EnvironmentInfo& info, const ArsOptions& options, std::uint64_t seed,
                                      std::int64_t total_steps);
std::unique_ptr<Learner> make_learner(const EnvironmentInfo& info, const EsOptions& options, std::uint64_t seed,
                                      std::int64_t total_steps);
inline std::string problem_with(const ArsOptions&, const EnvironmentInfo&) {
  return {};
}
inline std::string problem_with(const EsOptions&, const EnvironmentInfo&) {
  return {};
}
// Whole episodes are all that is seen of an environment: there are no rewards of steps to mix costs into.
inline bool supports_constraints(const ArsOptions&) {
  return false;
}
inline bool supports_constraints(const EsOptions&) {
  return false;
}

}  // namespace mobula::rl
