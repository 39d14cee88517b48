#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/unit/traffic/episodes.h"

namespace mobula::rl {
namespace {

std::int64_t sum(const EpisodeReport& report, std::string_view metric, std::string_view group = {}) {
  const auto* entry = report.find(metric, group);
  return entry ? std::accumulate(entry->milli.begin(), entry->milli.end(), std::int64_t{0}) : -1;
}

int always_main(const Intersection&) {
  return 0;
}

TEST(Report, EveryCarWaitsWhatWasCountedStepByStepWhoeverControls) {
  for (const double demand : {300.0, 900.0, 1800.0}) {
    Intersection::Config config;
    config.main_demand = demand;
    Intersection env(config);
    double cost = 0;
    run_episode(env, episode_random(1), always_main, [&](const Intersection& e, const auto&) {
      for (const float c : e.annotate().cost) cost += static_cast<double>(c);
    });
    EpisodeReport report;
    env.report(report);
    EXPECT_EQ(sum(report, "wait"), std::llround(1000 * cost));
    EXPECT_EQ(sum(report, "wait"), sum(report, "wait", "main") + sum(report, "wait", "side"));
    EXPECT_EQ(sum(report, "wait", "side"), sum(report, "wait", "north") + sum(report, "wait", "south"));
    EXPECT_EQ(sum(report, "delay", "main"), sum(report, "delay", "west") + sum(report, "delay", "east"));
    EXPECT_GE(sum(report, "delay"), sum(report, "wait")) << "who waits is late";
  }
}

TEST(Report, AStreetThatNeverGetsGreenStillCounts) {
  // Twenty minutes, the side street always red: about 60 cars an approach, of which some 28 fit on the road.
  Intersection::Config config;
  config.main_demand = 0;
  config.episode_length = 1200;
  Intersection env(config);
  run_episode(env, episode_random(2), always_main);
  ASSERT_GT(env.lane(Intersection::north).outside(), 10);
  EpisodeReport report;
  env.report(report);
  const auto* waits = report.find("wait", "north");
  ASSERT_NE(waits, nullptr);
  const auto cars = static_cast<std::int64_t>(waits->milli.size());
  EXPECT_EQ(cars, env.lane(Intersection::north).arrived());
  EXPECT_EQ(sum(report, "throughput", "side"), 0);
  // Cars come evenly over the 1200 s and none leaves: the mean wait is near 600 s, less the approach of 15 to 20 s.
  EXPECT_NEAR(static_cast<double>(sum(report, "wait", "north")) / 1000 / static_cast<double>(cars), 590, 90);
  // Little's law in its simplest form: cars waiting on average = total wait / time.
  EXPECT_EQ(sum(report, "queue", "north"), sum(report, "wait", "north") / 1200);
}

TEST(Report, TwoCarsByHand) {
  // One approach, very little demand, a red light: the first car stops before the line and waits until the end.
  Intersection::Config config;
  config.main_demand = 0;
  config.side_demand = 60;
  config.episode_length = 300;
  Intersection env(config);
  Random random = episode_random(0);
  env.reset(random);
  std::int32_t first_seen = -1, stood_since = -1;
  for (int k = 0; k < 60; ++k) {
    env.step({0}, random);
    const Lane& lane = env.lane(Intersection::north);
    if (lane.size() > 0 && first_seen < 0) first_seen = lane.arrival(0);
    if (lane.size() > 0 && stood_since < 0 && lane.wait(0) > 0) stood_since = env.now() - lane.wait(0);
  }
  ASSERT_GE(first_seen, 0);
  ASSERT_GT(stood_since, first_seen + 14400) << "after the drive of 200 m";
  EpisodeReport report;
  env.report(report);
  const auto& waits = report.find("wait", "north")->milli;
  const auto& delays = report.find("delay", "north")->milli;
  EXPECT_EQ(waits[0], 300000 - stood_since);
  // It is a metre before the line: the undisturbed drive to there takes 199 m / 13.9 m/s = 14.3 s.
  EXPECT_NEAR(static_cast<double>(delays[0]), 300000 - first_seen - 1000 * 199 / 13.9, 10);
}

TEST(Report, ThroughputIsCarsAnHour) {
  Intersection::Config config;
  config.episode_length = 1800;
  Intersection env(config);
  run_episode(env, episode_random(3), [](const Intersection& e) { return Intersection::baselines()[0].act(e).index; });
  EpisodeReport report;
  env.report(report);
  std::int64_t left = 0;
  for (int a = 0; a < 4; ++a) left += env.lane(a).left();
  EXPECT_EQ(sum(report, "throughput"), left * 2000);
}

}  // namespace
}  // namespace mobula::rl
