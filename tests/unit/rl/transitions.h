// Transitions to learn from, and gradients against differences of the loss.
#pragma once

#include <gtest/gtest.h>
#include <mobula/random.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "rl/algos/offpolicy/transition_batch.h"
#include "rl/nn/parameters.h"

namespace mobula::rl::test {

// A batch of random transitions in double.
struct Rows {
  Rows(int rows, int width, int dimensions, int choices) {
    Random random(1, Stream::user);
    const auto fill = [&](std::vector<double>& table, int n) {
      for (int k = 0; k < n; ++k) table.push_back(random.normal());
    };
    fill(observations, rows * width);
    fill(next_observations, rows * width);
    fill(rewards, rows);
    for (int k = 0; k < rows * dimensions; ++k) {
      actions.push_back(choices ? random.below(static_cast<std::uint32_t>(choices)) : random.uniform(-1, 1));
    }
    for (int r = 0; r < rows; ++r) {
      discounts.push_back(r % 5 == 0 ? 0 : 0.9);
      weights.push_back(0.5 + 0.5 * random.uniform());
    }
  }
  TransitionBatch<double> view() const {
    return {.observations = observations,
            .actions = actions,
            .rewards = rewards,
            .discounts = discounts,
            .next_observations = next_observations,
            .weights = weights};
  }
  std::vector<double> observations, next_observations, actions, rewards, discounts, weights;
};

// Central differences of the loss in each parameter that is not padding.
inline void expect_gradient(nn::AlignedVector<double>& parameters, std::span<const double> gradient,
                            const nn::ParameterLayout& layout, const std::function<double()>& loss) {
  const std::vector<double> found(gradient.begin(), gradient.end());
  constexpr double kStep = 1e-6;
  for (const auto& block : layout.blocks()) {
    for (int r = 0; r < block.rows; ++r) {
      for (int c = 0; c < block.columns; ++c) {
        double& x = parameters[block.offset + static_cast<std::size_t>(r) * block.stride + c];
        const double at = x;
        x = at + kStep;
        const double above = loss();
        x = at - kStep;
        const double below = loss();
        x = at;
        ASSERT_NEAR(found[&x - parameters.data()], (above - below) / (2 * kStep), 2e-7) << block.name << r << ',' << c;
      }
    }
  }
}

}  // namespace mobula::rl::test
