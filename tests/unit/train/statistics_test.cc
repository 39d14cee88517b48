#include "rl/train/statistics.h"

#include <gmock/gmock.h>
#include <mobula/random.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace mobula::rl {
namespace {

EpisodeEnd episode(std::uint32_t number, double total, std::vector<std::int64_t> waits) {
  EpisodeEnd end;
  end.env = number;
  end.total = total;
  end.length = 10;
  for (const auto wait : waits) end.report.add_sample("wait", "", wait);
  end.report.add_total("throughput", "", static_cast<std::int64_t>(waits.size()) * 1000);
  return end;
}

TEST(Mean, HasStudentsInterval) {
  const std::vector<double> values{1, 2, 3, 4};
  const Estimate e = mean_estimate(values);
  // s = sqrt(5/3); t(0.975, 3) = 3.182446305
  const double half = 3.182446305 * std::sqrt(5.0 / 3.0) / 2.0;
  EXPECT_DOUBLE_EQ(e.value, 2.5);
  EXPECT_NEAR(e.low, 2.5 - half, 1e-9);
  EXPECT_NEAR(e.high, 2.5 + half, 1e-9);
  EXPECT_EQ(e.n, 4);
}

TEST(Mean, OfOneValueHasNoInterval) {
  const std::vector<double> values{7};
  const Estimate e = mean_estimate(values);
  EXPECT_EQ(e.value, 7);
  EXPECT_TRUE(std::isnan(e.low));
  EXPECT_TRUE(std::isnan(e.high));
  EXPECT_EQ(e.n, 1);
  EXPECT_TRUE(std::isnan(mean_estimate({}).value));
}

TEST(Summary, PoolsSamplesOverEpisodes) {
  std::vector<std::int64_t> first, second;
  for (int i = 1; i <= 60; ++i) first.push_back(i * 1000);
  for (int i = 61; i <= 100; ++i) second.push_back(i * 1000);
  const Metrics metrics = summarise(std::vector{episode(0, 1, first), episode(1, 2, second)}, 5);
  EXPECT_DOUBLE_EQ(find(metrics, "mean_wait")->value, 50.5);
  EXPECT_DOUBLE_EQ(find(metrics, "p95_wait")->value, 95);  // 95 of the 100 do not exceed it
  EXPECT_DOUBLE_EQ(find(metrics, "max_wait")->value, 100);
  EXPECT_EQ(find(metrics, "mean_wait")->n, 2);
  EXPECT_EQ(find(metrics, "mean_wait")->samples, 100);
  EXPECT_DOUBLE_EQ(find(metrics, "return")->value, 1.5);
  EXPECT_DOUBLE_EQ(find(metrics, "throughput")->value, 50);
}

TEST(Summary, NearestRankTakesTheSmallestThatEnoughDoNotExceed) {
  // Of 10 samples 95 % are 9.5, so all ten are needed.
  const Metrics metrics = summarise(std::vector{episode(0, 0, {1, 2, 3, 4, 5, 6, 7, 8, 9, 1000})}, 5);
  EXPECT_DOUBLE_EQ(find(metrics, "p95_wait")->value, 1.0);
}

TEST(Summary, DoesNotDependOnTheOrderOfEpisodes) {
  std::vector<EpisodeEnd> episodes;
  Random random(3, Stream::user);
  for (std::uint32_t e = 0; e < 20; ++e) {
    std::vector<std::int64_t> waits;
    for (int i = 0; i < 50; ++i) waits.push_back(random.below(60000));
    episodes.push_back(episode(e, random.uniform(), waits));
  }
  const Metrics in_order = summarise(episodes, 5);
  std::reverse(episodes.begin(), episodes.end());
  const Metrics reversed = summarise(episodes, 5);
  ASSERT_EQ(in_order.size(), reversed.size());
  for (std::size_t i = 0; i < in_order.size(); ++i) {
    EXPECT_EQ(in_order[i].first, reversed[i].first);
    EXPECT_EQ(in_order[i].second.value, reversed[i].second.value) << in_order[i].first;
    EXPECT_EQ(in_order[i].second.low, reversed[i].second.low) << in_order[i].first;
    EXPECT_EQ(in_order[i].second.high, reversed[i].second.high) << in_order[i].first;
  }
}

TEST(Summary, GroupsHaveMetricsOfTheirOwn) {
  auto one = episode(0, 0, {1000, 2000});
  one.report.add_sample("wait", "side", 8000);
  auto two = episode(1, 0, {3000});  // nobody came on the side street
  const Metrics metrics = summarise(std::vector{one, two}, 5);
  EXPECT_DOUBLE_EQ(find(metrics, "mean_wait/side")->value, 8);
  EXPECT_EQ(find(metrics, "mean_wait/side")->samples, 1);
  EXPECT_DOUBLE_EQ(find(metrics, "mean_wait")->value, 2);
  EXPECT_EQ(find(metrics, "mean_wait/main"), nullptr);
}

// Vehicles of one episode are alike here: an interval that took each of them for independent would be ten times too
// narrow. 300 experiments of 30 episodes with 100 vehicles each; the true mean is 10 s.
TEST(Summary, IntervalsCoverTheTruthAlthoughVehiclesOfAnEpisodeDependOnEachOther) {
  int covered = 0;
  constexpr int experiments = 300;
  for (int x = 0; x < experiments; ++x) {
    Random random(17, Stream::user, static_cast<std::uint32_t>(x));
    std::vector<EpisodeEnd> episodes;
    for (std::uint32_t e = 0; e < 30; ++e) {
      const double shared = 10000 + 3000 * random.normal();
      std::vector<std::int64_t> waits;
      for (int i = 0; i < 100; ++i) waits.push_back(std::llround(shared + 1000 * random.normal()));
      episodes.push_back(episode(e, 0, waits));
    }
    const Metrics metrics = summarise(episodes, static_cast<std::uint64_t>(x));
    const Estimate& e = *find(metrics, "mean_wait");
    covered += e.low <= 10 && 10 <= e.high;
  }
  // 95 % less what percentile intervals lose with 30 units (about 1.5 %), within three standard deviations of 300
  // trials.
  EXPECT_GE(covered, 300 * 0.90);
  EXPECT_LE(covered, 300 * 0.985);
}

// 50 of 100 independent outcomes: Wilson's 95 % interval is 0.4038 to 0.5962.
TEST(Statistics, SharesOfOutcomesHaveWilsonsIntervalOverOutcomes) {
  std::vector<EpisodeEnd> episodes(2);
  episodes[1].env = 1;
  for (int i = 0; i < 100; ++i) episodes[i % 2].report.add_outcome("served", "side", i < 50);
  const Metrics metrics = summarise(episodes, 1);
  const Estimate* share = find(metrics, "share_served/side");
  ASSERT_NE(share, nullptr);
  EXPECT_EQ(share->value, 0.5);
  EXPECT_NEAR(share->low, 0.4038, 5e-5);
  EXPECT_NEAR(share->high, 0.5962, 5e-5);
  EXPECT_EQ(share->n, 100);
}

}  // namespace
}  // namespace mobula::rl
