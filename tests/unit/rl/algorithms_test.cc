// What every algorithm on fresh experience promises, in small: the same bytes however environments are spread, exact
// states, and that the policy that acts is as old as it should be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mobula/rl/vec_env.h>

#include <algorithm>
#include <cmath>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "rl/envs/identity.h"
#include "tests/unit/rl/any_training.h"
#include "tests/unit/rl/environments.h"

namespace mobula::rl {
namespace {

using test::AnyTraining;
using test::Everything;

template <class Options>
AlgorithmOptions with_everything(Options options) {
  options.normalize_observation = true;
  options.lr = Schedule::linear(1e-3, 1e-4);
  if constexpr (requires { options.n_envs; }) {
    options.normalize_reward = true;
    options.n_envs = 6;
    options.ent_coef = 0.01;
  }
  return options;
}

struct Kind {
  std::string name;
  AlgorithmOptions options;
  friend void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }
};

std::vector<Kind> kinds() {
  return {{"Ppo", with_everything(PpoOptions{.n_steps = 20, .batch_size = 64, .n_epochs = 3})},
          {"PpoSharedTrunk",
           with_everything(PpoOptions{.n_steps = 20, .batch_size = 64, .n_epochs = 3, .shared_trunk = true})},
          {"PpoLstm", with_everything(PpoOptions{.n_steps = 20, .batch_size = 40, .n_epochs = 3, .memory = "lstm"})},
          {"PpoGru", with_everything(PpoOptions{
                         .n_steps = 20, .batch_size = 40, .n_epochs = 3, .shared_trunk = true, .memory = "gru"})},
          {"A2c", with_everything(A2cOptions{})},
          {"A2cLstm", with_everything(A2cOptions{.memory = "lstm"})},
          {"A2cAdam", with_everything(A2cOptions{.optimizer = "adam"})},
          {"Impala", with_everything(ImpalaOptions{.n_steps = 20})},
          {"ImpalaRmsprop",
           with_everything(ImpalaOptions{.n_steps = 20, .lag = 3, .optimizer = "rmsprop", .optimizer_eps = 0.1})},
          {"Appo", with_everything(AppoOptions{.n_steps = 20, .lag = 2, .batch_size = 60})},
          {"Ars", with_everything(ArsOptions{.n_delta = 5, .n_top = 3})},
          {"Es", with_everything(EsOptions{.n_directions = 6, .hidden = {8}})},
          {"AppoLstm", with_everything(AppoOptions{.n_steps = 20, .batch_size = 60, .memory = "lstm"})}};
}

class OnFreshExperience : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Algorithms, OnFreshExperience, testing::ValuesIn(kinds()),
                         [](const testing::TestParamInfo<Kind>& kind) { return kind.param.name; });

