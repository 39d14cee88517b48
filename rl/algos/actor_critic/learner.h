// The learner behind PPO, A2C, IMPALA and APPO: fragments in, better parameters out. They differ in how advantages are
// estimated, in the loss, in how often a sample is used, in the optimiser, and in how old the policy that acts may be.
#pragma once

#include <mobula/rl/any_vec_env.h>
#include <mobula/rl/schedule.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "rl/algos/actor_critic/objective.h"
#include "rl/algos/learner.h"
#include "rl/algos/optimizer.h"
#include "rl/nn/policy.h"

namespace mobula::rl {

struct ActorCriticSettings {
  std::string algorithm;  // "PPO": for messages
  nn::PolicySpec policy;
  bool ortho_init = true;  // see nn::Policy::initial_parameters
  int n_envs = 1;
  int n_steps = 1;
  std::uint32_t rounds = 1;   // updates in an iteration
  int lag = 0;                // updates by which the policy that acts is older than the one that is learnt
  bool deterministic = true;  // see Learner

  double gamma = 0.99;
  bool vtrace = false;     // V-trace instead of generalised advantages
  Schedule lambda = 0.95;  // of either
  double rho_bar = 1.0, c_bar = 1.0;
  bool normalize_reward = false;

  PpoLoss::Policy loss = PpoLoss::Policy::clipped;
  Schedule clip_range = 0.2;
  double ratio_limit = 0;  // see PpoLoss
  std::optional<double> clip_range_vf = {};
  Schedule ent_coef = 0.0;
  Schedule vf_coef = 0.5;
  bool normalize_advantage = true;
  int batch_size = 0;  // samples of a minibatch; 0: all
  int epochs = 1;
  std::optional<double> target_kl = {};

  Schedule lr = 3e-4;
  Schedule max_grad_norm = 0.5;
  OptimizerOptions optimizer = nn::AdamOptions{.eps = 1e-5};
  std::string learner = "native", device = "cpu";  // see torch_module.h
  int threads = 1;                                 // of the native learner
  int resample_every = 0;                          // of state-dependent noise
};

// Means over all minibatches of an update, unless said otherwise.
struct UpdateStats {
  double policy_loss = 0;
  double value_loss = 0;
  double entropy = 0;
  double approx_kl = 0;  // mean(ratio - 1 - log ratio), over the last epoch done (Schulman's k3)
  double clip_fraction = 0;
  double grad_norm = 0;           // before clipping
  double explained_variance = 0;  // of the returns by the values, before the update; NaN if the returns are constant
  double learning_rate = 0;
  double clip_range = 0;
  double policy_lag = 0;      // updates since the policy that acted, for algorithms that allow for some
  double policy_lag_max = 0;  // of the oldest that acted
  double mean_rho = 1;        // mean of the clipped probability ratios, of V-trace
  int minibatches = 0;        // fewer than epochs x batches where target_kl ended the update
};

// One thread, no hidden state: the same fragments give the same bytes. `total_steps` is where schedules end.
class ActorCriticLearner : public Learner {
 public:
  ActorCriticLearner(const EnvironmentInfo& info, const ActorCriticSettings& settings, std::uint64_t seed,
                     std::int64_t total_steps);
  ~ActorCriticLearner() override;
  ActorCriticLearner(ActorCriticLearner&&) noexcept;

  const nn::PolicySpec& spec() const override;
  std::span<const float> parameters() const override;
  int lag() const override;
  bool deterministic() const override;
  void collected_by(std::span<const std::uint32_t> iterations) override;
  std::span<const float> behaviour(int ahead = 0) const override;
  RolloutSize rollout() const override;
  nn::Exploration exploration() const override;
  std::uint32_t rounds() const override;

  // Learns from one round: all environments in order. Also moves the normalisers on (those of the fragment first used
  // in the next one), and counts its steps.
  UpdateStats update(const ConstFragment& fragment);
  Statistics learn(const ConstFragment& fragment) override;

  std::int64_t env_steps() const override;
  std::uint32_t iteration() const override;
  double advantage_seconds() const override;
  double operations() const override;
  std::vector<std::byte> save() const override;
  void load(std::span<const std::byte> bytes) override;
  void set_shape(ShapeHook hook) override;
  void set_reward(RewardHook hook) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The specification of the networks from options that have the fields of network_options.h.
template <class Options>
nn::PolicySpec actor_critic_spec(const EnvironmentInfo& info, const Options& options) {
  nn::PolicySpec spec;
  spec.observation_size = info.observation_size;
  spec.action = info.action;
  spec.hidden = options.hidden;
  spec.activation = nn::activation_named(options.activation);
  spec.log_std_init = options.log_std_init;
  spec.normalize_observation = options.normalize_observation;
  spec.shared_trunk = options.shared_trunk;
  spec.memory = options.memory == "lstm"  ? nn::Memory::lstm
                : options.memory == "gru" ? nn::Memory::gru
                                          : nn::Memory::none;
  spec.memory_units = options.memory_units;
  if constexpr (requires { options.use_sde; }) spec.state_dependent_noise = options.use_sde;
  // Workers need not be in the same folder.
  if (!options.network.empty()) spec.network = std::filesystem::absolute(options.network);
  return spec;
}

// "key: sentence" if these options of an algorithm, as above, do not fit each other or this machine.
std::string problem_with_networks(const std::string& learner, const std::string& device, const std::string& network,
                                  const std::string& memory);
template <class Options>
std::string problem_with_networks(const Options& o) {
  return problem_with_networks(o.learner, o.device, o.network, o.memory);
}
// The same of use_sde and learner_threads.
std::string problem_with_state_noise(const EnvironmentInfo& info, bool use_sde, const std::string& learner,
                                     const std::vector<int>& hidden);
std::string problem_with_threads(int threads, const std::string& learner);

}  // namespace mobula::rl
