#include <gtest/gtest.h>
#include <mobula/rl/car_following.h>

#include <cmath>

namespace mobula::rl {
namespace {

// Parameters of Flow's IDM controller.
constexpr Idm flow{
    .desired_speed = 30, .time_headway = 1, .acceleration = 1, .deceleration = 1.5, .standstill_gap = 2, .length = 5};

TEST(Idm, GivesTheAccelerationsOfFlowsOwnControllerTest) {
  // tests/fast_tests/test_controllers.py of Flow: all cars at rest, gaps of 10 to 50 m.
  const IdmLaw<double> law(flow);
  const double expected[] = {0.96, 0.99, 0.995556, 0.9975, 0.9984};
  for (int k = 0; k < 5; ++k) EXPECT_NEAR(law(0, 0, 10.0 * (k + 1)), expected[k], 5e-7);
}

TEST(Idm, KeepsItsSpeedAtTheEquilibriumGap) {
  const IdmLaw<double> law(flow);
  for (const double speed : {0.5, 3.0, 10.0, 25.0})
    EXPECT_NEAR(law(speed, speed, equilibrium_gap(flow, speed)), 0, 1e-12);
}

TEST(Idm, CapacityOfFlowsParametersIsThePublishedOne) {
  // 2452 vehicles/h, reached at 18.4 m/s.
  EXPECT_NEAR(capacity(flow), 2452, 1);
  const double at_best = 3600 * 18.4 / (equilibrium_gap(flow, 18.4) + flow.length);
  EXPECT_NEAR(capacity(flow), at_best, 0.5);
}

TEST(Idm, BrakesHarderTheCloserAndTheFasterItIs) {
  const IdmLaw<float> law(Idm{});
  EXPECT_LT(law(10, 0, 20), law(10, 0, 40));
  EXPECT_LT(law(12, 0, 40), law(10, 0, 40));
  EXPECT_GT(law(10, 12, 20), law(10, 10, 20));
  EXPECT_NEAR(law(13.9f, 13.9f, 1e9f), 0, 1e-6) << "at the desired speed on a free road";
}

}  // namespace
}  // namespace mobula::rl