std::vector<float> trained(VecEnvFactory factory, const Kind& kind, std::uint64_t seed, int split) {
  AnyTraining training(factory, kind.options, seed, 10'000, split);
  for (int k = 0; k < 12; ++k) training.round();
  return training.parameters();
}

TEST_P(OnFreshExperience, TheSameSeedGivesTheSameBitsHoweverEnvironmentsAreSplit) {
  const auto whole = trained(&make_vec_env<Everything>, GetParam(), 1, 1);
  EXPECT_EQ(whole, trained(&make_vec_env<Everything>, GetParam(), 1, 2));
  EXPECT_EQ(whole, trained(&make_vec_env<Everything>, GetParam(), 1, 5));
  EXPECT_NE(whole, trained(&make_vec_env<Everything>, GetParam(), 2, 1));
  const auto box = trained(&make_vec_env<IdentityBox<2>>, GetParam(), 1, 1);
  EXPECT_EQ(box, trained(&make_vec_env<IdentityBox<2>>, GetParam(), 1, 3));
}

TEST_P(OnFreshExperience, GoesOnWithTheSameBitsFromASavedState) {
  AnyTraining straight(&make_vec_env<Everything>, GetParam().options, 5, 10'000);
  for (int k = 0; k < 5; ++k) straight.round();
  const auto bytes = straight.learner->save();
  const auto snapshot = straight.envs[0]->snapshot();
  const std::vector<float> memory(straight.parts[0]->view.initial_states.begin(),
                                  straight.parts[0]->view.initial_states.end());

  AnyTraining later(&make_vec_env<Everything>, GetParam().options, 5, 10'000);
  later.learner->load(bytes);
  later.envs[0]->restore(snapshot);
  std::ranges::copy(memory, later.parts[0]->view.initial_states.begin());
  EXPECT_EQ(later.learner->env_steps(), straight.learner->env_steps());
  EXPECT_EQ(later.learner->save(), bytes);
  for (int k = 0; k < 6; ++k) {
    straight.round();
    later.round();
    ASSERT_EQ(later.parameters(), straight.parameters()) << k;
  }
}

TEST_P(OnFreshExperience, RefusesTheStateOfAnotherPolicyAndStaysAsItWas) {
  AnyTraining training(&make_vec_env<Everything>, GetParam().options, 5, 10'000);
  AnyTraining other(&make_vec_env<IdentityBox<2>>, GetParam().options, 5, 10'000);
  training.round();
  const auto before = training.learner->save();
  EXPECT_THROW(training.learner->load(other.learner->save()), std::runtime_error);
  auto torn = before;
  torn.resize(torn.size() / 2);
  EXPECT_THROW(training.learner->load(torn), std::runtime_error);
  EXPECT_EQ(training.learner->save(), before);
}

// The first minibatch of an update finds the policy that collected: every ratio is exactly 1. With a memory too, whose
// states the learner rebuilds from those that were stored.
TEST_P(OnFreshExperience, TheLearnerAgreesExactlyWithWhoActed) {
  auto options = GetParam().options;
  std::visit(
      [](auto& o) {
        if constexpr (requires { o.n_epochs; }) o.n_epochs = 1;
        if constexpr (requires { o.batch_size; }) o.batch_size = 6 * o.n_steps;
        if constexpr (requires { o.lag; }) o.lag = 0;
      },
      options);
  AnyTraining training(&make_vec_env<Everything>, options, 3, 10'000);
  for (int k = 0; k < 4; ++k) {
    for (const auto& [name, value] : training.round()) {
      if (name == "approx_kl") {
        EXPECT_EQ(value, 0.0);
      }
      if (name == "mean_rho") {
        EXPECT_EQ(value, 1.0);
      }
    }
  }
}

TEST(Impala, ThePolicyThatActsIsSoManyUpdatesOld) {
  for (const int lag : {0, 1, 3}) {
    AnyTraining training(&make_vec_env<Everything>, ImpalaOptions{.n_envs = 4, .n_steps = 10, .lag = lag}, 1, 1000);
    std::vector<std::vector<float>> history;
    for (int k = 0; k < 8; ++k) {
      history.push_back(training.parameters());
      const std::size_t expected = static_cast<std::size_t>(std::max(0, k - lag));
      EXPECT_TRUE(std::ranges::equal(training.learner->behaviour(), history[expected])) << lag << " " << k;
      if (lag > 0) {
        const std::size_t next = static_cast<std::size_t>(std::max(0, k + 1 - lag));
        EXPECT_TRUE(std::ranges::equal(training.learner->behaviour(1), history[next])) << lag << " " << k;
      }
      const auto statistics = training.round();
      const auto measured = std::ranges::find(statistics, "policy_lag", &Statistics::value_type::first);
      ASSERT_NE(measured, statistics.end());
      EXPECT_EQ(measured->second, std::min(lag, k));
    }
  }
}

// Each column has the age of the policy that collected it.
TEST(Impala, TellsHowOldThePoliciesWereThatCollectedWhatArrived) {
  AnyTraining training(&make_vec_env<Everything>,
                       ImpalaOptions{.n_envs = 4, .n_steps = 10, .lag = 5, .deterministic = false}, 1, 1000);
  EXPECT_FALSE(training.learner->deterministic());
  EXPECT_EQ(training.learner->lag(), 0);
  const auto lags = [&](const std::vector<std::uint32_t>& versions) {
    training.learner->collected_by(versions);
    const auto statistics = training.round();
    const auto of = [&](const char* name) {
      return std::ranges::find(statistics, name, &Statistics::value_type::first)->second;
    };
    return std::pair(of("policy_lag"), of("policy_lag_max"));
  };
  EXPECT_EQ(lags({0, 0, 0, 0}), std::pair(0.0, 0.0));
  EXPECT_EQ(lags({1, 1, 0, 0}), std::pair(0.5, 1.0));
  EXPECT_EQ(lags({2, 0, 0, 2}), std::pair(1.0, 2.0));
}

TEST(Impala, RefusesRunningReturnsWhereEnvironmentsAreNotFollowed) {
  const auto info = environment_info<Everything>();
  for (const AlgorithmOptions& options :
       {AlgorithmOptions(ImpalaOptions{.deterministic = false, .normalize_reward = true}),
        AlgorithmOptions(AppoOptions{.deterministic = false, .normalize_reward = true})}) {
    EXPECT_THAT(problem_with(options, info), testing::HasSubstr("algorithm.normalize_reward: the running return"));
  }
  EXPECT_EQ(problem_with(AlgorithmOptions(AppoOptions{.normalize_reward = true}), info), "");
  EXPECT_EQ(problem_with(AlgorithmOptions(AppoOptions{.deterministic = false}), info), "");
}

// Some rounds of both; how far their parameters lie apart at most, and how far the first went.
std::pair<double, double> apart(const AlgorithmOptions& one, const AlgorithmOptions& other) {
  AnyTraining a(&make_vec_env<Everything>, one, 3, 10'000), b(&make_vec_env<Everything>, other, 3, 10'000);
  const auto start = a.parameters();
  EXPECT_EQ(start, b.parameters());
  for (int k = 0; k < 3; ++k) {
    a.round();
    b.round();
  }
  double difference = 0, moved = 0;
  for (std::size_t k = 0; k < start.size(); ++k) {
    difference = std::max(difference, std::abs(static_cast<double>(a.parameters()[k]) - b.parameters()[k]));
    moved = std::max(moved, std::abs(static_cast<double>(a.parameters()[k]) - start[k]));
  }
  return {difference, moved};
}

// When the policy that acted is the newest, V-trace is the n-step return: then IMPALA is A2C, and APPO is PPO, with
// lambda 1.
TEST(Impala, WithoutLagAnUpdateIsThatOfA2c) {
  const auto [difference, moved] = apart(
      ImpalaOptions{.lr = 1e-2,
                    .n_envs = 6,
                    .n_steps = 20,
                    .lag = 0,
                    .ent_coef = 0.02,
                    .max_grad_norm = 0.5,
                    .optimizer = "rmsprop",
                    .optimizer_eps = 0.1},
      A2cOptions{
          .lr = 1e-2, .n_envs = 6, .n_steps = 20, .ent_coef = 0.02, .optimizer = "rmsprop", .optimizer_eps = 0.1});
  EXPECT_LT(difference, 1e-6);
  EXPECT_GT(moved, 1e-3);
}

TEST(Appo, WithoutLagAnUpdateIsThatOfPpo) {
  const auto [difference, moved] = apart(AppoOptions{.lr = 1e-2,
                                                     .n_envs = 6,
                                                     .n_steps = 20,
                                                     .lag = 0,
                                                     .batch_size = 40,
                                                     .n_epochs = 3,
                                                     .clip_range = 0.2,
                                                     .ent_coef = 0.02,
                                                     .max_grad_norm = 0.5,
                                                     .optimizer_eps = 0.1},
                                         PpoOptions{.lr = 1e-2,
                                                    .n_envs = 6,
                                                    .n_steps = 20,
                                                    .batch_size = 40,
                                                    .n_epochs = 3,
                                                    .gae_lambda = 1.0,
                                                    .clip_range = 0.2,
                                                    .ent_coef = 0.02,
                                                    .adam_eps = 0.1});
  EXPECT_LT(difference, 1e-6);
  EXPECT_GT(moved, 1e-3);
}

}  // namespace
}  // namespace mobula::rl
