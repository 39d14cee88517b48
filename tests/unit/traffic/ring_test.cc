#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mobula/rl/check.h>
#include <mobula/rl/ring.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace mobula::rl {
namespace {

static_assert(Environment<Ring> && Reporting<Ring> && WithBaselines<Ring>);
static_assert(TextRenderable<Ring> && SvgRenderable<Ring>);

using testing::HasSubstr;

Random episode(std::uint32_t k) {
  return Random(7, Stream::environment, 0, k);
}

Ring::Config of_length(int metres, bool automated = true) {
  Ring::Config config;
  config.min_length = config.max_length = metres;
  config.automated = automated;
  return config;
}

// Plays an episode to its end and gives its report.
template <class Act>
EpisodeReport play(Ring& env, Random random, Act act) {
  env.reset(random);
  for (bool end = false; !end;) {
    const auto step = env.step(act(env), random);
    end = step.terminated || step.truncated;
  }
  EpisodeReport report;
  env.report(report);
  return report;
}

double total(const EpisodeReport& report, std::string_view name) {
  const auto* entry = report.find(name);
  return entry ? static_cast<double>(entry->milli[0]) / 1000 : -1;
}

TEST(Ring, KeepsTheContractOfAnEnvironment) {
  Ring::Config config;
  config.warmup = 50;
  config.horizon = 400;
  EXPECT_THAT(check_environment<Ring>(config, {.steps = 1500}), testing::IsEmpty());
}

TEST(Ring, LengthsAreWholeMetresFromBothEndsOn) {
  Ring::Config config;
  config.warmup = 0;
  Ring env(config);
  std::vector<int> seen(51, 0);
  for (std::uint32_t k = 0; k < 1000; ++k) {
    Random random = episode(k);
    env.reset(random);
    ASSERT_GE(env.length(), 220);
    ASSERT_LE(env.length(), 270);
    ++seen[static_cast<std::size_t>(env.length() - 220)];
  }
  EXPECT_GT(*std::min_element(seen.begin(), seen.end()), 3) << "each is as likely: 20 in 1000";
}

TEST(Ring, GapsAddUpToTheRoadAndNobodyReversesOrTouches) {
  for (const bool reckless : {false, true}) {
    Ring env(of_length(225));
    Random random = episode(1), whim(3, Stream::user);
    env.reset(random);
    for (int k = 0; k < 3000; ++k) {
      const float action = reckless ? 1.0f : static_cast<float>(whim.uniform(-1, 1));
      ASSERT_FALSE(env.step({{action}}, random).terminated);
      const auto gaps = env.gaps();
      ASSERT_NEAR(std::accumulate(gaps.begin(), gaps.end(), 0.0), 225 - 22 * 5, 1e-9);
      ASSERT_GT(*std::min_element(gaps.begin(), gaps.end()), 0) << "step " << k;
      for (const double v : env.speeds()) ASSERT_GE(v, 0);
    }
  }
}

TEST(Ring, WithoutNoiseEvenSpacingSettlesAtTheEquilibriumWhereItIsStable) {
  // Wide gaps are stable (above 21.6 m with these drivers), so all cars come to one speed.
  auto config = of_length(22 * 30, false);
  config.noise = 0;
  config.bunching = 0;
  config.warmup = 6000;
  Ring env(config);
  const auto report = play(env, episode(0), [](const Ring&) { return Ring::Action{}; });
  EXPECT_NEAR(total(report, "settled_speed"), env.equilibrium_speed(), 0.01);
  EXPECT_NEAR(total(report, "of_equilibrium"), 1, 0.001);
  EXPECT_NEAR(total(report, "settled_deviation"), 0, 0.01);
}

TEST(Ring, HumansMakeWavesOutOfNothingOnACrowdedRing) {
  auto config = of_length(230, false);
  config.bunching = 0;  // evenly spaced, only noise
  config.warmup = 6000;
  Ring env(config);
  const auto report = play(env, episode(0), [](const Ring&) { return Ring::Action{}; });
  EXPECT_NEAR(total(report, "settled_speed"), 2.40, 0.07);
  EXPECT_GT(total(report, "stopped"), 0.3);
  EXPECT_EQ(total(report, "slowest"), 0);
}

TEST(Ring, TheRewardIsSpeedLessEffort) {
  Ring env(of_length(250));
  Random random = episode(2);
  env.reset(random);
  for (const float action : {0.0f, 0.5f, -1.0f}) {
    const auto step = env.step({{action}}, random);
    const auto v = env.speeds();
    const double mean = std::accumulate(v.begin(), v.end(), 0.0) / 22;
    EXPECT_NEAR(step.reward, mean / 5 - 4 * std::abs(static_cast<double>(action)), 1e-12);
  }
}

TEST(Ring, AnActionIsHeldForTheStepsOfADecision) {
  auto config = of_length(250);
  Ring single(config);
  config.steps_per_decision = 5;
  Ring held(config);
  Random random = episode(8), random_too = random;
  single.reset(random);
  held.reset(random_too);
  double reward = 0;
  std::array<float, 3> last{};
  for (int k = 0; k < 5; ++k) {
    const auto step = single.step({{0.25f}}, random);
    reward += step.reward / 5;
    last = step.observation;
  }
  const auto step = held.step({{0.25f}}, random_too);
  EXPECT_EQ(step.observation, last);
  EXPECT_NEAR(step.reward, reward, 1e-12);
  int decisions = 1;
  while (!held.step({}, random_too).truncated) ++decisions;
  EXPECT_EQ(decisions, 3000 / 5 - 1);
}

TEST(Ring, TheObservationIsWhatItsDriverSees) {
  Ring env(of_length(240));
  Random random = episode(3);
  env.reset(random);
  const auto row = env.step({{0.2f}}, random).observation;
  EXPECT_FLOAT_EQ(row[0], static_cast<float>(env.speeds()[0] / 15));
  EXPECT_FLOAT_EQ(row[1], static_cast<float>((env.speeds()[1] - env.speeds()[0]) / 15));
  EXPECT_FLOAT_EQ(row[2], static_cast<float>((env.gaps()[0] + 5) / 240));
}

TEST(Ring, AnActionIsAnAccelerationUnlessItWouldCrash) {
  Ring env(of_length(270));
  Random random = episode(4);
  env.reset(random);
  int obeyed = 0, braked = 0;
  for (int k = 0; k < 2000; ++k) {
    const double before = env.speeds()[0];
    env.step({{0.5f}}, random);
    const double change = env.speeds()[0] - before;
    obeyed += std::abs(change - 0.05) < 1e-12 ? 1 : 0;
    braked += change < 0 ? 1 : 0;
  }
  EXPECT_GT(obeyed, 100);
  EXPECT_GT(braked, 100);
}

TEST(Ring, TheActionIsNotHeededWithoutAnAutomatedCar) {
  Ring idle(of_length(230, false)), wild(of_length(230, false));
  const auto one = play(idle, episode(5), [](const Ring&) { return Ring::Action{}; });
  const auto two = play(wild, episode(5), [](const Ring&) { return Ring::Action{{1.0f}}; });
  EXPECT_EQ(one, two);
}

TEST(Ring, WideRingsAreSmoothedByPiSaturationButNotByAHuman) {
  double human = 0;
  for (const auto& baseline : Ring::baselines()) {
    Ring env(of_length(270));
    const double settled =
        total(play(env, episode(6), [&](const Ring& e) { return baseline.act(e); }), "of_equilibrium");
    if (baseline.name == "human") human = settled;
    if (baseline.name == "pi_saturation") {
      EXPECT_GT(settled, 0.95);
    }
  }
  EXPECT_GT(human, 0.5);
  EXPECT_LT(human, 0.75);
}

TEST(Ring, ImpossibleConfigurationsAreRefusedWithTheReason) {
  const auto message = [](const Ring::Config& config) {
    try {
      Ring env(config);
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  Ring::Config config;
  config.min_length = 280;
  EXPECT_THAT(message(config), HasSubstr("min_length: it must be at most max_length"));
  config = {};
  config.vehicles = 40;
  EXPECT_THAT(message(config), HasSubstr("the cars do not fit"));
  EXPECT_EQ(message({}), "");
}

TEST(Ring, IsDrawnWithEveryCar) {
  Ring env(of_length(260));
  Random random = episode(7);
  env.reset(random);
  const std::string text = env.render_text(), svg = env.render_svg();
  EXPECT_THAT(text, HasSubstr("260 m"));
  EXPECT_EQ(std::count(text.begin(), text.begin() + static_cast<long>(text.rfind("  A automated")), 'A'), 1);
  std::size_t longest = 0, start = 0;
  for (std::size_t end; (end = text.find('\n', start)) != std::string::npos; start = end + 1)
    longest = std::max(longest, end - start);
  EXPECT_LE(longest, 80u);
  int cars = 0;
  for (std::size_t at = 0; (at = svg.find("<g transform", at)) != std::string::npos; ++at) ++cars;
  EXPECT_EQ(cars, 22);
  EXPECT_THAT(svg, testing::EndsWith("</svg>\n"));
}

}  // namespace
}  // namespace mobula::rl
