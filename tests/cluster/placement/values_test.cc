// Values that survive: copies on several nodes, and values that outlive the process that stored them.
#include <gmock/gmock.h>
#include <signal.h>

#include "tests/cluster/placement/cluster.h"

namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

class Values : public ThreeNodes {
 protected:
  std::unique_ptr<Child> start_values(const std::string& what) { return start_program({what}); }
  std::string use(std::vector<std::string> names) {
    names.insert(names.begin(), "use");
    return run_program(names);
  }
};

TEST_F(Values, WithCopiesAreReadAfterANodeDiesAndCopiedAgain) {
  start_head({"--cpus", "1"});
  start_second({"--cpus", "1"});
  start_third({"--cpus", "1"});
  auto program = start_values("copies");
  ASSERT_NE(program->wait_for("ready"), "") << program->output();
  third_->signal(SIGKILL);
  program->write("go\n");
  EXPECT_EQ(program->wait(60s), 0) << program->output();
  const std::string said = program->output();
  EXPECT_THAT(said, HasSubstr("of the result: 2\nof the other result: 1\nof the value: 3\nof a small value: 1\n"));
  EXPECT_THAT(said, HasSubstr("\nresult: 200000\nresult read by a task: 200000\n")) << "it had no retries";
  EXPECT_THAT(said, HasSubstr("\nthe other result: object_lost\n")) << "this is what copies are for";
  EXPECT_THAT(said, HasSubstr("\nagain of the result: "));
  EXPECT_THAT(said, HasSubstr("\nagain of the value: 3\n"));
  EXPECT_THAT(said, Not(HasSubstr("timed_out")));
}

TEST_F(Values, WithMoreCopiesThanNodesAreCopiedWhenNodesJoin) {
  start_head({"--cpus", "0"});
  auto program = start_values("join");
  ASSERT_NE(program->wait_for("value: "), "") << program->output();
  start_second({"--cpus", "1"});
  start_third({"--cpus", "1"});
  program->write("go\n");
  EXPECT_EQ(program->wait(60s), 0) << program->output();
  const std::string said = program->output();
  EXPECT_THAT(said, HasSubstr("too few: timed_out\nsays: the value did not lie on as many nodes as was asked for"));
  EXPECT_THAT(said, HasSubstr("value: 200000\njoined: 3\n"));
  EXPECT_THAT(said, HasSubstr("copies = 0: give the number of nodes on which the value shall lie, from 1"));
  EXPECT_THAT(said, HasSubstr("copies = 1000: give "));
}

TEST_F(Values, ThatAreDetachedOutliveTheirWorkersDriversAndNodes) {
  start_head({"--cpus", "1"});
  start_second({"--cpus", "1"});
  start_third({"--cpus", "1"});
  auto program = start_values("keep");
  ASSERT_NE(program->wait_for("ready"), "") << program->output();
  EXPECT_THAT(program->output(), HasSubstr("mine: 200000\n"));
  EXPECT_THAT(program->output(), HasSubstr("a worker: actor_died\n"));
  EXPECT_THAT(program->output(), HasSubstr("storing a detached value: it holds "));
  EXPECT_THAT(program->output(), HasSubstr("nested: 200000\n"));
  program->signal(SIGKILL);
  program->wait(20s);
  const std::string without_driver = use({"of the driver", "of a worker"});
  EXPECT_THAT(without_driver, HasSubstr("of the driver: 200000\nof a worker: 800000\n")) << "its node ended with it";
  EXPECT_THAT(without_driver, HasSubstr("small: 42\n"));
  third_->signal(SIGKILL);
  const std::string without_node = use({"two nodes", "mortal"});
  EXPECT_THAT(without_node, HasSubstr("two nodes: 400000\ncopies again: 2\n"));
  EXPECT_THAT(without_node, HasSubstr("mortal: owner_died\n")) << "this is what detached is for";
}

TEST_F(Values, StatesOfDetachedActorsSurviveTheirWorkersAndNodes) {
  start_head({"--cpus", "1"});
  start_second({"--cpus", "1"});
  start_third({"--cpus", "1"});
  auto program = start_values("ledger");
  ASSERT_NE(program->wait_for("ready"), "") << program->output();
  EXPECT_THAT(program->output(), HasSubstr("on third and third\na worker: actor_died\nafter its worker: 200005\n"));
  third_->signal(SIGKILL);
  program->write("go\n");
  EXPECT_EQ(program->wait(60s), 0) << program->output();
  EXPECT_THAT(program->output(), HasSubstr("\nsmall: 6\nlarge: 200006\n"));
}

}  // namespace
