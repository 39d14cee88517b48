#include <gtest/gtest.h>
#include <mobula/rl/follow_models.h>
#include <mobula/rl/wave_control.h>

#include <cmath>

namespace mobula::rl {
namespace {

// The expected numbers of Flow's tests/fast_tests/test_controllers.py: all cars at rest.
TEST(FollowModels, GiveTheAccelerationsOfFlowsOwnTests) {
  EXPECT_NEAR(OptimalVelocity()(0, 0, 10), 20.319073, 5e-7);
  EXPECT_NEAR(OptimalVelocity()(0, 0, 5), 3.772339, 5e-7);
  EXPECT_NEAR(LinearOptimalVelocity()(0, 0, 10), 12.992308, 5e-7);
  EXPECT_NEAR(LinearOptimalVelocity()(0, 0, 15), 25.984615, 5e-7);
  for (int k = 1; k <= 5; ++k) EXPECT_NEAR(LinearFollowing()(0, 0, 5.0 * k), 7 + 5 * k, 1e-12);
  EXPECT_NEAR(BandoFollowTheLeader()(0, 0, 2), 1.649129, 5e-7);
  EXPECT_NEAR(BandoFollowTheLeader()(0, 0, 4), 7.853475, 5e-7);
  EXPECT_NEAR(BandoFollowTheLeader()(0, 0, 6), 14.057821, 5e-7);
}

TEST(FollowModels, BilateralControlRestsInTheMiddleOfItsNeighbours) {
  const BilateralFollowing law{.wanted_speed = 8};
  EXPECT_EQ(law(8, 8, 5, 8, 5), 0);
  EXPECT_GT(law(8, 8, 6, 8, 4), 0) << "nearer to the one behind";
  EXPECT_LT(law(8, 7, 5, 8, 5), 0) << "the one ahead is slower";
  EXPECT_GT(law(8, 8, 5, 9, 5), 0) << "the one behind is faster";
}

TEST(FollowModels, CruiseControlApproachesWhatItWantsWithItsLag) {
  LinearCruiseControl control;
  // Gap error 1 m, equal speeds: it wants 0.3 m/s^2, and after one lag is at 1 - 1/e of it.
  for (int k = 0; k < 1000; ++k) control.step(9, 9, 10, 0.0001);
  EXPECT_NEAR(control.acceleration, 0.3 * (1 - std::exp(-1)), 1e-4);
}

TEST(FollowModels, AtKraussSafeSpeedTheCarsDoNotTouch) {
  const Krauss law{.standstill_gap = 0};
  for (const double lead : {0.0, 5.0, 20.0}) {
    for (const double gap : {0.5, 5.0, 40.0}) {
      const double v = law.safe_speed(lead, gap), b = law.braking;
      const double needs = v * law.reaction_time + v * v / (2 * b), has = gap + lead * lead / (2 * b);
      EXPECT_NEAR(needs, has, 1e-9);
    }
  }
}

TEST(FollowerStopper, KeepsItsWantedSpeedUntilAZoneIsEntered) {
  const FollowerStopper law{.wanted_speed = 4};
  EXPECT_EQ(law.command(4, 4, 6.01), 4);
  EXPECT_LT(law.command(4, 3, 6.01), 4) << "closing in at 1 m/s: the border is 1 m further";
  EXPECT_EQ(law.command(4, 3, 7.01), 4);
  EXPECT_EQ(law.command(4, 4, 4.5), 0);
}

TEST(FollowerStopper, IsContinuousAcrossItsZonesButNotAsInFlow) {
  const FollowerStopper law{.wanted_speed = 4};
  const double before = law.command(2, 2, 6.0), after = law.command(2, 2, 6.0 + 1e-9);
  EXPECT_NEAR(before, after, 1e-6);
  EXPECT_GT(std::abs(law.command(3, 2, 6.0, true) - law.command(3, 2, 6.0)), 0.1);
}

TEST(PiSaturation, AimsAtItsMeanSpeedBehindAnEquallyFastCar) {
  PiSaturation pi;
  for (int k = 0; k < 1000; ++k) pi.observe(5, 5, 7);  // 7 m: safe, and not wide enough to catch up
  EXPECT_NEAR(pi.command(), 5, 1e-12);
  for (int k = 0; k < 1000; ++k) pi.observe(5, 5, 30);
  EXPECT_NEAR(pi.command(), 6, 1e-12) << "1 m/s more behind a wide gap";
}

TEST(PiSaturation, ForgetsWhatIsOlderThanItsWindow) {
  PiSaturation pi(0.1, 1);  // 9 entries
  for (int k = 0; k < 5; ++k) pi.observe(100, 100, 7);
  for (int k = 0; k < 200; ++k) pi.observe(3, 3, 7);
  EXPECT_NEAR(pi.command(), 3, 1e-9);
}

}  // namespace
}  // namespace mobula::rl
