#include "rl/fairness/gate.h"

#include <gtest/gtest.h>

#include <algorithm>

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

}  // namespace
}  // namespace mobula::rl
