// Whole trainings, in this process.
#include <gtest/gtest.h>
#include <mobula/rl/vec_env.h>

#include "rl/envs/cartpole.h"
#include "rl/envs/identity.h"
#include "tests/unit/rl/environments.h"
#include "tests/unit/rl/in_process.h"

namespace mobula::rl {
namespace {

using test::InProcessTraining;

TEST(Learning, SolvesCartPoleWithEverySeed) {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    InProcessTraining training(&make_vec_env<CartPole>, test::zoo_cartpole(), seed, 100'000);
    std::int64_t solved = 0;
    while (training.learner.env_steps() < 100'000 && solved == 0) {
      training.iterate();
      if (training.recent_return() >= 475) solved = training.learner.env_steps();
    }
    EXPECT_GT(solved, 0) << "seed " << seed << ": " << training.recent_return() << " after 100,000 steps";
    std::cout << "seed " << seed << ": mean return of 100 episodes is 475 after " << solved << " steps\n";
  }
}

PpoOptions identity_options() {
  PpoOptions options;
  options.n_envs = 8;
  options.n_steps = 32;
  options.batch_size = 64;
  options.lr = 3e-3;
  options.gamma = 0.5;
  return options;
}

TEST(Learning, SolvesTheDiscreteIdentity) {
  InProcessTraining training(&make_vec_env<IdentityDiscrete<4>>, identity_options(), 1, 1'000'000);
  while (training.learner.env_steps() < 40'000 && training.recent_return() < 95) training.iterate();
  EXPECT_GE(training.recent_return(), 95) << "of 100";
}

TEST(Learning, SolvesTheBoxIdentity) {
  PpoOptions options = identity_options();
  options.log_std_init = -0.5;
  InProcessTraining training(&make_vec_env<IdentityBox<2>>, options, 1, 1'000'000);
  const auto solved = [&] { return training.returns.size() == 100 && training.recent_return() >= -3.0; };
  while (training.learner.env_steps() < 150'000 && !solved()) training.iterate();
  // Always answering 0 gives -67 an episode.
  EXPECT_GE(training.recent_return(), -3.0);
}

TEST(Learning, SolvesSeveralChoicesAtOnceAndKeepsToTheMask) {
  InProcessTraining training(&make_vec_env<test::TwoChoices>, identity_options(), 1, 1'000'000);
  while (training.learner.env_steps() < 40'000 && training.recent_return() < 19) {
    training.iterate();
    const ConstFragment f = training.whole.read();
    for (std::size_t k = 1; k < f.actions.size(); k += 2) ASSERT_LT(f.actions[k], 2.0f);
  }
  EXPECT_GE(training.recent_return(), 19) << "of 20";
}

// The value of a state from which reward 1 comes for ever is 1 / (1 - gamma), although episodes are cut after 10 steps.
TEST(Learning, ValuesSeeThroughTimeLimits) {
  PpoOptions options = identity_options();
  options.gamma = 0.9;
  options.gae_lambda = 0.9;
  options.lr = 1e-2;
  options.max_grad_norm = 10;
  InProcessTraining training(&make_vec_env<test::Forever>, options, 1, 1'000'000);
  while (training.learner.env_steps() < 40'000) training.iterate();
  const float observation = 1;
  float value = 0;
  training.actor->values(training.learner.parameters(), {&observation, 1}, &value);
  EXPECT_NEAR(value, 10.0, 0.2);
}

}  // namespace
}  // namespace mobula::rl
