#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mobula/rl/check.h>

#include <cmath>
#include <memory>
#include <stdexcept>

#include "rl/envs/cartpole.h"
#include "rl/envs/identity.h"
#include "tests/unit/rl/environments.h"

namespace mobula::rl {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(CheckEnvironment, FindsNothingWrongWithSoundEnvironments) {
  EXPECT_THAT(check_environment<CartPole>(), IsEmpty());
  EXPECT_THAT(check_environment<IdentityDiscrete<4>>(), IsEmpty());
  EXPECT_THAT(check_environment<IdentityBox<2>>(), IsEmpty());
  EXPECT_THAT(check_environment<test::Everything>(), IsEmpty());
  EXPECT_THAT(check_environment<test::Forever>(), IsEmpty());
  EXPECT_THAT(check_environment<test::TwoChoices>(), IsEmpty());
}

// One environment with one fault at a time.
enum class Fault {
  none,
  nan_observation,
  nan_reward,
  hidden_randomness,
  survives_reset,
  unsaved,
  limit_as_end,
  endless,
  wrong_group,
  impure_baseline,
  nan_reset,
  nan_cost,
  impure_report,
  shared_copies,
  batch_differs,
  throws,
  baseline_range
};

int calls = 0;

template <Fault fault>
struct Faulty {
  struct Config {
    void describe(Fields&) {}
  };
  using Observation = std::array<float, 2>;
  using Action = Discrete<2>;
  static constexpr std::array<std::string_view, 1> cost_names{"cost"}, group_names{"group"};
  explicit Faulty(const Config&) {}

  Observation reset(Random& random) {
    steps = unsaved = 0;
    *shared = 0;
    position = random.uniform_float();
    if (fault != Fault::survives_reset) memory = 0;
    return observe();
  }
  Step<Observation> step(const Action& action, Random& random) {
    ++steps;
    memory += 0.125f;
    unsaved += action.index;
    position += action.index ? 0.1f : -0.1f;
    if (fault == Fault::shared_copies) position += static_cast<float>(++*shared);
    if (fault == Fault::throws && steps == 6) throw std::runtime_error("the house is on fire");
    if (fault == Fault::hidden_randomness) position += static_cast<float>(++calls);
    const bool limit = fault != Fault::endless && steps >= 7;
    const double reward = fault == Fault::nan_reward && steps == 5 ? std::nan("") : position;
    const bool falls = fault != Fault::limit_as_end && fault != Fault::batch_differs && fault != Fault::endless &&
                       random.below(20) == 0;
    return {observe(), reward, falls || (limit && fault == Fault::limit_as_end), limit && fault != Fault::limit_as_end};
  }
  Annotation<1> annotate() const {
    return {{fault == Fault::nan_cost && steps == 2 ? NAN : 1.0f}, {fault == Fault::wrong_group ? 1 : 0}};
  }
  void report(EpisodeReport& report) const requires(fault == Fault::impure_report) {
    report.add_total("calls", "", 1000 * ++calls);
  }
  static std::span<const Baseline<Faulty>> baselines() {
    static constexpr Baseline<Faulty> all[] = {{"only", [](const Faulty&) -> Action {
                                                  if (fault == Fault::impure_baseline) return {++calls % 2};
                                                  return {fault == Fault::baseline_range ? 2 : 1};
                                                }}};
    return all;
  }
  template <class A>
  void serialize(A& archive) {
    archive(position, memory, steps);
    if (fault != Fault::unsaved) archive(unsaved);
    if (fault == Fault::shared_copies) archive(*shared);
  }

