#include <gmock/gmock.h>

#include <fstream>
#include <iterator>

#include "tests/support/paths.h"
#include "tests/support/program.h"

namespace mobula {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

tests::Ended config(std::vector<std::string> arguments, const std::string& program = tests::mobula_program()) {
  arguments.insert(arguments.begin(), {program, "config"});
  return tests::run(std::move(arguments), {});
}

TEST(ConfigReference, ThePageIsWhatTheProgramWrites) {
#ifndef MOBULA_HAVE_BOX2D
  GTEST_SKIP() << "the page has the environments of Box2D, with which this program was not built";
#endif
  std::ifstream in(tests::source_dir() / "docs/guide/configuration.md");
  const std::string page((std::istreambuf_iterator<char>(in)), {});
  const auto written = config({"--markdown"});
  ASSERT_EQ(written.status, 0) << written.err;
  EXPECT_TRUE(written.out == page) << "write it anew: ./mobula config --markdown > docs/guide/configuration.md";
}

TEST(ConfigReference, ListsWhatThereIs) {
  const auto all = config({});
  EXPECT_EQ(all.status, 0);
  EXPECT_THAT(all.out, AllOf(HasSubstr("experiment"), HasSubstr("fairness:"), HasSubstr("tune:"), HasSubstr("cartpole"),
                             HasSubstr("intersection"), HasSubstr("ppo")));
}

TEST(ConfigReference, SaysOfEachKeyWhatHolds) {
  EXPECT_THAT(config({"intersection"}).out,
              AllOf(HasSubstr("Environment intersection, under `env:` beside `name: intersection`"),
                    HasSubstr("main_demand"), HasSubstr("vehicles/h")));
  EXPECT_THAT(config({"ppo"}).out, AllOf(HasSubstr("gamma"), HasSubstr("[0, 1]"), HasSubstr("Discount")));
  EXPECT_THAT(config({"fairness"}).out, AllOf(HasSubstr("constraints[].metric"), HasSubstr("required")));
  EXPECT_THAT(config({"tune"}).out, HasSubstr("scheduler.eta"));
  EXPECT_EQ(config({"env.ring"}).out, config({"ring"}).out);
  EXPECT_THAT(config({"env"}).out, AllOf(HasSubstr("Environment ring"), HasSubstr("Environment cartpole")));
}

#ifdef MY_ENVIRONMENT
TEST(ConfigReference, HasTheEnvironmentsOfOnesOwnProgram) {
  EXPECT_THAT(config({}, MY_ENVIRONMENT).out, HasSubstr("heating"));
  EXPECT_THAT(config({"heating"}, MY_ENVIRONMENT).out,
              AllOf(HasSubstr("wanted"), HasSubstr("deg C"), HasSubstr("Temperature that is comfortable.")));
  EXPECT_THAT(config({}).out, Not(HasSubstr("heating")));
  const auto help = tests::run({MY_ENVIRONMENT, "--help"}, {});
  EXPECT_THAT(help.out, HasSubstr("my_environment [OPTIONS]"));
}
#endif

}  // namespace
}  // namespace mobula
