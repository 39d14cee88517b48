// Floating-point operations of networks, against sums by hand.
#include "rl/nn/operations.h"

#include <gtest/gtest.h>

#include "rl/nn/policy.h"

namespace mobula::rl::nn {
namespace {

PolicySpec cartpole() {
  PolicySpec spec;
  spec.observation_size = 4;
  spec.action = {ActionSpace::Kind::discrete, {2}, 1, 0, 0};
  spec.hidden = {64, 32};
  return spec;
}

// A multiply-add each for what goes forward, for the gradient of the weights and for that of what a layer reads; the
// last not in the first layer.
TEST(Operations, OfTwoNetworksAreThoseOfTheirProducts) {
  const Policy<float> policy(cartpole());
  const double actor = 4 * 64 + 64 * 32 + 32 * 2, critic = 4 * 64 + 64 * 32 + 32;
  const Passes passes = passes_of(policy.layout());
  EXPECT_EQ(passes.forward, 2 * (actor + critic));
  EXPECT_EQ(passes.learn, 6 * (actor + critic) - 2 * 2 * 4 * 64);
}

TEST(Operations, OfATableHaveNoWayBackBeyondIt) {
  PolicySpec spec = cartpole();
  spec.hidden = {};
  const Passes passes = passes_of(Policy<float>(spec).layout());
  EXPECT_EQ(passes.forward, 2 * (4 * 2 + 4));
  EXPECT_EQ(passes.learn, 2 * passes.forward);
}

TEST(Operations, CountAMemorysGates) {
  PolicySpec spec = cartpole();
  spec.memory = Memory::lstm;
  spec.memory_units = 16;
  const double input = 4 * 4 * 16, each = input + 4 * 16 * 16 + 16 * 64 + 64 * 32;
  const Passes passes = passes_of(Policy<float>(spec).layout());
  EXPECT_EQ(passes.forward, 2 * (2 * each + 32 * 2 + 32));
  EXPECT_EQ(passes.learn, 3 * passes.forward - 2 * 2 * input);
}

}  // namespace
}  // namespace mobula::rl::nn