  Observation observe() const {
    if (fault == Fault::nan_observation && steps == 3) return {NAN, 0};
    if (fault == Fault::nan_reset && steps == 0) return {0, INFINITY};
    return {position + static_cast<float>(fault == Fault::unsaved ? unsaved : 0), memory};
  }
  static void step_batch(std::span<Faulty> envs, std::span<const float> actions,
                         const StepRows& rows) requires(fault == Fault::batch_differs) {
    Random random;
    for (std::size_t i = 0; i < envs.size(); ++i) {
      const auto step = envs[i].step({static_cast<int>(actions[i])}, random);
      std::copy_n(step.observation.data(), 2, rows.observations + 2 * i);
      rows.rewards[i] = i == 9 ? step.reward + 1e-16 + step.reward * 1e-7 : step.reward;
      rows.terminated[i] = step.terminated;
      rows.truncated[i] = step.truncated;
    }
  }
  std::shared_ptr<int> shared = std::make_shared<int>(0);
  float position = 0, memory = 0;
  int steps = 0, unsaved = 0;
};

struct NothingAllowed : test::Forever {
  using Config = test::Forever::Config;
  using test::Forever::Forever;
  std::array<bool, 2> action_mask() const { return {steps < 4, false}; }
};

TEST(CheckEnvironment, NamesEachFault) {
  EXPECT_THAT(check_environment<Faulty<Fault::none>>(), IsEmpty());
  EXPECT_THAT(check_environment<Faulty<Fault::nan_observation>>(),
              Contains(HasSubstr("observation that is not finite")));
  EXPECT_THAT(check_environment<Faulty<Fault::nan_reward>>(), Contains(HasSubstr("reward that is not finite")));
  EXPECT_THAT(check_environment<Faulty<Fault::hidden_randomness>>(), Contains(HasSubstr("draws from somewhere else")));
  EXPECT_THAT(check_environment<Faulty<Fault::survives_reset>>(), Contains(HasSubstr("state survives the reset")));
  EXPECT_THAT(check_environment<Faulty<Fault::unsaved>>(), Contains(HasSubstr("leaves out some of the state")));
  EXPECT_THAT(check_environment<Faulty<Fault::limit_as_end>>(), Contains(HasSubstr("after exactly 7 steps")));
  EXPECT_THAT(check_environment<Faulty<Fault::endless>>(), Contains(HasSubstr("No episode ended within")));
  EXPECT_THAT(check_environment<Faulty<Fault::wrong_group>>(), Contains(HasSubstr("not an index of group_names")));
  EXPECT_THAT(check_environment<Faulty<Fault::impure_baseline>>(), Contains(HasSubstr("pure function")));
  EXPECT_THAT(check_environment<Faulty<Fault::baseline_range>>(), Contains(HasSubstr("action out of range")));
  EXPECT_THAT(check_environment<Faulty<Fault::nan_reset>>(),
              Contains(HasSubstr("reset() gives an observation that is not")));
  EXPECT_THAT(check_environment<Faulty<Fault::nan_cost>>(), Contains(HasSubstr("a cost 'cost' that is not finite")));
  EXPECT_THAT(check_environment<Faulty<Fault::impure_report>>(),
              Contains(HasSubstr("report() gives different reports")));
  EXPECT_THAT(check_environment<Faulty<Fault::shared_copies>>(), Contains(HasSubstr("they share state")));
  EXPECT_THAT(check_environment<Faulty<Fault::batch_differs>>(), Contains(HasSubstr("in a batch of 11")));
  EXPECT_THAT(check_environment<Faulty<Fault::throws>>(),
              Contains(HasSubstr("threw an exception: the house is on fire")));
  EXPECT_THAT(check_environment<NothingAllowed>(), Contains(HasSubstr("allows no action")));
}

TEST(CartPole, IsTruncatedAfter500StepsAndNotTerminated) {
  CartPole env({});
  Random random(1, Stream::environment);
  env.reset(random);
  for (int t = 1; t <= 500; ++t) {
    env.state = {};  // held upright
    const auto step = env.step({t % 2}, random);
    ASSERT_EQ(step.truncated, t == 500);
    ASSERT_FALSE(step.terminated);
    ASSERT_EQ(step.reward, 1.0);
  }
}

TEST(CartPole, FailsBeyondItsLimits) {
  Random random;
  const auto falls = [&](std::array<double, 4> state) {
    CartPole env({});
    env.reset(random);
    env.state = state;
    return env.step({0}, random).terminated;
  };
  EXPECT_TRUE(falls({2.41, 0, 0, 0}));
  EXPECT_TRUE(falls({-2.41, 0, 0, 0}));
  EXPECT_TRUE(falls({0, 0, 0.2096, 0}));
  EXPECT_TRUE(falls({0, 0, -0.2096, 0}));
  EXPECT_FALSE(falls({2.39, 0, 0.2094, 0}));
}

}  // namespace
}  // namespace mobula::rl
