#include "rl/fairness/group_statistics.h"

#include <gtest/gtest.h>

#include <cmath>

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
