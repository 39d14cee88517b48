// Acting with the two networks of an actor-critic policy.
#pragma once

#include <optional>
#include <vector>

#include "rl/nn/actor.h"
#include "rl/nn/distribution.h"
#include "rl/nn/mlp.h"
#include "rl/nn/state_noise.h"

namespace mobula::rl::nn {

class ActorCritic final : public Actor {
 public:
  explicit ActorCritic(const PolicySpec& spec);

  const ParameterLayout& layout() const override { return policy_.layout(); }
  bool has_values() const override { return policy_.spec().value_function; }
  int state_size() const override { return policy_.state_size(); }
  void bind_states(std::span<float> states) override { states_ = states; }
  void draw_noise(std::span<Random> random) override;
  void sample(std::span<const float> parameters, std::span<const float> observations,
              std::span<const std::uint8_t> masks, std::span<Random> random, const Exploration& exploration,
              float* actions, float* log_probs, float* values) override;
  void mode(std::span<const float> parameters, std::span<const float> observations, std::span<const std::uint8_t> masks,
            float* actions) override;
  void values(std::span<const float> parameters, std::span<const float> observations, float* values) override;

 private:
  // Rows first .. first + rows - 1 of what was bound. With `act` the head is computed and the memories move on.
  void forward(const float* parameters, const float* observations, const std::uint8_t* masks, int first, int rows,
               bool act, bool value);
  // The actions of the first `rows` lanes of chosen_, one after the other.
  void give(int rows, float* actions) const;

  Policy<float> policy_;
  Mlp<float>::Workspace actor_workspace_, critic_workspace_;
  Recurrent<float>::Workspace memory_workspace_;
  std::span<float> states_;
  AlignedVector<float> rows_, actor_rows_, critic_rows_, looked_at_, head_, own_heads_, value_, chosen_;
  Categorical<float> categorical_;
  DiagonalGaussian<float> gaussian_;
  // With state-dependent noise.
  std::optional<KeptStateNoise> state_noise_;
  SpreadGaussian<float> spread_;
  AlignedVector<float> variances_;
};

}  // namespace mobula::rl::nn
