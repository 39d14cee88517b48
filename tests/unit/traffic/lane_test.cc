#include <gtest/gtest.h>
#include <mobula/rl/lane.h>

#include <cmath>
#include <vector>

namespace mobula::rl {
namespace {

constexpr int step_ms = 500;
const Idm driver;

// A lane with its clock.
struct Road {
  Lane lane;
  std::int32_t now = 0;
  std::int64_t waited = 0;

  void run(double seconds, bool closed) {
    for (const std::int32_t until = now + static_cast<std::int32_t>(seconds * 1000); now < until;) {
      now += step_ms;
      lane.advance(driver, step_ms, now, closed);
      waited += static_cast<std::int64_t>(lane.waiting_on_road() + lane.outside()) * step_ms;
      lane.admit_waiting(driver, step_ms, now);
    }
  }
  // As if it came at the very end of the last step.
  void arrive() { lane.arrive(driver, step_ms, now, now); }
  std::int64_t passed_line() const { return lane.left() + lane.first_before_line(); }
};

TEST(Lane, ALoneCarDrivesThroughWithoutDelay) {
  Road road;
  road.arrive();
  road.run(30, false);
  ASSERT_EQ(road.lane.left(), 1);
  EXPECT_EQ(road.lane.finished_waits()[0], 0);
  EXPECT_EQ(road.lane.finished_delays()[0], 0);
}

TEST(Lane, StopsAMetreBeforeTheClosedLineAndCountsItsWait) {
  Road road;
  road.arrive();
  road.run(90, true);
  ASSERT_EQ(road.lane.size(), 1);
  EXPECT_NEAR(road.lane.position(0), -1, 0.1);
  EXPECT_LT(road.lane.speed(0), 0.01);
  // 14.4 s to the line at full speed; the rest but a few seconds of braking is waiting.
  EXPECT_GT(road.lane.wait(0), 60000);
  EXPECT_LT(road.lane.wait(0), 90000 - 14400);
  EXPECT_EQ(road.lane.wait(0), road.waited);
}

TEST(Lane, CarsStandTwoMetresApartInAQueue) {
  Road road;
  for (int k = 0; k < 6; ++k) {
    road.arrive();
    road.run(3, true);
  }
  road.run(60, true);
  ASSERT_EQ(road.lane.size(), 6);
  for (int i = 1; i < 6; ++i)
    EXPECT_NEAR(road.lane.position(i - 1) - road.lane.position(i) - static_cast<float>(driver.length), 2, 0.15);
}

TEST(Lane, AQueueDischargesAtTheSaturationFlowOfACityStreet) {
  Road road;
  for (int k = 0; k < 40; ++k) road.arrive();
  road.run(120, true);
  ASSERT_GT(road.lane.outside(), 0) << "the queue is longer than the approach";
  ASSERT_EQ(road.passed_line(), 0);
  // The saturation headway is taken from the fourth to the twentieth car (Highway Capacity Manual); each passes the
  // line within a step, at its speed.
  std::vector<double> passed;
  const std::int32_t green = road.now;
  while (passed.size() < 20) {
    road.run(0.5, false);
    for (auto n = static_cast<std::int64_t>(passed.size()); n < road.passed_line(); ++n) {
      const int i = static_cast<int>(n - road.lane.left());
      passed.push_back((road.now - green) / 1000.0 - static_cast<double>(road.lane.position(i) / road.lane.speed(i)));
    }
  }
  const double fourth = passed[3], twentieth = passed[19];
  const double headway = (twentieth - fourth) / 16;
  EXPECT_GT(3600 / headway, 1780);
  EXPECT_LT(3600 / headway, 2000);
  RecordProperty("saturation_flow", std::to_string(3600 / headway));
  const double start_up_loss = fourth - 4 * headway;
  EXPECT_GT(start_up_loss, 1);
  EXPECT_LT(start_up_loss, 2.5);
}

TEST(Lane, AFullApproachKeepsArrivalsOutsideAndTheirWaitCounts) {
  Road road;
  for (int k = 0; k < 40; ++k) {
    road.arrive();
    road.run(2, true);
  }
  road.run(60, true);
  const int outside = road.lane.outside();
  ASSERT_GT(outside, 5);
  EXPECT_EQ(road.lane.size() + outside, 40);
  // Once all are through, what each waited, outside included, adds up to what was counted step by step.
  road.run(300, false);
  ASSERT_EQ(road.lane.left(), 40);
  std::int64_t sum = 0;
  for (const auto wait : road.lane.finished_waits()) sum += wait;
  EXPECT_EQ(sum, road.waited);
}

TEST(Lane, AtYellowThoseWhoCanStopDoAndTheOthersPassBeforeRed) {
  // A platoon at speed; the light turns yellow with the first car at each of many distances.
  for (int wait_steps = 16; wait_steps < 30; ++wait_steps) {
    Road road;
    for (int k = 0; k < 5; ++k) {
      road.arrive();
      road.run(2, false);
    }
    road.run(0.5 * (wait_steps - 16), false);
    road.lane.commit(driver, 4);
    const std::int64_t before = road.passed_line();
    int committed = 0;
    const IdmLaw<float> law(driver);
    for (int i = road.lane.first_before_line(); i < road.lane.size(); ++i)
      committed += law(road.lane.speed(i), 0, Lane::stop_obstacle(driver) - road.lane.position(i)) < -4 ? 1 : 0;
    road.run(3, true);
    EXPECT_EQ(road.passed_line() - before, committed) << "by the end of yellow, first car " << wait_steps;
    road.run(30, true);
    EXPECT_EQ(road.passed_line() - before, committed) << "nobody runs the red";
  }
}

TEST(Lane, SaysWhenTheJunctionIsClear) {
  Road road;
  EXPECT_TRUE(road.lane.clears(5));
  road.arrive();
  road.run(14.5, false);
  ASSERT_GT(road.lane.position(0), 0);
  ASSERT_LT(road.lane.position(0), 16);
  EXPECT_FALSE(road.lane.clears(5));
  road.run(2, false);
  EXPECT_TRUE(road.lane.clears(5));
}

TEST(Lane, AFinerStepGivesTheSameDrive) {
  // Approach, stop at red for a minute, discharge: travel times at 0.5 s and at 0.05 s.
  const auto travel = [](int ms) {
    Lane lane;
    std::int32_t now = 0;
    for (int k = 0; k < 8; ++k) {
      lane.arrive(driver, ms, now, now);
      for (int s = 0; s < 3000 / ms; ++s) lane.advance(driver, ms, now += ms, true);
    }
    while (now < 60000) lane.advance(driver, ms, now += ms, true);
    while (now < 120000) lane.advance(driver, ms, now += ms, false);
    return std::vector<std::int32_t>(lane.finished_delays().begin(), lane.finished_delays().end());
  };
  const auto coarse = travel(500), fine = travel(50);
  ASSERT_EQ(coarse.size(), 8u);
  ASSERT_EQ(fine.size(), 8u);
  for (int k = 0; k < 8; ++k) EXPECT_NEAR(coarse[k], fine[k], 700) << "car " << k;
}

}  // namespace
}  // namespace mobula::rl
