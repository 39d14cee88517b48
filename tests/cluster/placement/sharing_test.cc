// Several jobs on one cluster: shares, priorities, and what one can ask about them.
#include <gmock/gmock.h>

#include "tests/cluster/placement/cluster.h"

namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

using Sharing = ThreeNodes;

// The first job has work for minutes when the second one comes.
TEST_F(Sharing, ASecondDriverNeedNotWaitForTheTasksOfTheFirst) {
  start_head({"--cpus", "2"});
  start_third({"--cpus", "2"});
  auto first = start_program({"job", "first", "100000", "50"});
  ASSERT_NE(first->wait_for("first done 20"), "") << first->output();
  auto second = start_program({"job", "second", "40", "50"});
  EXPECT_EQ(second->wait(90s), 0) << second->output();
  EXPECT_THAT(second->output(), HasSubstr("second finished"));
  EXPECT_EQ(first->output().find("first finished"), std::string::npos);
}

TEST_F(Sharing, UrgentWorkTakesThePlaceOfPreemptibleTasks) {
  start_head({"--cpus", "1"});
  start_third({"--cpus", "1"});
  const std::string said = run_program({"priorities"});
  EXPECT_THAT(said, HasSubstr("urgent: 1\n"));
  EXPECT_THAT(said, HasSubstr("low: timed_out\n")) << "it runs again, though it has no retries";
}

TEST_F(Sharing, WhyWorkWaitsCanBeAskedFromInsideAndOutside) {
  start_head({"--cpus", "1", "--label", "zone=a"});
  start_third({"--cpus", "1", "--label", "zone=b"});
  auto program = start_program({"explain"});
  ASSERT_NE(program->wait_for("ready"), "") << program->output();
  const std::string said = program->output();
  EXPECT_THAT(said, HasSubstr("in time: 1\n"));
  EXPECT_THAT(said, HasSubstr("waits since"));
  EXPECT_THAT(said, HasSubstr("for a worker with cpu 1"));
  EXPECT_THAT(said, HasSubstr("first: its zone is a (\"b\" is asked for)"));
  EXPECT_THAT(said, HasSubstr("third: "));
  EXPECT_THAT(said, HasSubstr("of its arguments:"));
  Child why(machines_.on(0, {MOBULA_PROGRAM, "why", "patience", "--address", address(), "--keys", keys()}));
  EXPECT_EQ(why.wait(30s), 0) << why.output();
  EXPECT_THAT(why.output(), HasSubstr("patience (n"));
  EXPECT_THAT(why.output(), HasSubstr("waits since"));
  Child nothing(machines_.on(0, {MOBULA_PROGRAM, "why", "nobody", "--address", address(), "--keys", keys()}));
  EXPECT_EQ(nothing.wait(30s), 0) << nothing.output();
  EXPECT_THAT(nothing.output(), HasSubstr("no task, actor or reference called 'nobody' waits or runs"));
  program->write("go\n");
  EXPECT_EQ(program->wait(60s), 0) << program->output();
}

}  // namespace
