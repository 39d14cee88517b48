#include <gtest/gtest.h>
#include <mobula/rl/signal.h>

namespace mobula::rl {
namespace {

constexpr Signal::Times times{.min_green = 5000, .yellow = 3000, .all_red = 2000};

TEST(Signal, DropsARequestBeforeTheMinimumGreenIsOver) {
  Signal signal;
  signal.advance(4500, times);
  EXPECT_FALSE(signal.may_change(times));
  EXPECT_FALSE(signal.request(1, times));
  signal.advance(500, times);
  EXPECT_TRUE(signal.green(0)) << "the early request was not remembered";
  EXPECT_TRUE(signal.request(1, times));
}

TEST(Signal, RunsThroughYellowAndAllRed) {
  Signal signal;
  signal.advance(5000, times);
  ASSERT_TRUE(signal.request(1, times));
  EXPECT_EQ(signal.stage, Signal::Stage::yellow);
  signal.advance(2500, times);
  EXPECT_EQ(signal.stage, Signal::Stage::yellow);
  EXPECT_EQ(signal.phase, 0);
  signal.advance(500, times);
  EXPECT_EQ(signal.stage, Signal::Stage::all_red);
  EXPECT_FALSE(signal.green(0) || signal.green(1));
  signal.advance(2000, times);
  EXPECT_TRUE(signal.green(1));
  EXPECT_EQ(signal.elapsed, 0);
}

TEST(Signal, IgnoresRequestsDuringAChange) {
  Signal signal;
  signal.advance(5000, times);
  ASSERT_TRUE(signal.request(1, times));
  signal.advance(1000, times);
  EXPECT_FALSE(signal.request(0, times));
  EXPECT_FALSE(signal.request(1, times));
  signal.advance(4000, times);
  EXPECT_TRUE(signal.green(1));
}

TEST(Signal, ALongStepCarriesTheRemainderIntoTheNextStage) {
  Signal signal;
  signal.advance(5000, times);
  ASSERT_TRUE(signal.request(1, times));
  signal.advance(6000, times);
  EXPECT_TRUE(signal.green(1));
  EXPECT_EQ(signal.elapsed, 1000);
}

}  // namespace
}  // namespace mobula::rl
