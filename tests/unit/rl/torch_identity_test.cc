// The torch learner learns each algorithm's identity environment, as identity_matrix_test and off_policy_test have it
// of the native one.
#include <gtest/gtest.h>
#include <mobula/rl/vec_env.h>

#include <string>
#include <variant>

#include "rl/envs/identity.h"
#include "tests/unit/rl/environments.h"
#include "tests/unit/rl/identity_options.h"

namespace mobula::rl {
namespace {

using test::learns;

AlgorithmOptions by_torch(AlgorithmOptions options) {
  std::visit(
      [](auto& algorithm) {
        if constexpr (requires { algorithm.learner; }) algorithm.learner = "torch";
      },
      options);
  return options;
}

class TorchIdentity : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Algorithm, TorchIdentity, testing::Values("ppo", "a2c", "impala", "appo"),
                         [](const auto& algorithm) { return algorithm.param; });

TEST_P(TorchIdentity, IsLearned) {
  const auto options = [&](const char* memory, bool box) {
    return by_torch(test::identity_on_policy(GetParam(), memory, box));
  };
  learns(&make_vec_env<IdentityDiscrete<4>>, options("none", false), 90, 120'000);
  learns(&make_vec_env<test::TwoChoices>, options("none", false), 18, 80'000);
  learns(&make_vec_env<IdentityBox<1>>, options("none", true), -5, 300'000);
  learns(&make_vec_env<test::Recall>, options("lstm", false), 17, 200'000);
}

TEST(TorchIdentity, IsLearnedFromAReplayBuffer) {
  for (const char* head : {"mean", "quantile", "categorical"}) {
    SCOPED_TRACE(head);
    learns(&make_vec_env<IdentityDiscrete<4>>, by_torch(test::identity_dqn(head)), 95, 60'000);
  }
  learns(&make_vec_env<IdentityDiscrete<4>>, by_torch(test::identity_discrete_sac()), 95, 60'000);
  learns(&make_vec_env<IdentityBox<2>>, by_torch(test::identity_sac()), -4, 60'000);
  learns(&make_vec_env<IdentityBox<2>>, by_torch(test::identity_td3()), -4, 60'000);
  SacOptions state_noise = test::identity_sac();
  state_noise.use_sde = true;
  learns(&make_vec_env<IdentityBox<2>>, by_torch(state_noise), -4, 60'000);
}

}  // namespace
}  // namespace mobula::rl
