// Policies of the off-policy actor-critic algorithms: one network, no value function beside it.
#pragma once

#include <mobula/random.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "rl/nn/actor.h"
#include "rl/nn/distribution.h"
#include "rl/nn/mlp.h"
#include "rl/nn/state_noise.h"

namespace mobula::rl::nn {

// log standard deviations are held in this range, and get no gradient beyond it (Haarnoja et al. 2018).
inline constexpr double kLogStdLow = -20, kLogStdHigh = 2;
// With state-dependent noise it is the mean that is held, in +- this, and the deviation is as it comes: as in
// Stable-Baselines3 (clip_mean), because nothing else keeps the features from growing.
inline constexpr double kMeanLimit = 2;

// The network and where its parameters lie: outputs are the mean, then (squashed_gaussian) the log standard deviation,
// of each dimension of a box; or (categorical) the logits. Actions a in [-1, 1] are tanh(mean + deviation * noise), or
// tanh(mean). With state_dependent_noise (of a squashed_gaussian) the outputs are the means alone, and a block
// actor.log_std has a row of last hidden units a dimension, which state_noise.h makes deviations of; it starts as
// spec.log_std_init. Holds no parameters. T is float or double.
template <class T>
class ActorNet {
 public:
  explicit ActorNet(const PolicySpec& spec);
  const PolicySpec& spec() const { return spec_; }
  const ParameterLayout& layout() const { return layout_; }
  std::size_t size() const { return layout_.size(); }
  const Mlp<T>& net() const { return net_; }
  int outputs() const { return net_.shape().outputs; }
  bool state_noise() const { return state_noise_; }
  std::size_t log_std_offset() const { return log_std_; }            // with state noise
  int feature_width() const { return padded(spec_.hidden.back()); }  // from a row of features to the next
  AlignedVector<T> initial_parameters(Random& random) const;

 private:
  PolicySpec spec_;
  bool state_noise_;
  ParameterLayout layout_;
  Mlp<T> net_;
  std::size_t log_std_ = 0;
};

extern template class ActorNet<float>;
extern template class ActorNet<double>;

// A number of [-1, 1] in the bounds of a box, and back.
inline float from_unit(const ActionSpace& space, float a) {
  return space.low + 0.5f * (a + 1.0f) * (space.high - space.low);
}
inline float to_unit(const ActionSpace& space, float x) {
  return 2.0f * (x - space.low) / (space.high - space.low) - 1.0f;
}

// Of a squashed Gaussian or a deterministic policy: samples draw, or add normal noise of exploration.noise, clipped to
// [-1, 1]. With correlated_noise both add an Ornstein-Uhlenbeck process instead, a number a dimension that is part of
// the environment's memory and 0 where an episode begins (Uhlenbeck, Ornstein 1930; Lillicrap et al. 2016):
//   x <- x - theta x dt + noise sqrt(dt) N(0, 1). Log-probabilities are not needed by anyone and written as 0.
class SquashedActor final : public Actor {
 public:
  explicit SquashedActor(const PolicySpec& spec);

  const ParameterLayout& layout() const override { return net_.layout(); }
  bool has_values() const override { return false; }
  int state_size() const override { return net_.spec().correlated_noise ? net_.spec().action.dimensions : 0; }
  void bind_states(std::span<float> states) override { states_ = states; }
  void draw_noise(std::span<Random> random) override {
    if (state_noise_) state_noise_->draw(random);
  }
  void sample(std::span<const float> parameters, std::span<const float> observations,
              std::span<const std::uint8_t> masks, std::span<Random> random, const Exploration& exploration,
              float* actions, float* log_probs, float* values) override;
  void mode(std::span<const float> parameters, std::span<const float> observations, std::span<const std::uint8_t> masks,
            float* actions) override;
  void values(std::span<const float>, std::span<const float>, float*) override {}

 private:
  // Of row r of the block that was passed through last, before tanh.
  float mean(int r, int d) const;

  ActorNet<float> net_;
  Mlp<float>::Workspace workspace_;
  AlignedVector<float> outputs_, variances_;
  std::optional<KeptStateNoise> state_noise_;
  std::span<float> states_;
};

// Of logits.
class CategoricalActor final : public Actor {
 public:
  explicit CategoricalActor(const PolicySpec& spec);

  const ParameterLayout& layout() const override { return net_.layout(); }
  bool has_values() const override { return false; }
  void sample(std::span<const float> parameters, std::span<const float> observations,
              std::span<const std::uint8_t> masks, std::span<Random> random, const Exploration& exploration,
              float* actions, float* log_probs, float* values) override;
  void mode(std::span<const float> parameters, std::span<const float> observations, std::span<const std::uint8_t> masks,
            float* actions) override;
  void values(std::span<const float>, std::span<const float>, float*) override {}

 private:
  // Calls each(first row, row of the block) with the logits of a block in outputs_.
  template <class Each>
  void for_each_row(std::span<const float> parameters, std::span<const float> observations,
                    std::span<const std::uint8_t> masks, const Each& each);

  ActorNet<float> net_;
  Mlp<float>::Workspace workspace_;
  AlignedVector<float> outputs_;
};

}  // namespace mobula::rl::nn
