// What an update of the actor-critic algorithms minimises on one minibatch: PPO's clipped surrogate, or the plain
// policy gradient of A2C and IMPALA; and its gradient, whoever computes it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace mobula::rl {

// Samples in rows, as the learner holds them for an update.
template <class T>
struct PpoBatch {
  std::span<const T> observations;      // [rows][observation_size], as the networks see them
  std::span<const T> actions;           // [rows][action.dimensions]
  std::span<const T> log_probs;         // of the actions when they were taken
  std::span<const T> values;            // when they were taken
  std::span<const T> advantages;        // [rows]
  std::span<const T> returns;           // [rows]
  std::span<const std::uint8_t> masks;  // [rows][mask_size]; empty: everything is allowed
};

// loss = policy_loss + vf_coef * value_loss - ent_coef * entropy, all means over the minibatch.
struct PpoLoss {
  // clipped: -min(A ratio, A clip(ratio)); log_probability: -A log pi, whatever the probability was when it was taken.
  enum class Policy { clipped, log_probability };
  Policy policy = Policy::clipped;
  double clip_range = 0.2;
  // > 0: a ratio above it counts no more where the advantage is negative (dual clip, Ye et al. 2020): for experience of
  // an older policy, whose ratios may be huge. The plain surrogate bounds them on the other side only.
  double ratio_limit = 0;
  std::optional<double> clip_range_vf;
  double ent_coef = 0;
  double vf_coef = 0.5;
  bool normalize_advantage = true;  // to mean 0 and (unbiased) deviation 1 in the minibatch
};

struct PpoLossStats {
  double policy_loss = 0;
  double value_loss = 0;  // 0.5 * squared error; with clip_range_vf the mean of the larger of unclipped and clipped
  double entropy = 0;
  double approx_kl = 0;  // mean(ratio - 1 - log ratio)
  double clip_fraction = 0;
  double loss = 0;
};

// Implementations hold scratch memory and no parameters: these lie in the flat array that all functions take, in the
// layout of the policy. The same arguments give the same bytes. T is float or double.
template <class T>
class ActorCriticObjective {
 public:
  virtual ~ActorCriticObjective() = default;

  // The gradient of the loss over the samples `rows` of the batch with respect to the trainable parameters; overwrites
  // gradient(). Of policies without memory.
  virtual PpoLossStats compute(const T* parameters, const PpoBatch<T>& batch, std::span<const std::uint32_t> rows,
                               const PpoLoss& loss) = 0;
  // The same over whole sequences, for a policy with memory too: the batch is a table [steps][envs], of which the
  // columns `columns` are learned from together. initial_states: [envs][state_size], before the first step; ended:
  // [steps][envs], whether an episode ended with that step, so that the next one starts from a zero state.
  virtual PpoLossStats compute(const T* parameters, const PpoBatch<T>& batch, int steps, int envs,
                               std::span<const std::uint32_t> columns, std::span<const T> initial_states,
                               std::span<const std::uint8_t> ended, const PpoLoss& loss) = 0;
  // Of the last compute(); padding is zero.
  virtual std::span<const T> gradient() const = 0;

  // What the policy makes of a whole table [steps][envs] (see above): the log-probabilities of its actions and the
  // values of its observations.
  virtual void evaluate(const T* parameters, const PpoBatch<T>& batch, int steps, int envs,
                        std::span<const T> initial_states, std::span<const std::uint8_t> ended, std::span<T> log_probs,
                        std::span<T> values) = 0;
  // Values of observations [n][observation_size] as the networks see them; of policies without memory.
  virtual void values(const T* parameters, std::span<const T> observations, std::span<T> values) = 0;
};

}  // namespace mobula::rl
