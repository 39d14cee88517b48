#include "tune/schedulers/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tune/schedulers/asha.h"

namespace mobula::tune {
namespace {

using testing::ElementsAre;

TEST(Asha, RungsGrowByEtaAndEndAtTheMaximum) {
  EXPECT_THAT(asha_rungs(1, 27, 3), ElementsAre(1, 3, 9, 27));
  EXPECT_THAT(asha_rungs(1, 20, 3), ElementsAre(1, 3, 9, 20));
  EXPECT_THAT(asha_rungs(5, 5, 3), ElementsAre(5));
}

TEST(Asha, ByRankTheFirstOfEachRungGoesOnAndSoDoEquals) {
  AshaStopping asha(AshaStopping::Rule::rank, {1}, 3);
  EXPECT_FALSE(asha.report(0, 1, 0.5));
  EXPECT_TRUE(asha.report(1, 1, 0.6));
  EXPECT_FALSE(asha.report(2, 1, 0.5));
  EXPECT_FALSE(asha.report(3, 1, 0.4));
  EXPECT_TRUE(asha.report(4, 1, 0.45));  // of five the best one goes on
  EXPECT_FALSE(asha.report(5, 1, 0.4));  // of six the best two
}

TEST(Median, StopsWhoNeverWasAsGoodAsTheMedianOfTheMeans) {
  const auto median = make_median({.name = "median", .max = 4, .grace = 2, .interval = 1, .min_samples = 3});
  EXPECT_EQ(median->first(), 1);
  EXPECT_EQ(median->next(3), 4);
  for (int trial = 0; trial < 3; ++trial) {
    EXPECT_EQ(median->report(trial, 1, trial), Verdict::go_on);
    EXPECT_EQ(median->report(trial, 2, trial), Verdict::go_on);  // fewer than three others so far
  }
  EXPECT_EQ(median->report(3, 1, 9), Verdict::go_on);  // still in grace
  EXPECT_EQ(median->report(3, 2, 9), Verdict::stop);   // the means of the others are 0, 1, 2
  EXPECT_EQ(median->report(4, 1, 1), Verdict::go_on);
  EXPECT_EQ(median->report(4, 2, 8), Verdict::go_on);  // its best, 1, is not worse than the median of 0, 1, 2, 9
}

TEST(Schedulers, AnUnknownNameIsAnsweredWithTheNearest) {
  try {
    make_scheduler({.name = "asah"});
    FAIL();
  } catch (const TuneError& error) {
    EXPECT_STREQ(error.what(),
                 "scheduler.name: there is no 'asah'; expected one of none, asha, median; did you mean 'asha'?");
  }
}

}  // namespace
}  // namespace mobula::tune
