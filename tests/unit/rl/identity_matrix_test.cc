// The matrix algorithm x space x memory: each cell learns its identity environment, in seconds.
#include <gtest/gtest.h>
#include <mobula/rl/vec_env.h>

#include <string>
#include <tuple>

#include "rl/envs/identity.h"
#include "tests/unit/rl/any_training.h"
#include "tests/unit/rl/environments.h"
#include "tests/unit/rl/identity_options.h"

namespace mobula::rl {
namespace {

using test::AnyTraining;
using test::identity_on_policy;
using test::learns;

using Cell = std::tuple<std::string, std::string, std::string>;  // algorithm, space, memory
class IdentityMatrix : public testing::TestWithParam<Cell> {};
std::string name_of_cell(const testing::TestParamInfo<Cell>& cell) {
  return std::get<0>(cell.param) + "_" + std::get<1>(cell.param) + "_" + std::get<2>(cell.param);
}
INSTANTIATE_TEST_SUITE_P(AlgorithmSpaceMemory, IdentityMatrix,
                         testing::Combine(testing::Values("ppo", "a2c", "impala", "appo"),
                                          testing::Values("discrete", "multi_discrete_masked", "box"),
                                          testing::Values("none", "lstm", "gru")),
                         &name_of_cell);

TEST_P(IdentityMatrix, IsLearned) {
  const auto& [algorithm, space, memory] = GetParam();
  const AlgorithmOptions options = identity_on_policy(algorithm, memory, space == "box");
  if (space == "discrete") learns(&make_vec_env<IdentityDiscrete<4>>, options, 90, 120'000);           // of 100
  if (space == "multi_discrete_masked") learns(&make_vec_env<test::TwoChoices>, options, 18, 80'000);  // of 20
  if (space == "box") learns(&make_vec_env<IdentityBox<1>>, options, -5, 300'000);  // always 0 gives -33
}

class MemoryMatrix : public testing::TestWithParam<std::tuple<std::string, std::string>> {};
INSTANTIATE_TEST_SUITE_P(AlgorithmMemory, MemoryMatrix,
                         testing::Combine(testing::Values("ppo", "a2c", "impala", "appo"),
                                          testing::Values("lstm", "gru")),
                         [](const auto& cell) { return std::get<0>(cell.param) + "_" + std::get<1>(cell.param); });

// What was shown a step ago is not in the observation: a third of 20 without memory.
TEST_P(MemoryMatrix, WhatWasSeenBeforeIsRemembered) {
  const auto& [algorithm, memory] = GetParam();
  learns(&make_vec_env<test::Recall>, identity_on_policy(algorithm, memory, false), 17, 200'000);
}

class EvolutionMatrix : public testing::TestWithParam<std::tuple<std::string, std::string>> {};
INSTANTIATE_TEST_SUITE_P(AlgorithmSpace, EvolutionMatrix,
                         testing::Combine(testing::Values("ars", "es"),
                                          testing::Values("discrete", "multi_discrete_masked", "box")),
                         [](const auto& cell) { return std::get<0>(cell.param) + "_" + std::get<1>(cell.param); });

TEST_P(EvolutionMatrix, IsLearned) {
  const auto& [algorithm, space] = GetParam();
  AlgorithmOptions options = ArsOptions{.lr = 0.2, .delta_std = 0.3, .n_delta = 8};
  if (space == "box") options = ArsOptions{.lr = 0.1, .delta_std = 0.1, .n_delta = 8};
  if (algorithm == "es")
    options = EsOptions{.lr = 0.1, .noise_std = space == "box" ? 0.1 : 0.3, .n_directions = 16, .hidden = {}};
  if (space == "discrete") learns(&make_vec_env<IdentityDiscrete<4>>, options, 85, 2'000'000);
  if (space == "multi_discrete_masked") learns(&make_vec_env<test::TwoChoices>, options, 16, 1'000'000);
  if (space == "box") learns(&make_vec_env<IdentityBox<1>>, options, -5, 1'000'000);
}

TEST(MemoryMatrix, WithoutMemoryItCannotBeLearned) {
  AnyTraining training(&make_vec_env<test::Recall>, identity_on_policy("ppo", "none", false), 1, 10'000'000);
  while (training.learner->env_steps() < 40'000) training.round();
  EXPECT_LT(training.recent_return(), 10);
}

}  // namespace
}  // namespace mobula::rl
