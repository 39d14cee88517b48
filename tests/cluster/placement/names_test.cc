// Actors that are found by name, and that outlive the program that made them.
#include <gmock/gmock.h>
#include <signal.h>

#include "tests/cluster/placement/cluster.h"

namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

using Names = ThreeNodes;

TEST_F(Names, AreUniqueInAJobAndFoundByItsTasks) {
  start_head({"--cpus", "1"});
  start_third({"--cpus", "2"});
  const std::string said = run_program({"names"});
  EXPECT_THAT(said, HasSubstr("own: 1\nfound: 2\nby a task: 3\ngot: 4\n"));
  EXPECT_THAT(said, HasSubstr("taken: "));
  EXPECT_THAT(said, HasSubstr("the name 'tally' is taken in namespace 'job "));
  EXPECT_THAT(said, HasSubstr("Counter, not a "));
  EXPECT_THAT(said, HasSubstr("no actor has the name 'taly' in namespace 'job "));
  EXPECT_THAT(said, HasSubstr("there are 'tally' in 'job "));
  EXPECT_THAT(said, HasSubstr("again: 1\n")) << "the name of a killed actor is free";
}

TEST_F(Names, DetachedActorsOutliveTheirDriversAndRestart) {
  start_head({"--cpus", "1"});
  start_third({"--cpus", "1"});
  const std::string made = run_program({"detached", "make"});
  EXPECT_THAT(made, HasSubstr("visits: 41\n"));
  EXPECT_THAT(made, HasSubstr("refs: "));
  EXPECT_THAT(made, HasSubstr("its constructor's arguments hold references"));
  EXPECT_THAT(made, HasSubstr("it needs a name"));
  EXPECT_THAT(run_program({"detached", "use"}), HasSubstr("visits: 42\n"));
  // get_if_exists: the one that there is.
  EXPECT_THAT(run_program({"detached", "make"}), HasSubstr("visits: 43\n"));
  // Another build finds it, and its calls say what is wrong.
  auto stranger = std::make_unique<Child>(machines_.on(
      0, {"env", "MOBULA_ADDRESS=" + address(), "MOBULA_KEYS=" + keys(), OTHER_PROGRAM, "detached", "use"}));
  stranger->wait(60s);
  EXPECT_THAT(stranger->output(), HasSubstr("build_mismatch")) << stranger->output();

  auto crash = start_program({"detached", "crash"});
  const std::string worker = crash->wait_for("worker ");
  ASSERT_NE(worker, "") << crash->output();
  ASSERT_EQ(kill(std::stoi(worker.substr(worker.rfind(' ') + 1)), SIGKILL), 0);
  EXPECT_EQ(crash->wait(60s), 0) << crash->output();
  EXPECT_THAT(crash->output(), HasSubstr("visits: 41\n")) << "its constructor ran again";

  EXPECT_THAT(run_program({"detached", "kill"}), HasSubstr("gone: "));
}

}  // namespace
