// The head is killed and started again with the same address and keys: what it knew, the others tell it.
#include <gmock/gmock.h>
#include <signal.h>

#include "tests/cluster/placement/cluster.h"

namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

using HeadDeath = ThreeNodes;

TEST_F(HeadDeath, NamesAndGroupsAreFoundAgainByTheHeadThatIsStartedAnew) {
  start_head({"--cpus", "0"});
  start_second({"--cpus", "1"});
  start_third({"--cpus", "1"});
  auto program = start_program({"head_death"});
  ASSERT_NE(program->wait_for("made: 1"), "") << program->output();
  const std::string places = program->wait_for("places:");
  ASSERT_NE(places, "") << program->output();
  EXPECT_THAT(places, HasSubstr("second"));
  EXPECT_THAT(places, HasSubstr("third"));

  head_->signal(SIGKILL);
  head_->wait();
  program->write("call\n");
  ASSERT_NE(program->wait_for("called: 2"), "") << "calls of actors go on without a head\n" << program->output();
  program->write("find\n");  // waits for a head

  start_head({"--cpus", "0"});
  ASSERT_NE(program->wait_for("found: 3"), "") << program->output() << second_->output() << head_->output();
  program->write("places\n");
  EXPECT_EQ(program->wait_for("places:"), places) << "bundles stay where they are";

  const std::string other = run_program({"head_death_other"});
  EXPECT_THAT(other, HasSubstr("other: 4\n")) << "the actor is the same";
  EXPECT_THAT(other, HasSubstr("taken: "));
  EXPECT_THAT(other, HasSubstr("the name 'tally' is taken in namespace 'lasting'"));
  EXPECT_THAT(other, HasSubstr("room: no\n")) << "the bundles hold all there is";

  // The nodes are those that they were.
  for (Child* node : {second_.get(), third_.get()}) {
    EXPECT_NE(node->wait_for("was started again"), "") << node->output();
    EXPECT_THAT(node->output(), Not(HasSubstr("joins again")));
  }
  program->write("remove\n");
  ASSERT_NE(program->wait_for("removed"), "") << program->output();
  EXPECT_THAT(run_program({"head_death_other"}), HasSubstr("room: yes\n"));
  program->write("end\n");
  EXPECT_EQ(program->wait(30s), 0) << program->output();
}

// A node that is killed while there is no head is missed by the next one.
TEST_F(HeadDeath, AGroupIsCompletedElsewhereWhenANodeDiedMeanwhile) {
  start_head({"--cpus", "0"});
  start_second({"--cpus", "1"});
  start_third({"--cpus", "2"});
  auto program = start_program({"head_death"});
  ASSERT_NE(program->wait_for("places:"), "") << program->output();
  head_->signal(SIGKILL);
  head_->wait();
  third_->signal(SIGKILL);
  third_->wait();
  start_head({"--cpus", "1"});
  ASSERT_NE(head_->wait_for("is gone", 20s), "") << head_->output();
  program->write("places\n");
  const std::string places = program->wait_for("places:", 60s);
  EXPECT_THAT(places, HasSubstr("first")) << program->output() << head_->output();
  EXPECT_THAT(places, HasSubstr("second"));
  program->write("end\n");
  EXPECT_EQ(program->wait(30s), 0) << program->output();
}

}  // namespace
