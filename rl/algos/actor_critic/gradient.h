// The loss of the actor-critic algorithms and its gradient on one minibatch: PPO's clipped surrogate, or the plain
// policy gradient of A2C and IMPALA.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "rl/nn/distribution.h"
#include "rl/nn/policy.h"

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

// Holds the scratch memory of the passes. T is float or double.
template <class T>
class PpoGradient {
 public:
  explicit PpoGradient(const nn::Policy<T>& policy);

  // The gradient of the loss over the samples `rows` of the batch with respect to the trainable parameters; overwrites
  // gradient(). Sums run in the order of `rows`, in one thread.
  PpoLossStats compute(const T* parameters, const PpoBatch<T>& batch, std::span<const std::uint32_t> rows,
                       const PpoLoss& loss);
  // The same over whole sequences, for a policy with memory too: the batch is a table [steps][envs], of which the
  // columns `columns` are learned from together. initial_states: [envs][state_size], before the first step; ended:
  // [steps][envs], whether an episode ended with that step, so that the next one starts from a zero state.
  PpoLossStats compute(const T* parameters, const PpoBatch<T>& batch, int steps, int envs,
                       std::span<const std::uint32_t> columns, std::span<const T> initial_states,
                       std::span<const std::uint8_t> ended, const PpoLoss& loss);
  std::span<const T> gradient() const { return gradient_; }

  // What the policy makes of a whole table [steps][envs] (see above): the log-probabilities of its actions and the
  // values of its observations.
  void evaluate(const T* parameters, const PpoBatch<T>& batch, int steps, int envs, std::span<const T> initial_states,
                std::span<const std::uint8_t> ended, std::span<T> log_probs, std::span<T> values);
  // Values of observations [n][observation_size] as the networks see them; of policies without memory.
  void values(const T* parameters, std::span<const T> observations, std::span<T> values);

 private:
  struct Totals;
  // What the networks of a block see, and where their gradients with respect to that go.
  struct Inputs {
    const T* actor = nullptr;
    const T* critic = nullptr;
    std::ptrdiff_t ld = 0;
    T* d_actor = nullptr;
    T* d_critic = nullptr;
  };
  struct Norm {
    T shift = 0, scale = 1;
  };
  // Runs the memories over the sequences of `columns`; leaves what the networks see in actor_out_ and critic_out_.
  void remember(const T* parameters, const PpoBatch<T>& batch, int steps, int envs,
                std::span<const std::uint32_t> columns, std::span<const T> initial_states,
                std::span<const std::uint8_t> ended);
  Inputs inputs_at(std::size_t row);
  void gather(const PpoBatch<T>& batch, std::span<const std::uint32_t> rows);
  void choose(const PpoBatch<T>& batch, std::span<const std::uint32_t> rows);
  static Norm advantage_norm(const PpoBatch<T>& batch, std::span<const std::uint32_t> rows, const PpoLoss& loss);
  void begin(const T* parameters, bool memory);
  PpoLossStats end(const Totals& totals, std::size_t samples, const PpoLoss& loss);
  void block(const T* parameters, const PpoBatch<T>& batch, std::span<const std::uint32_t> rows, const Inputs& in,
             const PpoLoss& loss, T weight, const Norm& norm, Totals& totals);

  const nn::Policy<T>& policy_;
  typename nn::Mlp<T>::Workspace actor_workspace_, critic_workspace_;
  typename nn::Recurrent<T>::Workspace actor_memory_, critic_memory_;
  nn::Categorical<T> categorical_;
  nn::DiagonalGaussian<T> gaussian_;
  // Of a block: inputs [row][...], and component-major tables as in nn/distribution.h.
  nn::AlignedVector<T> observations_, actions_, head_, d_head_, d_log_std_;
  // Of whole sequences, time-major: observations, states before them, what the memories gave, gradients.
  nn::AlignedVector<T> sequence_, states_, actor_out_, critic_out_, d_actor_out_, d_critic_out_;
  std::vector<std::uint32_t> sequence_rows_;
  std::vector<std::uint8_t> resets_;
  nn::AlignedVector<T> gradient_;
};

extern template class PpoGradient<float>;
extern template class PpoGradient<double>;

}  // namespace mobula::rl
