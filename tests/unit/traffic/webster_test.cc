#include "rl/traffic/webster.h"

#include <gtest/gtest.h>

#include <cmath>

namespace mobula::rl::webster {
namespace {

TEST(Webster, CycleOfTheTextbookExample) {
  // L = 10 s, Y = 0.6: (1.5 * 10 + 5) / 0.4 = 50 s.
  EXPECT_DOUBLE_EQ(cycle(10, 0.6), 50);
  EXPECT_DOUBLE_EQ(cycle(10, 0.99), 120) << "at most two minutes";
  EXPECT_DOUBLE_EQ(cycle(10, 1.2), 120) << "above saturation";
  EXPECT_DOUBLE_EQ(cycle(4, 0.1), 20);
}

TEST(Webster, LostTimeIsStartUpPlusClearanceLessTheUsedYellow) {
  EXPECT_DOUBLE_EQ(lost_time(3, 2), 5);
}

TEST(Webster, DelayByHand) {
  // C = 60 s, g = 30 s, q = 900/h on 1800/h: u = 0.5, x = 1 is saturated; at q = 720/h: x = 0.8,
  //   60 * 0.25 / (2 * 0.6) + 0.64 / (2 * 0.2 * 0.2) - 0.65 * 1500^(1/3) * 0.8^4.5
  // = 12.5                  + 8                     - 0.65 * 11.4471     * 0.366357
  EXPECT_TRUE(std::isinf(mean_delay(60, 30, 900, 1800)));
  EXPECT_NEAR(mean_delay(60, 30, 720, 1800), 12.5 + 8 - 0.65 * 11.4471 * 0.366357, 1e-3);
  EXPECT_EQ(mean_delay(60, 30, 0, 1800), 0);
}

TEST(Webster, PlanFollowsTheFormulaUpToTheGridOfDecisions) {
  Intersection::Config config;
  const Intersection env(config);
  const double saturation = capacity(config.driver);
  const double sum = (config.main_demand + config.side_demand) / saturation;
  const double lost = 2 * (config.yellow + config.all_red);
  const double green_time = (1.5 * lost + 5) / (1 - sum) - lost;
  const auto [main, side] = env.fixed_green();
  EXPECT_EQ((main + 5000) % 5000, 0) << "a change of 5 s then ends on a decision";
  EXPECT_EQ((side + 5000) % 5000, 0);
  EXPECT_NEAR(main, 1000 * green_time * config.main_demand / (config.main_demand + config.side_demand), 5000);
  EXPECT_GE(side, 1000 * config.min_green);
  EXPECT_LE(side, 1000 * std::max(config.min_green,
                                  green_time * config.side_demand / (config.main_demand + config.side_demand)) +
                      5000);
}

TEST(Webster, EqualStreetsShareTheGreenEqually) {
  Intersection::Config config;
  config.main_demand = config.side_demand = 600;
  const auto [main, side] = Intersection(config).fixed_green();
  EXPECT_EQ(main, side);
}

TEST(Webster, HasAPlanForEveryDemand) {
  for (const double main : {0.0, 1.0, 600.0, 1800.0, 3600.0}) {
    for (const double side : {0.0, 50.0, 900.0, 3600.0}) {
      Intersection::Config config;
      config.main_demand = main;
      config.side_demand = side;
      const auto green = Intersection(config).fixed_green();
      for (const auto ms : green) {
        EXPECT_GE(ms, 1000 * config.min_green);
        EXPECT_LE(ms, 130000);
      }
    }
  }
}

}  // namespace
}  // namespace mobula::rl::webster
