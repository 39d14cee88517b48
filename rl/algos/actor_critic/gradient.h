// The objective of the actor-critic algorithms by hand-written passes: the native learner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "rl/algos/actor_critic/objective.h"
#include "rl/algos/actor_critic/second_thread.h"
#include "rl/nn/distribution.h"
#include "rl/nn/policy.h"
#include "rl/nn/state_noise.h"

namespace mobula::rl {

// Sums run in the order of the samples. With two threads the one has the policy's network and the other the value
// function's, whose parameters and sums have nothing in common: so the bytes are those of one thread. (A shared trunk
// and policies with memory are left to one.)
template <class T>
class PpoGradient final : public ActorCriticObjective<T> {
 public:
  explicit PpoGradient(const nn::Policy<T>& policy, int threads = 1);

  PpoLossStats compute(const T* parameters, const PpoBatch<T>& batch, std::span<const std::uint32_t> rows,
                       const PpoLoss& loss) override;
  PpoLossStats compute(const T* parameters, const PpoBatch<T>& batch, int steps, int envs,
                       std::span<const std::uint32_t> columns, std::span<const T> initial_states,
                       std::span<const std::uint8_t> ended, const PpoLoss& loss) override;
  std::span<const T> gradient() const override { return gradient_; }
  void evaluate(const T* parameters, const PpoBatch<T>& batch, int steps, int envs, std::span<const T> initial_states,
                std::span<const std::uint8_t> ended, std::span<T> log_probs, std::span<T> values) override;
  void values(const T* parameters, std::span<const T> observations, std::span<T> values) override;

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
  void gather(const PpoBatch<T>& batch, std::span<const std::uint32_t> rows, nn::AlignedVector<T>& observations) const;
  void choose(const PpoBatch<T>& batch, std::span<const std::uint32_t> rows);
  static Norm advantage_norm(const PpoBatch<T>& batch, std::span<const std::uint32_t> rows, const PpoLoss& loss);
  void begin(const T* parameters, bool memory);
  PpoLossStats end(const Totals& totals, std::size_t samples, const PpoLoss& loss);
  void block(const T* parameters, const PpoBatch<T>& batch, std::span<const std::uint32_t> rows, const Inputs& in,
             const PpoLoss& loss, T weight, const Norm& norm, Totals& totals);
  void policy_block(const T* parameters, const PpoBatch<T>& batch, std::span<const std::uint32_t> rows,
                    const Inputs& in, const PpoLoss& loss, T weight, const Norm& norm, Totals& totals);
  void value_block(const T* parameters, const PpoBatch<T>& batch, std::span<const std::uint32_t> rows, const Inputs& in,
                   const PpoLoss& loss, T weight, Totals& totals);
  void set_deviations(const T* parameters);
  // Gives what the samples first .. of the block are distributed as, after a forward pass of `lanes` rows.
  template <class Use>
  void with_distribution(int lanes, const Use& use);

  const nn::Policy<T>& policy_;
  typename nn::Mlp<T>::Workspace actor_workspace_, critic_workspace_;
  typename nn::Recurrent<T>::Workspace actor_memory_, critic_memory_;
  nn::Categorical<T> categorical_;
  nn::DiagonalGaussian<T> gaussian_;
  std::optional<nn::StateNoise<T>> state_noise_;
  nn::SpreadGaussian<T> spread_;
  nn::AlignedVector<T> variances_, d_variances_;
  std::unique_ptr<SecondThread> second_;
  nn::AlignedVector<T> second_observations_;
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
