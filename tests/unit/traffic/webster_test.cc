#include "rl/traffic/webster.h"

#include <gtest/gtest.h>

#include <cmath>

namespace mobula::rl::webster {
namespace {

TEST(Webster, CycleOfTheTextbookExample) {
  // L = 10 s, Y = 0.6: (1.5 * 10 + 5) / 0.4 = 50 s.
  EXPECT_DOUBLE_EQ(cycle(10, 0.6), 50);
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

TEST(Webster, SaturationFlowIsThatOfTheModel) {
  EXPECT_NEAR(saturation_flow(Idm{}, 500), 1800, 20);
  Idm hesitant;
  hesitant.time_headway = 2;
  EXPECT_LT(saturation_flow(hesitant, 500), 1300);
}

TEST(Webster, WithFreeGreensThePlanIsNearTheCycleFormula) {
  for (const double demand : {300.0, 500.0, 700.0}) {
    Intersection::Config config;
    config.min_green = 0;
    config.decision_period = 1;
    config.main_demand = config.side_demand = demand;
    const Intersection env(config);
    const double sum = 2 * demand / saturation_flow(config.driver, 500);
    const double expected = cycle(2 * lost_time(config.yellow, config.all_red), sum);
    const double planned =
        (env.fixed_green()[0] + env.fixed_green()[1]) / 1000.0 + 2 * (config.yellow + config.all_red);
    EXPECT_NEAR(planned, expected, 0.25 * expected) << demand << " vehicles/h";
  }
}

TEST(Webster, GreensKeepTheMinimumAndEndOnTheGridOfDecisions) {
  Intersection::Config config;
  config.min_green = 12;
  const Intersection env(config);
  for (const auto green : env.fixed_green()) {
    EXPECT_GE(green, 12000);
    EXPECT_EQ(green % 5000, 0) << "a change takes 5 s";
  }
  EXPECT_EQ(env.fixed_green()[1], 15000) << "the quiet street gets no more than it must";
  EXPECT_GT(env.fixed_green()[0], 30000);
}

TEST(Webster, AboveSaturationBothStreetsAreEquallyOverloaded) {
  Intersection::Config config;
  config.main_demand = 2400;
  config.side_demand = 1200;
  const auto [main, side] = Intersection(config).fixed_green();
  EXPECT_NEAR(static_cast<double>(main) / side, 2, 0.15);
  EXPECT_GE(main, 100000) << "long greens lose least";
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
        EXPECT_LE(ms, 120000);
      }
    }
  }
}

}  // namespace
}  // namespace mobula::rl::webster
