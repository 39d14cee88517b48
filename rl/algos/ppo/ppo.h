// The learner of proximal policy optimisation: fragments in, better parameters out.
#pragma once

#include <mobula/rl/any_vec_env.h>
#include <mobula/rl/ppo_options.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "rl/buffers/fragment.h"
#include "rl/nn/policy.h"

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

// What a `shape` hook sees: the batch as the environments' workers wrote it, and the advantages, which it may change.
// Returns (the targets of the value function) are fixed before it runs.
struct ShapeInput {
  const ConstFragment& fragment;
  std::span<const float> rewards;  // [steps][envs], normalised if the options say so
  std::span<float> advantages;     // [steps][envs]
};
using ShapeHook = std::function<void(const ShapeInput&)>;

// May change the rewards [steps][envs] that are learned from, before they are normalised: terms added to them, or a
// Lagrangian mix with costs. By the linearity of generalised advantages it shapes them too, and the value function
// learns the mix. The fragment keeps the environment's own.
using RewardHook = std::function<void(const ConstFragment&, std::span<float> rewards)>;

nn::PolicySpec policy_spec(const EnvironmentInfo& info, const PpoOptions& options);

// One thread, no hidden state: the same fragments give the same bytes. `total_steps` is where linear schedules end.
class PpoLearner {
 public:
  PpoLearner(const EnvironmentInfo& info, const PpoOptions& options, std::uint64_t seed, std::int64_t total_steps);
  ~PpoLearner();
  PpoLearner(PpoLearner&&) noexcept;

  const nn::PolicySpec& spec() const;
  const PpoOptions& options() const;

  // The policy's flat array: what is broadcast to those who act. Changed by update() and load().
  std::span<const float> parameters() const;

  // Learns from one iteration: all environments in order, options().n_steps steps. Also moves the normalisers on (those
  // of the fragment first used in the next one), and counts its steps.
  PpoStats update(const ConstFragment& fragment);

  // Called after the advantages are computed and before they are used. Not part of save().
  void set_shape(ShapeHook hook);
  // Called before them. Not part of save().
  void set_reward(RewardHook hook);

  std::int64_t env_steps() const;   // consumed
  std::uint32_t iteration() const;  // updates done: what collect() is to be given next

  // The whole state: parameters, Adam's moments, normalisers, progress of the schedules. load() throws
  // std::runtime_error if the bytes are of another policy; the learner is then as it was.
  std::vector<std::byte> save() const;
  void load(std::span<const std::byte> bytes);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mobula::rl
