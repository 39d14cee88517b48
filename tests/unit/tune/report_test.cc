#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mobula/tune/report.h>

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
      study.tell(*job, {.value = job->params.has("lr") ? job->params.number("lr") : 0.5, .iterations = 4});
    }
  }
  return study;
}

TEST(Report, TheTableHasAColumnAParameterAndQuotesTexts) {
  EXPECT_EQ(trials_csv(small()),
            "trial,status,iterations,metric,seconds,net,lr\n"
            "0,completed,4,0.5,0.000,[32],\n"
            "1,completed,4,0,0.000,\"[64, 64]\",0.0\n"
            "2,failed,0,,0.000,\"[64, 64]\",0.25\n"
            "3,completed,4,0.5,0.000,\"[64, 64]\",0.5\n"
            "4,completed,4,0.75,0.000,\"[64, 64]\",0.75\n"
            "5,completed,4,1,0.000,\"[64, 64]\",1.0\n");
}

TEST(Report, TheTextNamesTheBestAndTheFailed) {
  const std::string text = report_text(small());
  EXPECT_THAT(text, HasSubstr("6 trials (5 completed, 1 failed)"));
  EXPECT_THAT(text, HasSubstr("trial 5     completed             1 at 1           net=[64, 64]  lr=1"));
  EXPECT_THAT(text, HasSubstr("trial 2 failed: it broke"));
}

TEST(Report, ThePictureHasAPathATrialAndTwoForTheBest) {
  const std::string svg = report_svg(small());
  std::size_t paths = 0;
  for (std::size_t at = 0; (at = svg.find("<path", at)) != std::string::npos; ++at) ++paths;
  EXPECT_EQ(paths, 6u + 1u + 1u);  // each trial's parameters, the best one's again, the curve
  EXPECT_THAT(svg, HasSubstr("</svg>"));
}

}  // namespace
}  // namespace mobula::tune
