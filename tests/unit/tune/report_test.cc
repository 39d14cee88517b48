#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mobula/tune/report.h>

#include <cmath>

namespace mobula::tune {
namespace {

using testing::HasSubstr;

Study small() {
  Space space;
  space.add("net", choice({"[32]", "[64, 64]"})).add("lr", uniform(0, 1, 0.25), {{"net", {"[64, 64]"}}});
  Study study(space, {.metric = "return", .num_trials = 6, .search = {"grid"}});
  while (auto job = study.ask()) {
    if (job->trial == 2) {
      study.fail(*job, "it broke");
    } else {
      const double value = job->params.has("lr") ? job->params.number("lr") : 0.5;
      // One of them says how well it knows its value.
      if (job->trial == 5) {
        study.tell(*job, {.value = value, .iterations = 4, .low = 0.875, .high = 1.125, .n = 20});
      } else {
        study.tell(*job, {.value = value, .iterations = 4});
      }
    }
  }
  return study;
}

TEST(Report, TheTableHasAColumnAParameterAndQuotesTexts) {
  EXPECT_EQ(trials_csv(small()),
            "trial,status,iterations,metric,seconds,net,lr,metric_low,metric_high,metric_n\n"
            "0,completed,4,0.5,0.000,[32],,,,\n"
            "1,completed,4,0,0.000,\"[64, 64]\",0.0,,,\n"
            "2,failed,0,,0.000,\"[64, 64]\",0.25,,,\n"
            "3,completed,4,0.5,0.000,\"[64, 64]\",0.5,,,\n"
            "4,completed,4,0.75,0.000,\"[64, 64]\",0.75,,,\n"
            "5,completed,4,1,0.000,\"[64, 64]\",1.0,0.875,1.125,20\n");
}

TEST(Report, TheTextNamesTheBestAndTheFailed) {
  const std::string text = report_text(small());
  EXPECT_THAT(text, HasSubstr("6 trials (5 completed, 1 failed)"));
  EXPECT_THAT(text,
              HasSubstr("trial 5     completed  1 [0.875, 1.125] n=20          at 1           net=[64, 64]  lr=1"));
  EXPECT_THAT(text, HasSubstr("trial 2 failed: it broke"));
}

TEST(Report, ThePictureHasAPathATrialAndTwoForTheBest) {
  const std::string svg = report_svg(small());
  std::size_t paths = 0;
  for (std::size_t at = 0; (at = svg.find("<path", at)) != std::string::npos; ++at) ++paths;
  EXPECT_EQ(paths, 6u + 1u + 1u);  // each trial's parameters, the best one's again, the curve
  EXPECT_THAT(svg, HasSubstr("</svg>"));
}

TEST(Report, RepeatsGiveAnIntervalOfTheirOwn) {
  Space space;
  space.add("x", uniform(0, 1));
  Study study(space, {.num_trials = 1, .seeds_per_trial = 3});
  while (auto job = study.ask()) {
    // What each says of itself is its own affair.
    study.tell(*job, {.value = 1.0 + static_cast<double>(job->repeat), .low = 0, .high = 9, .n = 20});
  }
  const Trial& trial = study.trials().front();
  EXPECT_EQ(trial.n, 3);
  EXPECT_EQ(trial.value, 2.0);
  EXPECT_NEAR(trial.high - 2, 4.302653 / std::sqrt(3.0), 1e-5);  // Student's t with 2 degrees of freedom, deviation 1
  EXPECT_NEAR(2 - trial.low, 4.302653 / std::sqrt(3.0), 1e-5);
  EXPECT_THAT(report_text(study), HasSubstr("2 [-0.4841, 4.484] n=3"));
}

}  // namespace
}  // namespace mobula::tune
