#include "cli/train_status.h"

#include <gmock/gmock.h>
#include <mobula/rl/any_vec_env.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace mobula::cli {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

class TrainStatusTest : public testing::Test {
 protected:
  TrainStatusTest() {
    rl::StartEvent start;
    start.total_env_steps = 1'000'000;
    start.progress = at(0, 0);
    status_.on_start(start, now_);
  }
  static rl::Progress at(std::int64_t iteration, std::int64_t env_steps) {
    rl::Progress progress;
    progress.iteration = iteration;
    progress.env_steps = env_steps;
    return progress;
  }
  void rollout(std::int64_t iteration, std::int64_t env_steps, std::vector<double> totals = {}) {
    std::vector<rl::EpisodeEnd> ended;
    for (const double total : totals) {
      ended.emplace_back();
      ended.back().total = total;
    }
    status_.on_rollout({at(iteration, env_steps), ended, nan, 0}, now_);
  }
  void update(std::int64_t iteration, std::int64_t env_steps, std::vector<rl::ConstraintProgress> constraints) {
    rl::UpdateEvent event{at(iteration, env_steps), {}};
    event.stages[rl::Stage::collect] = 6;
    event.stages[rl::Stage::update] = 3;
    event.stages[rl::Stage::other] = 1;
    event.constraints = constraints;
    status_.on_update(event, now_);
  }
  TrainStatus::Time now_{};
  TrainStatus status_;
};

TEST_F(TrainStatusTest, IsHonestWhereNothingIsKnownYet) {
  EXPECT_FALSE(status_.steps_per_second());
  EXPECT_FALSE(status_.seconds_left());
  EXPECT_THAT(status_.lines(80), testing::Contains("return  no episode has ended yet"));
  EXPECT_TRUE(status_.json().at("seconds_left").is_null());
  EXPECT_TRUE(status_.json().at("return").at("value").is_null());
}

TEST_F(TrainStatusTest, TellsTheSpeedOfTheLastTenSecondsAndWhatIsLeft) {
  for (int i = 1; i <= 30; ++i) {
    now_ += seconds(1);
    rollout(i, i <= 15 ? i * 1000 : 15'000 + (i - 15) * 9000);  // it became faster
  }
  ASSERT_TRUE(status_.steps_per_second());
  EXPECT_NEAR(*status_.steps_per_second(), 9000, 1);
  EXPECT_NEAR(*status_.seconds_left(), (1'000'000 - 150'000) / 9000.0, 0.1);
  status_.at(now_ + seconds(5));
  EXPECT_NEAR(*status_.seconds_left(), (1'000'000 - 150'000) / 9000.0 - 5, 0.1) << "time goes on between events";
}

TEST_F(TrainStatusTest, ShowsTheReturnOfTheLastHundredEpisodesWithItsInterval) {
  rollout(1, 1000, std::vector<double>(50, -1000));
  rollout(2, 2000, std::vector<double>(50, 1));
  rollout(3, 3000, std::vector<double>(50, 3));
  EXPECT_THAT(status_.lines(80), testing::Contains("return  2 [1.801, 2.199]   over the last 100 training episodes"));
  EXPECT_EQ(status_.json().at("return").at("n"), 100);
}

TEST_F(TrainStatusTest, HoldsConstraintsAgainstTheirLimits) {
  update(1, 1000,
         {{.metric = "mean_wait_gap",
           .part = "side - main",
           .upper = true,
           .limit = 10,
           .value = 12,
           .bound = 13.1,
           .multiplier = 0.42},
          {.metric = "throughput",
           .part = "",
           .upper = false,
           .limit = 2000,
           .value = 2100,
           .bound = 2090,
           .multiplier = 0},
          {.metric = "mean_wait", .part = "", .upper = true, .limit = 8, .value = nan, .bound = nan, .multiplier = 0}});
  EXPECT_THAT(status_.lines(80),
              testing::IsSupersetOf({"limit   mean_wait_gap (side - main): not kept, bound 13.1, at most 10",
                                     "limit   throughput: kept, bound 2090, at least 2000",
                                     "limit   mean_wait: not known yet, bound -, at most 8"}));
  EXPECT_THAT(status_.lines(140),
              testing::Contains(
                  "limit   mean_wait_gap (side - main): not kept, bound 13.1, at most 10, value 12, multiplier 0.42"));
  EXPECT_THAT(status_.line(), HasSubstr("mean_wait_gap side - main 13.1 (limit 10)"));
  EXPECT_TRUE(status_.json().at("constraints").at(2).at("bound").is_null());
}

TEST_F(TrainStatusTest, SharesOutTheTimeByStage) {
  update(1, 1000, {});
  EXPECT_THAT(status_.lines(80), testing::Contains("time    collect 60 %   update 30 %   other 10 %"));
  EXPECT_EQ(status_.json().at("stage_seconds").at("collect"), 6);
}

TEST_F(TrainStatusTest, FitsEightyColumns) {
  now_ += seconds(3);
  rollout(123, 999'999, std::vector<double>(50, -123.456789));
  now_ += seconds(3);
  rollout(124, 1'000'000, std::vector<double>(50, -12345.6789));
  update(124, 1'000'000,
         {{.metric = "long_wait_rate_gap",
           .part = "side - main",
           .upper = true,
           .limit = 0.05,
           .value = 0.123456,
           .bound = 0.123456,
           .multiplier = 1.23456}});
  for (const auto& line : status_.lines(78)) EXPECT_LE(line.size(), 78u) << line;
  EXPECT_THAT(status_.lines(80).front(), StartsWith("[==============================] 100 %   1,000,000 of 1,000,000"));
  EXPECT_THAT(status_.lines(80).back(), HasSubstr("evaluating on held-out episodes"));
}

TEST_F(TrainStatusTest, NeverSaysThatMoreThanAllIsDone) {
  now_ += seconds(3);
  rollout(1, 2'050'000);  // whole episodes go beyond what was asked for
  EXPECT_THAT(status_.lines(80).front(),
              StartsWith("[==============================] 100 %   2,050,000 of 1,000,000 steps"));
  EXPECT_THAT(status_.line(), HasSubstr("(100 %)"));
}

TEST_F(TrainStatusTest, FoldsTheNamesOfPoliciesThatDoNotFit) {
  for (const auto* name : {"trained", "fixed_time", "max_pressure", "longest_queue"}) {
    status_.on_evaluation({at(1, 1'000'000), true, name, {}}, now_);
  }
  const auto lines = status_.lines(78);
  for (const auto& line : lines) EXPECT_LE(line.size(), 78u) << line;
  EXPECT_EQ(lines[lines.size() - 2], "evaluated on held-out episodes: trained, fixed_time, max_pressure,");
  EXPECT_EQ(lines.back(), "  longest_queue");
}

TEST(TrainStatusText, GroupsDigitsAndWritesClocks) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(-1234567), "-1,234,567");
  EXPECT_EQ(grouped(-123), "-123");
  EXPECT_EQ(clock_text(-1), "0:00");
  EXPECT_EQ(clock_text(59.6), "1:00");
  EXPECT_EQ(clock_text(754), "12:34");
  EXPECT_EQ(clock_text(11045), "3:04:05");
}

}  // namespace
}  // namespace mobula::cli
