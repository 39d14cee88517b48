// What the learners with a replay buffer have in common: counting, collecting into the buffer, when and how often they
// learn, schedules, and the whole state as bytes.
#pragma once

#include <mobula/rl/any_vec_env.h>
#include <mobula/rl/schedule.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rl/algos/learner.h"
#include "rl/buffers/replay.h"
#include "rl/nn/adam.h"

namespace mobula::rl {

// The common part of the options.
struct OffPolicySettings {
  Schedule lr;
  RolloutSize rollout;
  int gradient_steps = 1;  // -1: as many as there were steps
  int batch_size = 0;
  std::int64_t learning_starts = 0;
  std::int64_t iteration_steps = 0;
  double beta = 0;  // of importance weights, at the start
  ReplayOptions replay;

  template <class Options>
  static OffPolicySettings from(const Options& o, int action_dimensions) {
    OffPolicySettings s;
    s.lr = o.lr;
    s.rollout = {.envs = o.n_envs, .steps = o.train_freq};
    s.gradient_steps = o.gradient_steps;
    s.batch_size = o.batch_size;
    s.learning_starts = o.learning_starts;
    s.iteration_steps = o.iteration_steps;
    // What a process on actions is at lies in each environment's memory.
    if constexpr (requires { o.exploration; }) {
      if (o.exploration == "ornstein_uhlenbeck") s.rollout.state_size = action_dimensions;
    }
    s.replay = {.capacity = static_cast<std::size_t>(o.buffer_size), .n_steps = o.n_steps, .gamma = o.gamma};
    return s;
  }
};

// One thread. A derived learner owns nothing but what follows from its options: all that is learnt lies in parameters_,
// and in the optimisers that it adds.
class OffPolicyLearner : public Learner {
 public:
  // `statistics` are the means over the batches of an update that update() is asked for.
  OffPolicyLearner(std::string_view name, const EnvironmentInfo& info, const nn::PolicySpec& spec,
                   const OffPolicySettings& settings, std::uint64_t seed, std::int64_t total_steps,
                   std::vector<std::string_view> statistics);

  const nn::PolicySpec& spec() const override { return spec_; }
  std::span<const float> parameters() const override { return parameters_; }
  std::span<const float> policy() const override { return parameters().first(policy_size_); }
  RolloutSize rollout() const override { return settings_.rollout; }
  std::uint32_t rounds() const override;
  nn::Exploration exploration() const override;
  Statistics learn(const ConstFragment& fragment) override;
  std::int64_t env_steps() const override { return env_steps_; }
  std::uint32_t iteration() const override { return iteration_; }
  std::int64_t updates() const { return updates_; }  // batches learnt from
  double operations() const override { return operations_; }
  const ReplayBuffer& buffer() const { return buffer_; }
  std::vector<std::byte> save() const override;
  void load(std::span<const std::byte> bytes) override;
  // Transitions keep their costs and groups from then on, and each batch's rewards are mixed anew, so that old ones
  // count with the multipliers of today. Before the first learn() and before load(); with n_steps 1 only.
  void set_reward(RewardHook hook) override;

 protected:
  // Called once by the derived constructor: the flat array, the first `policy_size` numbers of which act.
  void set_parameters(nn::AlignedVector<float> parameters, std::size_t policy_size);
  // An optimiser of `size` numbers; part of the state.
  nn::Adam<float>& add_optimizer(std::size_t size, double eps);

  // One batch: a step of the optimisers, and one number for each of the statistics.
  virtual std::vector<double> update(ReplayBatch& batch, double lr) = 0;
  // Before the batches of an update, which `before` .. env_steps() have led to.
  virtual void begin_update(std::int64_t /*before*/) {}

  // What a row of a batch takes; called once by the derived constructor.
  void set_operations(double of_a_row) { operations_of_a_row_ = of_a_row; }

  double now(const Schedule& schedule) const { return schedule.at(env_steps_, total_steps_); }
  // The share of the run that is done, 0 to 1.
  double progress() const;
  // Numbers for `use` of the present batch: 0 is taken, it draws the rows.
  Random batch_random(std::uint32_t use) const;

  nn::AlignedVector<float> parameters_;
  ReplayBuffer buffer_;
  std::vector<double> own_state_;  // numbers of the derived learner that are part of the state; always as many

 private:
  // A batch, as the hook wants it: so many steps of one environment.
  void mix_rewards();

  const std::string name_;
  const nn::PolicySpec spec_;
  const OffPolicySettings settings_;
  const FragmentLayout rows_;  // of a batch
  const std::uint64_t seed_;
  const std::int64_t total_steps_;
  const std::vector<std::string_view> statistics_;
  std::size_t policy_size_ = 0;
  std::vector<std::unique_ptr<nn::Adam<float>>> optimizers_;
  std::int64_t env_steps_ = 0, updates_ = 0;
  std::uint32_t iteration_ = 0;
  double operations_of_a_row_ = 0, operations_ = 0;
  ReplayBatch batch_;
  RewardHook reward_;
  nn::AlignedVector<std::byte> mixing_;
};

}  // namespace mobula::rl
