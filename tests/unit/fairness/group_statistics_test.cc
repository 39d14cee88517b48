#include "rl/fairness/group_statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "rl/fairness/measure.h"
#include "tests/unit/fairness/episodes.h"

namespace mobula::rl {
namespace {

const std::vector<std::string> kStreets{"main", "side"};

TEST(GroupStatistics, MergeInAnyOrderToTheSameTotals) {
  const auto a = episode(0, {1, 2}, {70}), b = episode(1, {3}, {10, 20, 90}), c = episode(2, {}, {5});
  GroupStatistics forward(60), one(60), two(60);
  for (const auto& end : {a, b, c}) forward.add(end);
  two.add(c);
  two.add(b);
  one.add(a);
  one.add(b);  // told by both workers, counted once
  two.merge(one);
  for (const char* group : {"", "main", "side"}) {
    EXPECT_EQ(*forward.totals().find("wait", group), *two.totals().find("wait", group)) << group;
  }
  EXPECT_DOUBLE_EQ(two.totals().mean("wait", "main"), 2);
  EXPECT_DOUBLE_EQ(two.totals().mean("wait", "side"), 39);
  EXPECT_DOUBLE_EQ(two.totals().long_rate("wait", "side"), 2 / 5.0);
}

TEST(GroupStatistics, KeepTheNewestEpisodesWhateverTheEnvironment) {
  GroupStatistics statistics(60);
  for (std::uint32_t env = 0; env < 3; ++env) {
    for (std::uint32_t number = 0; number < 4; ++number) {
      EpisodeEnd end = episode(env, {static_cast<double>(10 * number + env)}, {});
      end.episode = number;
      statistics.add(end);
    }
  }
  statistics.keep_newest(5);  // the last of each, and of those before the ones of the greater environments
  EXPECT_EQ(statistics.episodes(), 5u);
  EXPECT_DOUBLE_EQ(statistics.totals().mean("wait", "main"), (30 + 31 + 32 + 21 + 22) / 5.0);
  statistics.keep_newest(9);
  EXPECT_EQ(statistics.episodes(), 5u);
}

TEST(GroupStatistics, LeaveEachEpisodeOutInTurn) {
  GroupStatistics statistics(60);
  statistics.add(episode(0, {1, 2}, {70}));
  statistics.add(episode(1, {3}, {}));
  statistics.add(episode(2, {}, {5, 90}));
  std::vector<std::uint32_t> times(3, 1);
  std::size_t k = 0;
  statistics.for_each_without_one([&](const GroupTotals& totals) {
    times[k] = 0;
    const GroupTotals expected = statistics.totals(times.data());
    for (const char* group : {"", "main", "side"}) {
      EXPECT_EQ(*totals.find("wait", group), *expected.find("wait", group)) << k << group;
    }
    EXPECT_EQ(totals.episodes(), expected.episodes());
    times[k++] = 1;
  });
  EXPECT_EQ(k, 3u);
}

TEST(Measure, TakesAGapApartIntoItsSigns) {
  GroupStatistics statistics(60);
  statistics.add(episode(0, {4}, {70, 10}));
  const Measure gap("mean_wait_gap", kStreets, {});
  ASSERT_EQ(gap.parts().size(), 2u);
  EXPECT_EQ(gap.parts()[0].name(), "main - side");
  EXPECT_DOUBLE_EQ(gap.value(statistics.totals(), gap.parts()[0]), -36);
  EXPECT_DOUBLE_EQ(gap.value(statistics.totals()), 36);
  EXPECT_DOUBLE_EQ(Measure("worst_mean_wait", kStreets, {}).value(statistics.totals()), 40);
  EXPECT_DOUBLE_EQ(Measure("long_wait_rate", kStreets, {}).value(statistics.totals()), 1 / 3.0);
  EXPECT_DOUBLE_EQ(Measure("long_wait_rate_gap", kStreets, {}).value(statistics.totals()), 0.5);
  EXPECT_DOUBLE_EQ(Measure("mean_wait/side", kStreets, {}).value(statistics.totals()), 40);
}

TEST(Measure, IsUndefinedWhereAGroupHasNoSample) {
  GroupStatistics statistics(60);
  statistics.add(episode(0, {4}, {}));
  EXPECT_TRUE(std::isnan(Measure("mean_wait_gap", kStreets, {}).value(statistics.totals())));
  EXPECT_TRUE(std::isnan(Measure("worst_mean_wait", kStreets, {}).value(statistics.totals())));
}

}  // namespace
}  // namespace mobula::rl
