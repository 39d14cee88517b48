#include "rl/fairness/multiplier.h"

#include <gtest/gtest.h>

#include <limits>

namespace mobula::rl {
namespace {

const MultiplierOptions kIntegralOnly{.proportional = 0, .integral = 0.125, .derivative = 0, .cap = 1};

TEST(Multiplier, MovesInProportionToTheViolation) {
  Multiplier little, much;
  little.update(0.1, kIntegralOnly);
  much.update(1.0, kIntegralOnly);
  EXPECT_NEAR(much.value(), 10 * little.value(), 1e-12);
}

TEST(Multiplier, IsClippedAtZeroAfterEachUpdateSoThatItDoesNotWindUp) {
  Multiplier m;
  for (int i = 0; i < 100; ++i) m.update(-1, kIntegralOnly);
  EXPECT_EQ(m.value(), 0);
  m.update(0.5, kIntegralOnly);
  EXPECT_NEAR(m.value(), 0.0625, 1e-12);
}

TEST(Multiplier, CountsUpdatesAtItsCapOnlyWhileTheLimitIsBroken) {
  Multiplier m;
  for (int i = 0; i < 12; ++i) m.update(1, kIntegralOnly);
  EXPECT_EQ(m.value(), 1);
  EXPECT_EQ(m.at_cap(), 5);
  m.update(-0.01, kIntegralOnly);
  EXPECT_EQ(m.at_cap(), 0);
}

TEST(Multiplier, StandsStillOnWhatIsNotKnown) {
  Multiplier m;
  m.update(1, kIntegralOnly);
  const double before = m.value();
  m.update(std::numeric_limits<double>::quiet_NaN(), kIntegralOnly);
  EXPECT_EQ(m.value(), before);
}

}  // namespace
}  // namespace mobula::rl
