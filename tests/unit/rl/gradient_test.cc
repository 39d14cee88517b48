// The gradients of the actor-critic losses for every kind of policy, against differences of the loss itself.
#include "rl/algos/actor_critic/gradient.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <tuple>
#include <vector>

namespace mobula::rl {
namespace {

constexpr int kSteps = 5, kEnvs = 6, kWidth = 3;

ActionSpace space_named(const std::string& name) {
  if (name == "discrete") return {ActionSpace::Kind::discrete, {4}, 1, 0, 0};
  if (name == "multi_discrete") return {ActionSpace::Kind::multi_discrete, {3, 2}, 2, 0, 0};
  return {ActionSpace::Kind::box, {}, 2, -1, 1};
}

// A random batch [kSteps][kEnvs] for a policy.
struct Experience {
  Experience(const nn::Policy<double>& policy, bool masked) {
    Random random(11, Stream::user);
    const ActionSpace& space = policy.spec().action;
    const int cells = kSteps * kEnvs;
    for (int k = 0; k < cells * kWidth; ++k) observations.push_back(random.normal());
    for (int k = 0; k < cells; ++k) {
      for (int d = 0; d < space.dimensions; ++d) {
        actions.push_back(space.sizes.empty() ? random.normal() : random.below(space.sizes[d]));
      }
      if (masked) {
        for (int d = 0; d < space.dimensions; ++d) {  // the action that was taken, and some others, are allowed
          for (int a = 0; a < space.sizes[d]; ++a) {
            masks.push_back(a == static_cast<int>(actions[actions.size() - space.dimensions + d]) || random.below(2));
          }
        }
      }
      log_probs.push_back((space.sizes.empty() ? -3.0 : -1.4) + 0.3 * random.normal());
      values.push_back(random.normal());
      advantages.push_back(random.normal());
      returns.push_back(random.normal());
      ended.push_back(random.below(4) == 0);
    }
    for (int k = 0; k < kEnvs * policy.state_size(); ++k) states.push_back(0.5 * random.normal());
    parameters = policy.initial_parameters(3);
    for (const auto& block : policy.layout().blocks()) {
      const bool padded_gates = block.name.find(".memory.") != std::string::npos;
      for (int r = 0; r < block.rows; ++r) {
        for (int c = 0; c < block.columns; ++c) {
          if (padded_gates && c % nn::padded(policy.spec().memory_units) >= policy.spec().memory_units) continue;
          parameters[block.offset + static_cast<std::size_t>(r) * block.stride + c] += 0.2 * random.normal();
        }
      }
    }
  }
  PpoBatch<double> batch() const { return {observations, actions, log_probs, values, advantages, returns, masks}; }
  std::vector<double> observations, actions, log_probs, values, advantages, returns, states;
  std::vector<std::uint8_t> masks, ended;
  nn::AlignedVector<double> parameters;
};

using Cell = std::tuple<std::string, bool, nn::Memory, bool>;  // space, shared trunk, memory, plain policy gradient

class ActorCriticGradient : public testing::TestWithParam<Cell> {};

TEST_P(ActorCriticGradient, EqualsFiniteDifferencesOfTheLoss) {
  const auto& [space, shared, memory, plain] = GetParam();
  nn::PolicySpec spec;
  spec.observation_size = kWidth;
  spec.action = space_named(space);
  spec.hidden = {7};
  spec.shared_trunk = shared;
  spec.memory = memory;
  spec.memory_units = 5;
  const nn::Policy<double> policy(spec);
  Experience e(policy, space != "box");
  PpoGradient<double> gradient(policy);
  const PpoLoss loss{.policy = plain ? PpoLoss::Policy::log_probability : PpoLoss::Policy::clipped,
                     .clip_range = 0.3,
                     .ratio_limit = 1.5,
                     .clip_range_vf = 0.4,
                     .ent_coef = 0.1,
                     .vf_coef = 0.7};
  const std::vector<std::uint32_t> columns{4, 1, 2};
  const auto value = [&] {
    return gradient.compute(e.parameters.data(), e.batch(), kSteps, kEnvs, columns, e.states, e.ended, loss).loss;
  };
  value();
  const nn::AlignedVector<double> analytic(gradient.gradient().begin(), gradient.gradient().end());
  double largest = 0;
  for (const auto& block : policy.layout().blocks()) {
    for (int r = 0; r < block.rows; ++r) {
      for (int c = 0; c < block.stride; ++c) {
        const std::size_t k = block.offset + static_cast<std::size_t>(r) * block.stride + c;
        const bool gate_padding =
            block.name.find(".memory.") != std::string::npos && c % nn::padded(spec.memory_units) >= spec.memory_units;
        if (c >= block.columns || gate_padding) {
          ASSERT_EQ(analytic[k], 0.0) << block.name << " padding";
          continue;
        }
        if ((r * 31 + c) % 7 != 0) continue;  // a sample is enough
        const double keep = e.parameters[k], h = 1e-6;
        e.parameters[k] = keep + h;
        const double up = value();
        e.parameters[k] = keep - h;
        const double down = value();
        e.parameters[k] = keep;
        ASSERT_NEAR(analytic[k], (up - down) / (2 * h), 1e-6) << block.name << " " << r << " " << c;
        largest = std::max(largest, std::abs(analytic[k]));
      }
    }
  }
  EXPECT_GT(largest, 1e-3);
}

std::string name_of(const testing::TestParamInfo<Cell>& cell) {
  const auto& [space, shared, memory, plain] = cell.param;
  return space + (shared ? "_shared" : "_separate") +
         (memory == nn::Memory::none   ? ""
          : memory == nn::Memory::lstm ? "_lstm"
                                       : "_gru") +
         (plain ? "_plain" : "_clipped");
}
INSTANTIATE_TEST_SUITE_P(AllPolicies, ActorCriticGradient,
                         testing::Combine(testing::Values("discrete", "multi_discrete", "box"), testing::Bool(),
                                          testing::Values(nn::Memory::none, nn::Memory::lstm, nn::Memory::gru),
                                          testing::Bool()),
                         &name_of);

// Whole columns, in any order, are the same samples as a list of rows: without memory both give the same gradient.
TEST(PpoGradient, SequencesWithoutMemoryAreJustRows) {
  nn::PolicySpec spec;
  spec.observation_size = kWidth;
  spec.action = space_named("discrete");
  const nn::Policy<double> policy(spec);
  Experience e(policy, false);
  PpoGradient<double> by_rows(policy), by_columns(policy);
  std::vector<std::uint32_t> rows, columns{0, 1, 2, 3, 4, 5};
  for (std::uint32_t r = 0; r < kSteps * kEnvs; ++r) rows.push_back(r);
  const auto a = by_rows.compute(e.parameters.data(), e.batch(), rows, {});
  const auto b = by_columns.compute(e.parameters.data(), e.batch(), kSteps, kEnvs, columns, {}, e.ended, {});
  EXPECT_EQ(a.loss, b.loss);
  EXPECT_TRUE(std::equal(by_rows.gradient().begin(), by_rows.gradient().end(), by_columns.gradient().begin()));
}

// A range that holds nothing back changes nothing. (It did: old + (value - old) differs from the value by rounding, and
// where that made the loss larger the sample had no gradient. LibTorch's autograd disagreed.)
TEST(PpoGradient, ValuesThatAreNotHeldBackLearnAsWithoutARange) {
  nn::PolicySpec spec;
  spec.observation_size = kWidth;
  spec.action = space_named("discrete");
  const nn::Policy<double> policy(spec);
  Experience e(policy, false);
  PpoGradient<double> free(policy), ranged(policy);
  std::vector<std::uint32_t> rows;
  for (std::uint32_t r = 0; r < kSteps * kEnvs; ++r) rows.push_back(r);
  free.compute(e.parameters.data(), e.batch(), rows, {});
  ranged.compute(e.parameters.data(), e.batch(), rows, {.clip_range_vf = 100.0});
  EXPECT_TRUE(std::equal(free.gradient().begin(), free.gradient().end(), ranged.gradient().begin()));
}

}  // namespace
}  // namespace mobula::rl
