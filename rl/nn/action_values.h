// The value of each action: the network of DQN and its relatives, and acting by it.
#pragma once

#include <mobula/random.h>

#include <cstdint>
#include <span>

#include "rl/nn/actor.h"
#include "rl/nn/mlp.h"

namespace mobula::rl::nn {

// One network whose outputs are spec.atoms numbers an action: its value; quantiles of its return (Dabney et al. 2018);
// or logits of a distribution over evenly spaced returns (Bellemare, Dabney, Munos 2017). With spec.dueling (Wang et
// al. 2016) another spec.atoms outputs are the value of the state, and number k of action a is V_k + A_ak - mean_a
// A_ak; both heads share the hidden layers. Holds no parameters. T is float or double.
//
// Tables are component-major: component a * atoms + k of row r lies at [(a * atoms + k) * kBlockRows + r].
template <class T>
class ActionValues {
 public:
  explicit ActionValues(const PolicySpec& spec);

  const PolicySpec& spec() const { return spec_; }
  const ParameterLayout& layout() const { return layout_; }
  std::size_t size() const { return layout_.size(); }
  const Mlp<T>& net() const { return net_; }
  int actions() const { return actions_; }
  int components() const { return actions_ * spec_.atoms; }
  int outputs() const { return components() + (spec_.dueling ? spec_.atoms : 0); }
  bool categorical() const { return spec_.v_max > spec_.v_min; }
  // Of a categorical head, k in 0 .. atoms - 1.
  double atom(int k) const { return spec_.v_min + k * (spec_.v_max - spec_.v_min) / (spec_.atoms - 1); }

  AlignedVector<T> initial_parameters(std::uint64_t seed) const;

  // Outputs of the network to components. The two may not overlap.
  void combine(const T* outputs, int rows, T* components) const;
  // The gradient with respect to the outputs from that with respect to the components.
  void combine_gradient(const T* d_components, int rows, T* d_outputs) const;
  // Components to expected values [actions][kBlockRows].
  void expect(const T* components, int rows, T* values) const;

 private:
  PolicySpec spec_;
  ParameterLayout layout_;
  int actions_;
  Mlp<T> net_;
};

extern template class ActionValues<float>;
extern template class ActionValues<double>;

// The first of the best allowed actions of row r; `mask` of that row or null.
template <class T>
int best_action(const T* values, int actions, int r, const std::uint8_t* mask) {
  int best = -1;
  for (int a = 0; a < actions; ++a) {
    if (mask && !mask[a]) continue;
    if (best < 0 || values[a * kBlockRows + r] > values[best * kBlockRows + r]) best = a;
  }
  return best < 0 ? 0 : best;
}

// One of the allowed actions, each as likely.
inline int any_action(int actions, const std::uint8_t* mask, Random& random) {
  if (!mask) return static_cast<int>(random.below(static_cast<std::uint32_t>(actions)));
  int allowed = 0;
  for (int a = 0; a < actions; ++a) allowed += mask[a] != 0;
  if (allowed == 0) return 0;
  auto skip = static_cast<int>(random.below(static_cast<std::uint32_t>(allowed)));
  int a = 0;
  while (!mask[a] || skip-- > 0) ++a;
  return a;
}

// Takes the best action; with probability exploration.epsilon (always, if uniform) any allowed one.
class ActionValueActor final : public Actor {
 public:
  explicit ActionValueActor(const PolicySpec& spec);

  const ParameterLayout& layout() const override { return values_.layout(); }
  bool has_values() const override { return false; }
  void sample(std::span<const float> parameters, std::span<const float> observations,
              std::span<const std::uint8_t> masks, std::span<Random> random, const Exploration& exploration,
              float* actions, float* log_probs, float* values) override;
  void mode(std::span<const float> parameters, std::span<const float> observations, std::span<const std::uint8_t> masks,
            float* actions) override;
  void values(std::span<const float>, std::span<const float>, float*) override {}

 private:
  ActionValues<float> values_;
  Mlp<float>::Workspace workspace_;
  AlignedVector<float> outputs_, components_, expected_;
};

}  // namespace mobula::rl::nn
