// Placement groups on three real nodes.
#include <gmock/gmock.h>
#include <signal.h>

#include "tests/cluster/placement/cluster.h"

namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

using PlacementGroups = ThreeNodes;

TEST_F(PlacementGroups, ReserveAllOrNothingAndKeepOthersOut) {
  start_head({"--cpus", "2"});
  start_second({"--cpus", "2"});
  start_third({"--cpus", "2"});
  const std::string said = run_program({"groups"});
  EXPECT_THAT(said, HasSubstr("distinct: 3\nplaces: 3\nbundle 1: 1\ntogether: 1\n"));
  EXPECT_THAT(said, HasSubstr("impossible: timed_out\nwhy: placement group "));
  EXPECT_THAT(said, HasSubstr("a bundle: cpu 64 is asked for, but none of the "));
  EXPECT_THAT(said, HasSubstr("bundle 0 of its placement group is cpu 1, cpu 2 is asked for"));
  EXPECT_THAT(said, HasSubstr("waits: timed_out\ninside: infeasible\n"));
  EXPECT_THAT(said, HasSubstr("its placement group is no more: it was removed"));
  EXPECT_THAT(said, HasSubstr("all: 1\noutside: timed_out\noutside at last: 1\n"));
}

TEST_F(PlacementGroups, AreCompletedElsewhereWhenANodeDies) {
  start_head({"--cpus", "1"});
  start_second({"--cpus", "1"});
  start_third({"--cpus", "1"});
  auto program = start_program({"groups_survive"});
  const std::string before = program->wait_for("bundles on ");
  ASSERT_NE(before, "") << program->output();
  // One that is not the head's has a bundle: two of three do.
  (before.find("third") != std::string::npos ? third_ : second_)->signal(SIGKILL);
  program->write("go\n");
  EXPECT_EQ(program->wait(90s), 0) << program->output();
  EXPECT_THAT(program->output(), HasSubstr("bundles now on "));
}

}  // namespace
