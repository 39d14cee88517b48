#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mobula/rl/vec_env.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "rl/algos/actor_critic/gradient.h"
#include "rl/envs/cartpole.h"
#include "rl/envs/identity.h"
#include "rl/nn/adam.h"
#include "tests/unit/rl/environments.h"
#include "tests/unit/rl/in_process.h"

namespace mobula::rl {
namespace {

using test::Everything;
using test::InProcessTraining;
using test::OwnedFragment;
using testing::HasSubstr;

PpoOptions small_options() {
  PpoOptions options;
  options.n_envs = 6;
  options.n_steps = 30;
  options.batch_size = 64;
  options.n_epochs = 4;
  options.lr = 1e-3;
  options.lr_schedule = "linear";
  options.clip_schedule = "linear";
  options.normalize_observation = true;
  options.normalize_reward = true;
  options.ent_coef = 0.01;
  return options;
}

template <Environment E>
std::vector<float> train(const PpoOptions& options, std::uint64_t seed, int iterations, int split) {
  InProcessTraining training(&make_vec_env<E>, options, seed, 10'000, split);
  for (int k = 0; k < iterations; ++k) training.iterate();
  return training.parameters();
}

TEST(Ppo, TheSameSeedGivesTheSameBitsHoweverEnvironmentsAreSplit) {
  const auto discrete = train<Everything>(small_options(), 1, 10, 1);
  EXPECT_EQ(discrete, train<Everything>(small_options(), 1, 10, 2));
  EXPECT_EQ(discrete, train<Everything>(small_options(), 1, 10, 4));
  EXPECT_NE(discrete, train<Everything>(small_options(), 2, 10, 1));
  const auto box = train<IdentityBox<2>>(small_options(), 1, 10, 1);
  EXPECT_EQ(box, train<IdentityBox<2>>(small_options(), 1, 10, 3));
}

TEST(Ppo, GoesOnWithTheSameBitsFromASavedState) {
  InProcessTraining whole(&make_vec_env<Everything>, small_options(), 5, 10'000);
  for (int k = 0; k < 4; ++k) whole.iterate();
  const auto learner_bytes = whole.learner.save();
  const auto env_bytes = whole.envs[0]->snapshot();
  for (int k = 0; k < 4; ++k) whole.iterate();

  InProcessTraining resumed(&make_vec_env<Everything>, small_options(), 5, 10'000);
  resumed.iterate();  // some other state before
  resumed.learner.load(learner_bytes);
  resumed.envs[0]->restore(env_bytes);
  EXPECT_EQ(resumed.learner.iteration(), 4u);
  EXPECT_EQ(resumed.learner.env_steps(), 4 * 6 * 30);
  for (int k = 0; k < 4; ++k) resumed.iterate();
  EXPECT_EQ(whole.parameters(), resumed.parameters());
  EXPECT_EQ(whole.learner.save(), resumed.learner.save());
}

TEST(Ppo, RefusesTheStateOfAnotherPolicy) {
  PpoOptions wider = small_options();
  wider.hidden = {128, 64};
  const PpoLearner other(environment_info<Everything>(), wider, 1, 1000);
  PpoLearner learner(environment_info<Everything>(), small_options(), 1, 1000);
  const std::vector<float> before(learner.parameters().begin(), learner.parameters().end());
  try {
    learner.load(other.save());
    FAIL();
  } catch (const std::runtime_error& e) {
    EXPECT_THAT(e.what(), HasSubstr("of another policy"));
  }
  auto cut = learner.save();
  cut.resize(cut.size() - 9);
  EXPECT_THROW(learner.load(cut), std::runtime_error);
  EXPECT_THAT(learner.parameters(), testing::ElementsAreArray(before));
}

// The policy that acted and the one that learns are the same numbers, so before the first step every ratio is
// exactly 1.
TEST(Ppo, TheFirstMinibatchHasRatioOneExactly) {
  for (const bool box : {false, true}) {
    PpoOptions options = small_options();
    options.n_epochs = 1;
    options.batch_size = options.n_envs * options.n_steps;
    InProcessTraining training(box ? VecEnvFactory(&make_vec_env<IdentityBox<3>>) : &make_vec_env<Everything>, options,
                               7, 10'000);
    for (int k = 0; k < 3; ++k) {
      const PpoStats stats = training.iterate();
      EXPECT_EQ(stats.approx_kl, 0.0);
      EXPECT_EQ(stats.clip_fraction, 0.0);
      EXPECT_NEAR(stats.policy_loss, 0.0, 1e-6);  // minus the mean of normalised advantages
      EXPECT_GT(stats.grad_norm, 0.0);
    }
  }
}

TEST(Ppo, SchedulesFallToZeroAtTheEnd) {
  PpoOptions options = small_options();
  InProcessTraining training(&make_vec_env<Everything>, options, 1, 4 * 6 * 30);
  for (int k = 1; k <= 4; ++k) {
    const PpoStats stats = training.iterate();
    EXPECT_NEAR(stats.learning_rate, 1e-3 * (1 - k / 4.0), 1e-12);
    EXPECT_NEAR(stats.clip_range, 0.2 * (1 - k / 4.0), 1e-12);
  }
}

TEST(Ppo, TargetKlEndsAnUpdateEarly) {
  PpoOptions options = small_options();
  options.lr = 0.05;
  options.n_epochs = 50;
  options.target_kl = 0.01;
  InProcessTraining training(&make_vec_env<Everything>, options, 1, 10'000'000);
  const PpoStats stats = training.iterate();
  EXPECT_LT(stats.minibatches, 50 * 3);
  EXPECT_GE(stats.minibatches, 2);
}

TEST(Ppo, TheShapeHookChangesAdvantagesOnly) {
  InProcessTraining plain(&make_vec_env<Everything>, small_options(), 1, 10'000);
  InProcessTraining shaped(&make_vec_env<Everything>, small_options(), 1, 10'000);
  int calls = 0;
  shaped.learner.set_shape([&calls](const ShapeInput& in) {
    ++calls;
    ASSERT_EQ(in.advantages.size(), 180u);
    ASSERT_EQ(in.fragment.costs.size(), 360u);
    for (std::size_t k = 0; k < in.advantages.size(); ++k) in.advantages[k] -= in.fragment.costs[2 * k];
  });
  plain.iterate();
  shaped.iterate();
  EXPECT_EQ(calls, 1);
  const nn::Policy<float> policy(plain.learner.spec());
  const auto moved = [&](const std::string& name) {
    const auto& block = policy.layout().block(name);
    const auto part = [&block](std::span<const float> all) { return all.subspan(block.offset, block.columns); };
    return !std::ranges::equal(part(plain.learner.parameters()), part(shaped.learner.parameters()));
  };
  EXPECT_TRUE(moved("actor.head.bias"));
}

TEST(Ppo, ReportsAnExplodedUpdate) {
  PpoOptions options = small_options();
  options.lr_schedule = "constant";
  options.lr = 1e30;
  InProcessTraining training(&make_vec_env<Everything>, options, 1, 10'000);
  try {
    for (int k = 0; k < 5; ++k) training.iterate();
    FAIL();
  } catch (const std::runtime_error& e) {
    EXPECT_THAT(e.what(), HasSubstr("not finite"));
  }
}

TEST(Ppo, RefusesAFragmentOfAnotherShape) {
  PpoLearner learner(environment_info<Everything>(), small_options(), 1, 1000);
  OwnedFragment fragment(FragmentLayout(environment_info<Everything>(), 30, 5));
  EXPECT_THROW(learner.update(fragment.read()), std::invalid_argument);
}

// The same samples through the float and the double instantiation.
TEST(PpoGradient, FloatAgreesWithDouble) {
  for (const bool box : {false, true}) {
    nn::PolicySpec spec{
        .observation_size = 6, .action = {ActionSpace::Kind::discrete, {4}, 1, 0, 0}, .hidden = {64, 32}};
    if (box) spec.action = {ActionSpace::Kind::box, {}, 3, -1, 1};
    const nn::Policy<float> narrow(spec);
    const nn::Policy<double> wide(spec);
    auto parameters = narrow.initial_parameters(2);
    Random random(3, Stream::user);
    for (const auto& block : narrow.layout().blocks()) {
      for (int r = 0; r < block.rows; ++r) {
        for (int c = 0; c < block.columns; ++c) {
          parameters[block.offset + r * block.stride + c] += 0.2f * static_cast<float>(random.normal());
        }
      }
    }
    const nn::AlignedVector<double> wide_parameters(parameters.begin(), parameters.end());
    constexpr int rows = 150;
    const int width = spec.action.dimensions;
    std::vector<float> observations(rows * 6), actions(rows * width), log_probs(rows), values(rows), advantages(rows),
        returns(rows);
    for (float& x : observations) x = static_cast<float>(random.normal());
    for (float& x : actions) x = box ? static_cast<float>(random.normal()) : static_cast<float>(random.below(4));
    for (int r = 0; r < rows; ++r) {
      log_probs[r] = (box ? -4.0f : -1.4f) + 0.2f * static_cast<float>(random.normal());
      values[r] = static_cast<float>(random.normal());
      advantages[r] = static_cast<float>(random.normal());
      returns[r] = static_cast<float>(random.normal());
    }
    const auto widen = [](const std::vector<float>& v) { return std::vector<double>(v.begin(), v.end()); };
    const auto o = widen(observations), a = widen(actions), l = widen(log_probs), v = widen(values),
               adv = widen(advantages), ret = widen(returns);
    std::vector<std::uint32_t> order(rows);
    std::iota(order.begin(), order.end(), 0u);
    const PpoLoss loss{.clip_range = 0.2, .clip_range_vf = 0.3, .ent_coef = 0.01};
    PpoGradient<float> g(narrow);
    PpoGradient<double> h(wide);
    const auto s =
        g.compute(parameters.data(), {observations, actions, log_probs, values, advantages, returns, {}}, order, loss);
    const auto t = h.compute(wide_parameters.data(), {o, a, l, v, adv, ret, {}}, order, loss);
    EXPECT_NEAR(s.loss, t.loss, 1e-5 * std::abs(t.loss));
    EXPECT_NEAR(s.approx_kl, t.approx_kl, 1e-5 * t.approx_kl + 1e-6);
    EXPECT_NEAR(s.entropy, t.entropy, 1e-5 * std::abs(t.entropy));
    EXPECT_EQ(s.clip_fraction, t.clip_fraction);
    const double norm = nn::norm<double>(h.gradient());
    double difference = 0;
    for (std::size_t k = 0; k < g.gradient().size(); ++k) {
      difference += std::pow(g.gradient()[k] - h.gradient()[k], 2);
    }
    EXPECT_LT(std::sqrt(difference), 1e-5 * norm);
  }
}

}  // namespace
}  // namespace mobula::rl
