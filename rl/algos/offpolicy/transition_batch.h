#pragma once

#include <cstdint>
#include <span>

#include "rl/buffers/replay.h"

namespace mobula::rl {

// Transitions in rows, as a ReplayBatch holds them. T is float or double.
template <class T>
struct TransitionBatch {
  std::span<const T> observations;                // [rows][observation_size]
  std::span<const T> actions;                     // [rows][action_size]; a box's values in [-1, 1]
  std::span<const T> rewards;                     // [rows]
  std::span<const T> discounts;                   // [rows], of the value of the next observation; 0 after terminations
  std::span<const T> next_observations;           // [rows][observation_size]
  std::span<const T> weights;                     // [rows], of importance
  std::span<const std::uint8_t> next_masks = {};  // [rows][mask_size]; empty: everything is allowed
  int rows() const { return static_cast<int>(rewards.size()); }
};

inline TransitionBatch<float> view(const ReplayBatch& batch) {
  return {.observations = batch.observations,
          .actions = batch.actions,
          .rewards = batch.rewards,
          .discounts = batch.discounts,
          .next_observations = batch.next_observations,
          .weights = batch.weights,
          .next_masks = batch.next_masks};
}

}  // namespace mobula::rl
