#pragma once

#include <mobula/rl/space.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace mobula {
class Random;
}

namespace mobula::rl {

/// A trained policy for use in a program: observation in, action out, with the normalisation of observations that it
/// was trained with. It needs neither the environment it was trained on nor a runtime.
///
///   const auto policy = mobula::rl::Policy::load("runs/cartpole-1");
///   const auto action = policy.act<mobula::rl::Discrete<2>>(observation);
///
/// Immutable and cheap to copy; any number of threads may call the const members at once.
class Policy {
 public:
  /// From a run directory (its newest checkpoint that is whole) or from one checkpoint file. Throws CheckpointError, a
  /// std::runtime_error, that says which file is wrong and how.
  static Policy load(const std::filesystem::path& run);

  int observation_size() const;
  const ActionSpace& action_space() const;

  /// The most likely action as a row of action_space().dimensions floats (a box's values lie within its bounds).
  /// `mask`, if not empty, has action_space().mask_size() entries: 1 for what is allowed.
  std::vector<float> act(std::span<const float> observation, std::span<const std::uint8_t> mask = {}) const;
  /// The same for a policy with memory, without which these functions throw std::invalid_argument: `memory` is what it
  /// remembers of this episode, initial_memory() at its beginning, and is moved on.
  std::vector<float> act(std::span<const float> observation, std::vector<float>& memory,
                         std::span<const std::uint8_t> mask = {}) const;
  /// Zeros; empty for a policy without memory.
  std::vector<float> initial_memory() const;
  /// An action drawn from the policy's distribution.
  std::vector<float> sample(std::span<const float> observation, Random& random,
                            std::span<const std::uint8_t> mask = {}) const;

  /// The same as a value of the environment's action type. Throws std::invalid_argument if the policy has other
  /// actions.
  template <ActionType Action>
  Action act(std::span<const float> observation, std::span<const std::uint8_t> mask = {}) const {
    check(ActionCodec<Action>::space());
    return ActionCodec<Action>::decode(act(observation, mask).data());
  }
  template <ActionType Action>
  Action sample(std::span<const float> observation, Random& random, std::span<const std::uint8_t> mask = {}) const {
    check(ActionCodec<Action>::space());
    return ActionCodec<Action>::decode(sample(observation, random, mask).data());
  }

  /// Policy and value function, in the order of the network's layers.
  std::span<const float> parameters() const;

 private:
  struct State;
  explicit Policy(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  void check(const ActionSpace& space) const;
  std::shared_ptr<const State> state_;
};

}  // namespace mobula::rl
