#include "rl/fairness/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mobula/rl/train.h>

#include "rl/train/trainer.h"
#include "tests/unit/fairness/episodes.h"

namespace mobula::rl {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

std::string problem(std::vector<ConstraintOptions> constraints, std::int64_t episodes = 50) {
  FairnessOptions options;
  options.constraints = std::move(constraints);
  return problem_with_fairness(options, two_streets(), episodes);
}

TEST(FairnessCheck, RefusesLimitsThatNothingCanKeep) {
  EXPECT_THAT(problem({{.metric = "mean_wait_gap", .at_most = 10}}), IsEmpty());
  EXPECT_THAT(problem({{.metric = "mean_wait_gap", .at_most = -1}}), HasSubstr("a gap is never below 0"));
  EXPECT_THAT(problem({{.metric = "long_wait_rate", .at_most = 5}}), HasSubstr("a rate lies in [0, 1]"));
  EXPECT_THAT(problem({{.metric = "mean_wait", .at_most = 10}, {.metric = "mean_wait", .at_least = 20}}),
              HasSubstr("fairness.constraints.1.at_least: mean_wait cannot be at least 20 and at most 10"));
  EXPECT_THAT(problem({{.metric = "mean_wait_gap", .at_most = 10}}, 1), HasSubstr("raise evaluate.episodes"));
  EXPECT_THAT(problem({{.metric = "mean_wait_gap", .at_most = 10}}, 5), HasSubstr("95 % takes at least 6"));
  EXPECT_THAT(problem({{.metric = "mean_wait_gap", .at_most = 10, .confidence = 0.99}}, 7), HasSubstr("at least 8"));
  EXPECT_THAT(problem({{.metric = "mean_wait_gap", .at_most = 10}}, 6), IsEmpty());
}

TEST(FairnessCheck, NamesTheGroupsThatThereAre) {
  EXPECT_THAT(problem({{.metric = "mean_wait/north", .at_most = 10}}), HasSubstr("there are main, side"));
  FairnessOptions options;
  options.groups = "vehicle";
  EXPECT_THAT(problem_with_fairness(options, two_streets(), 50),
              HasSubstr("no set of groups 'vehicle'; it has street"));
}

TEST(FairnessCheck, RefusesALimitThatTheEpisodesCannotResolve) {
  FairnessOptions options;
  options.constraints = {{.metric = "mean_wait_gap", .at_most = 0.5}};
  const std::vector<EpisodeEnd> pilot{episode(0, {5}, {10}), episode(1, {5}, {20}), episode(2, {5}, {30})};
  EXPECT_THAT(problem_with_pilot(options, two_streets(), pilot, 10), HasSubstr("cannot resolve a limit of 0.5"));
  options.constraints[0].at_most = 10;
  EXPECT_THAT(problem_with_pilot(options, two_streets(), pilot, 50), IsEmpty());
}

TEST(FairnessCheck, NamesWhatIsReported) {
  FairnessOptions options;
  options.constraints = {{.metric = "mean_anger_gap", .at_most = 1}};
  const std::vector<EpisodeEnd> pilot{episode(0, {5}, {10}), episode(1, {5}, {20})};
  EXPECT_THAT(problem_with_pilot(options, two_streets(), pilot, 10),
              HasSubstr("reports no 'anger' of the group 'main'; there are mean_wait"));
}

TEST(FairnessCheck, TellsOutcomesFromSamples) {
  FairnessOptions options;
  options.constraints = {{.metric = "share_wait_gap", .at_most = 0.1}};
  std::vector<EpisodeEnd> pilot{episode(0, {5}, {10}), episode(1, {5}, {20})};
  EXPECT_THAT(problem_with_pilot(options, two_streets(), pilot, 10), HasSubstr("'wait' is not reported as outcomes"));
  for (auto& end : pilot) {
    for (int i = 0; i < 20; ++i) {
      for (const auto* group : {"", "main", "side"}) end.report.add_outcome("served", group, i % 2 == 0);
    }
  }
  options.constraints = {{.metric = "mean_served_gap", .at_most = 0.1}};
  EXPECT_THAT(problem_with_pilot(options, two_streets(), pilot, 10), HasSubstr("write share_served"));
  options.constraints = {{.metric = "share_served_gap", .at_most = 0.1}};
  EXPECT_THAT(problem_with_pilot(options, two_streets(), pilot, 5), HasSubstr("cannot resolve a limit of 0.1"));
  EXPECT_THAT(problem_with_pilot(options, two_streets(), pilot, 50), IsEmpty());
}

TEST(FairnessCheck, RefusesDemandAboveSaturation) {
  TrainOptions options;
  options.env = *find_environment("intersection");
  options.env.config = "main_demand: 1800\nside_demand: 900\n";
  options.fairness.constraints = {{.metric = "mean_wait_gap", .at_most = 10}};
  EXPECT_THAT(check_before_training(options), HasSubstr("the demand is above saturation"));
}

}  // namespace
}  // namespace mobula::rl
