// LunarLander and BipedalWalker under uniformly random actions, beside Gymnasium's, whose Box2D is older.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mobula/rl/check.h>
#include <mobula/rl/vec_env.h>

#include <cmath>

#include "rl/box2d/bipedal_walker.h"
#include "rl/box2d/lunar_lander.h"
#include "tests/support/golden.h"

namespace mobula::rl {
namespace {

using golden::json;
using testing::IsEmpty;

struct Sample {
  int n = 0;
  double mean = 0, squares = 0;
  void add(double x) {
    ++n;
    const double distance = x - mean;
    mean += distance / n;
    squares += distance * (x - mean);
  }
  double sd() const { return std::sqrt(squares / (n - 1)); }
};

// Three standard errors of the difference of both means.
void expect_mean(const Sample& ours, double mean, double sd, int n, const std::string& what) {
  const double error = std::sqrt(ours.sd() * ours.sd() / ours.n + sd * sd / n);
  std::cout << "  " << what << ": " << ours.mean << " +- " << ours.sd() / std::sqrt(ours.n) << ", Gymnasium " << mean
            << " +- " << sd / std::sqrt(n) << '\n';
  EXPECT_NEAR(ours.mean, mean, 3 * error) << what;
}

template <class Action>
Action uniform(Random& random) {
  Action action;
  if constexpr (requires { action.index; }) {
    action.index = static_cast<int>(random.below(4));
  } else {
    for (float& x : action.value) x = 2 * random.uniform_float() - 1;
  }
  return action;
}

template <class E>
void play_random(const json& golden_case, int episodes) {
  Sample total, length, step_reward;
  std::vector<Sample> first(observation_size<E>);
  Random actions(1, Stream::user);
  E env({});
  for (int episode = 0; episode < episodes; ++episode) {
    Random random(1, Stream::environment, 0, static_cast<std::uint32_t>(episode));
    const auto seen = env.reset(random);
    for (std::size_t k = 0; k < first.size(); ++k) first[k].add(seen[k]);
    double sum = 0;
    int steps = 0;
    for (bool end = false; !end;) {
      const auto step = env.step(uniform<typename E::Action>(actions), random);
      sum += step.reward;
      step_reward.add(step.reward);
      ++steps;
      end = step.terminated || step.truncated;
    }
    total.add(sum);
    length.add(steps);
  }
  const int n = golden_case.at("episodes");
  for (const auto& [name, sample] : {std::pair<const char*, const Sample*>{"return", &total}, {"length", &length}}) {
    expect_mean(*sample, golden_case.at(name).at("mean"), golden_case.at(name).at("sd"), n, name);
  }
  // Steps of an episode hang together, so their number counts as that of the episodes here.
  std::cout << "  step reward: " << step_reward.mean << ", Gymnasium " << golden_case.at("step_reward").at("mean")
            << '\n';
  const auto means = golden::numbers(golden_case.at("reset_obs_mean"));
  const auto deviations = golden::numbers(golden_case.at("reset_obs_sd"));
  for (std::size_t k = 0; k < first.size(); ++k) {
    const double ours = first[k].sd() * first[k].sd() / first[k].n, theirs = deviations[k] * deviations[k] / n;
    const double error = std::sqrt(ours + theirs) + 1e-6;  // (some are constant but for float's rounding)
    EXPECT_NEAR(first[k].mean, means[k], 3 * error) << "first observation, component " << k;
    EXPECT_NEAR(first[k].sd(), deviations[k], 0.25 * deviations[k] + 1e-6) << "first observation, component " << k;
  }
}

TEST(GoldenBox2d, RandomActionsDoAsInGymnasium) {
  golden::for_each_case("rl", "box2d_random", [](const json&, const json& golden_case) {
    const std::string name = golden_case.at("env");
    const bool continuous = golden_case.value("continuous", false);
    std::cout << name << (continuous ? " continuous" : "") << '\n';
    if (name == "BipedalWalker-v3") {
      play_random<BipedalWalker>(golden_case, 400);
    } else if (continuous) {
      play_random<LunarLanderContinuous>(golden_case, 800);
    } else {
      play_random<LunarLander>(golden_case, 800);
    }
  });
}

TEST(Box2d, EnvironmentsKeepTheContract) {
  const CheckOptions few{.steps = 300};
  EXPECT_THAT(check_environment<LunarLander>({.time_limit = 60}, few), IsEmpty());
  EXPECT_THAT(check_environment<LunarLanderContinuous>({.wind = true, .time_limit = 60}, few), IsEmpty());
  EXPECT_THAT(check_environment<BipedalWalker>({.time_limit = 60}, few), IsEmpty());
  EXPECT_THAT(check_environment<BipedalWalker>({.hardcore = true, .time_limit = 60}, few), IsEmpty());
}

TEST(Box2d, TheHeuristicLands) {
  int landed = 0;
  for (int episode = 0; episode < 20; ++episode) {
    LunarLander env({});
    Random random(3, Stream::environment, 0, static_cast<std::uint32_t>(episode));
    env.reset(random);
    double total = 0;
    for (bool end = false; !end;) {
      const auto step = env.step(LunarLander::baselines()[0].act(env), random);
      total += step.reward;
      end = step.terminated || step.truncated;
    }
    landed += total >= 200;
  }
  EXPECT_GE(landed, 14);
}

// The worker that goes on with its own environments does not play the story again, another one does: both agree.
TEST(Box2d, AVectorContinuesFromASnapshotElsewhere) {
  VecEnv<BipedalWalker> here({}, {.count = 2, .seed = 4});
  here.reset();
  Random random(1, Stream::user);
  const auto actions = [&] {
    std::vector<float> rows(8);
    for (float& x : rows) x = 2 * random.uniform_float() - 1;
    return rows;
  };
  for (int t = 0; t < 60; ++t) here.step(actions());
  const auto bytes = here.snapshot();
  VecEnv<BipedalWalker> there({}, {.count = 2, .seed = 4});
  there.restore(bytes);
  here.restore(bytes);
  for (int t = 0; t < 60; ++t) {
    const auto rows = actions();
    here.step(rows);
    there.step(rows);
    ASSERT_THAT(there.observations(), testing::ElementsAreArray(here.observations()));
    ASSERT_THAT(there.rewards(), testing::ElementsAreArray(here.rewards()));
  }
  EXPECT_THROW(there.restore(std::span(bytes).first(bytes.size() / 2)), std::runtime_error);
}

}  // namespace
}  // namespace mobula::rl
