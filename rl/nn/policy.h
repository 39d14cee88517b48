// The policy and value function of an actor-critic learner: two networks, a distribution over actions, and the
// normalisation of observations, in one flat array of floats.
#pragma once

#include <mobula/random.h>
#include <mobula/rl/space.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rl/nn/mlp.h"
#include "rl/nn/parameters.h"
#include "rl/nn/recurrent.h"

namespace mobula::rl::nn {

// What kind of networks a policy is made of, and how large they are.
struct PolicySpec {
  enum class Kind {
    actor_critic,
    action_values,      // the best of them; see action_values.h
    squashed_gaussian,  // tanh of a Gaussian whose mean and deviation depend on the state; see squashed.h
    deterministic,      // tanh of a network
    categorical,        // logits, without a value function
  };
  Kind kind = Kind::actor_critic;
  int observation_size = 0;
  ActionSpace action;
  std::vector<int> hidden = {64, 64};
  Activation activation = Activation::tanh;
  double log_std_init = 0;
  bool normalize_observation = false;
  bool shared_trunk = false;     // one network with a head for the policy and one for the value
  Memory memory = Memory::none;  // a layer with memory between the observation and the hidden layers
  int memory_units = 64;
  bool value_function = true;
  bool squash_output = false;  // of a box, without log probabilities: actions are tanh of what they were, in its bounds
  bool state_dependent_noise = false;  // of a box: gSDE, see state_noise.h
  bool correlated_noise = false;       // who acts keeps an Ornstein-Uhlenbeck process; see squashed.h
  std::string network = {};            // a library with a network of the user's in place of all that; see own_network.h
  // Of action values only.
  bool dueling = false;
  int atoms = 1;                // numbers that the value of an action is made of: itself, quantiles, or
  double v_min = 0, v_max = 0;  // v_max > v_min: logits of evenly spaced values from v_min to v_max
  bool operator==(const PolicySpec&) const = default;
};

// Normalised observations are clipped to +- this many deviations.
inline constexpr float kObservationClip = 10.0f;

// Where everything lies in the flat array, and the passes through it; holds no parameters. T is float or double.
//
// Blocks: actor.* and critic.* (with a shared trunk shared.* alone), each with its memory.* first where there is one;
// actor.log_std (box actions only; a number a dimension, or with state_dependent_noise a row of last hidden units a
// dimension): these are learnt, `trainable()` numbers in all. After them, if the spec normalises
// observations, observation.mean and observation.scale, which start as 0 and 1: the networks then see clip((observation
// - mean) * scale, +-kObservationClip).
class OwnNetwork;

template <class T>
class Policy {
 public:
  explicit Policy(const PolicySpec& spec);

  const PolicySpec& spec() const { return spec_; }
  const ParameterLayout& layout() const { return layout_; }
  std::size_t size() const { return layout_.size(); }
  std::size_t trainable() const { return trainable_; }
  // Null unless the spec names one: then there are neither actor nor critic, and its pieces are blocks network.<k>, at
  // these offsets.
  OwnNetwork* own_network() const { return own_.get(); }
  const std::vector<std::size_t>& own_offsets() const { return own_offsets_; }

  bool shared() const { return spec_.shared_trunk && spec_.value_function && !own_; }
  // With a shared trunk its last output is the value, and there is no critic.
  const Mlp<T>& actor() const { return *actor_; }
  bool has_critic() const { return critic_.has_value(); }
  const Mlp<T>& critic() const { return *critic_; }
  // Null without memory. The networks then see what these give, and not the observation.
  const Recurrent<T>* actor_memory() const { return actor_memory_ ? &*actor_memory_ : nullptr; }
  const Recurrent<T>* critic_memory() const { return critic_memory_ ? &*critic_memory_ : nullptr; }
  // Numbers that an environment's memory holds from step to step: the actor's, then the critic's.
  int state_size() const {
    return (actor_memory_ ? actor_memory_->state_size() : 0) + (critic_memory_ ? critic_memory_->state_size() : 0);
  }
  bool continuous() const { return spec_.action.kind == ActionSpace::Kind::box; }
  std::size_t log_std_offset() const { return log_std_; }
  std::size_t mean_offset() const { return mean_; }
  std::size_t scale_offset() const { return scale_; }

  // Orthogonal weights (gain sqrt 2 hidden, 0.01 policy head, 1 value head), or uniform ones (layers with memory are
  // orthogonal all the same), from Random(seed, Stream::parameters).
  AlignedVector<T> initial_parameters(std::uint64_t seed, bool orthogonal = true) const;

  // One row of observations as the networks see it.
  void normalize(const T* parameters, const float* observation, T* out) const;

 private:
  PolicySpec spec_;
  ParameterLayout layout_;
  std::optional<Recurrent<T>> actor_memory_, critic_memory_;
  std::optional<Mlp<T>> actor_, critic_;
  std::shared_ptr<OwnNetwork> own_;
  std::vector<std::size_t> own_offsets_;
  std::size_t log_std_ = 0, trainable_ = 0, mean_ = 0, scale_ = 0;
};

extern template class Policy<float>;
extern template class Policy<double>;

}  // namespace mobula::rl::nn
