#include "rl/fairness/gate.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "rl/fairness/intervals.h"
#include "tests/unit/fairness/episodes.h"

namespace mobula::rl {
namespace {

/// Episodes whose gap is 8, 9, 10, 11, 12, 8, ... seconds.
std::vector<EpisodeEnd> around_ten(std::uint32_t n) {
  std::vector<EpisodeEnd> all;
  for (std::uint32_t i = 0; i < n; ++i) all.push_back(episode(i, {5, 5}, {13.0 + i % 5}));
  return all;
}

ConstraintResult judged(std::span<const EpisodeEnd> episodes, double limit) {
  FairnessOptions options;
  options.constraints = {{.metric = "mean_wait_gap", .at_most = limit}};
  return judge(episodes, two_streets(), options, 1).constraints.at(0);
}

TEST(Gate, PassesOnlyWhatTheWholeIntervalKeeps) {
  const auto episodes = around_ten(50);
  EXPECT_EQ(judged(episodes, 12).verdict, Verdict::passed);
  EXPECT_EQ(judged(episodes, 10.05).verdict, Verdict::not_enough_evidence);
  EXPECT_EQ(judged(episodes, 8).verdict, Verdict::failed);
  EXPECT_DOUBLE_EQ(judged(episodes, 8).estimate.value, 10);
  EXPECT_EQ(judged(episodes, 8).estimate.n, 50);
}

TEST(Gate, DoesNotPassWhatCannotBeTold) {
  const auto one = judged(around_ten(1), 100);
  EXPECT_EQ(one.evidence, Evidence::insufficient);
  EXPECT_EQ(one.verdict, Verdict::not_enough_evidence);
  // Of five episodes even the widest resamples hold the median in 94 % of cases only.
  EXPECT_EQ(judged(around_ten(5), 100).evidence, Evidence::insufficient);
  EXPECT_EQ(judged(around_ten(5), 100).verdict, Verdict::not_enough_evidence);
  EXPECT_EQ(judged(around_ten(6), 100).verdict, Verdict::passed);
  const std::vector<EpisodeEnd> empty_street{episode(0, {1}, {}), episode(1, {2}, {})};
  EXPECT_EQ(judged(empty_street, 100).evidence, Evidence::undefined);
  EXPECT_EQ(judged(empty_street, 100).verdict, Verdict::not_enough_evidence);
}

TEST(Gate, DoesNotDependOnTheOrderOfTheEpisodes) {
  auto episodes = around_ten(20);
  const auto before = judged(episodes, 10);
  std::reverse(episodes.begin(), episodes.end());
  const auto after = judged(episodes, 10);
  EXPECT_EQ(before.estimate.low, after.estimate.low);
  EXPECT_EQ(before.estimate.high, after.estimate.high);
}

TEST(Gate, BoundsARateWithoutACaseByWilsonAndNotByZero) {
  FairnessOptions options;
  options.constraints = {{.metric = "long_wait_rate", .at_most = 0.05}};
  EXPECT_EQ(judge(around_ten(10), two_streets(), options, 1).constraints[0].verdict, Verdict::not_enough_evidence);
  EXPECT_EQ(judge(around_ten(100), two_streets(), options, 1).constraints[0].verdict, Verdict::passed);
}

/// Episodes in which outcomes of two groups are reported: of k by n, spread over the episodes one by one.
std::vector<EpisodeEnd> with_outcomes(int k_main, int n_main, int k_side, int n_side, std::uint32_t episodes = 5) {
  std::vector<EpisodeEnd> all(episodes);
  for (std::uint32_t e = 0; e < episodes; ++e) all[e].env = e;
  const auto add = [&](const char* group, int k, int n) {
    for (int i = 0; i < n; ++i) {
      auto& report = all[static_cast<std::uint32_t>(i) % episodes].report;
      report.add_outcome("served", group, i < k);
      report.add_outcome("served", "", i < k);
    }
  };
  add("main", k_main, n_main);
  add("side", k_side, n_side);
  return all;
}

// 56 of 70 against 48 of 80 is the example of Newcombe's paper: 0.0524 to 0.3339.
TEST(Gate, JudgesTheSharesOfIndependentOutcomesByScoreIntervals) {
  FairnessOptions options;
  options.constraints = {{.metric = "share_served_gap", .at_most = 0.34},
                         {.metric = "share_served/side", .at_least = 0.4},
                         {.metric = "worst_share_served", .at_most = 0.75}};
  const auto report = judge(with_outcomes(56, 70, 48, 80), two_streets(), options, 1);
  const ConstraintResult& gap = report.constraints[0];
  EXPECT_DOUBLE_EQ(gap.estimate.value, 0.2);
  EXPECT_NEAR(gap.estimate.low, 0.052431, 5e-7);
  EXPECT_NEAR(gap.estimate.high, 0.333873, 5e-7);
  EXPECT_EQ(gap.estimate.n, 150) << "outcomes, not episodes";
  EXPECT_EQ(gap.verdict, Verdict::passed);
  EXPECT_EQ(gap.groups, (std::vector<std::string>{"main", "side"}));
  const Interval side = wilson(48, 80, 0.95);
  EXPECT_DOUBLE_EQ(report.constraints[1].estimate.low, side.low);
  EXPECT_EQ(report.constraints[1].verdict, Verdict::passed);
  EXPECT_EQ(report.constraints[2].verdict, Verdict::not_enough_evidence) << "0.8 [0.69, 0.88] straddles 0.75";
  EXPECT_NE(find(report.metrics, "share_served_gap"), nullptr);
}

TEST(Gate, SharesAreUndefinedWhereAGroupHasNoOutcome) {
  FairnessOptions options;
  options.constraints = {{.metric = "share_served_gap", .at_most = 0.5}};
  const auto result = judge(with_outcomes(3, 5, 0, 0), two_streets(), options, 1).constraints[0];
  EXPECT_EQ(result.evidence, Evidence::undefined);
  EXPECT_EQ(result.verdict, Verdict::not_enough_evidence);
}

TEST(Gate, NoCaseAmongIndependentOutcomesIsNoProofOfNone) {
  FairnessOptions options;
  options.constraints = {{.metric = "share_served/side", .at_most = 0.1}};
  EXPECT_EQ(judge(with_outcomes(1, 5, 0, 10), two_streets(), options, 1).constraints[0].verdict,
            Verdict::not_enough_evidence);
  EXPECT_EQ(judge(with_outcomes(1, 5, 0, 100), two_streets(), options, 1).constraints[0].verdict, Verdict::passed);
}

}  // namespace
}  // namespace mobula::rl
