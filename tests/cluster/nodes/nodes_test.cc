// `mobula head` and `mobula node` on two machines (network name spaces) with a program that uses both.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "tests/cluster/nodes/child.h"
#include "tests/cluster/nodes/namespaces.h"

namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

class TwoNodes : public testing::Test {
 protected:
  void SetUp() override {
    if (!machines_.why_not().empty()) {
      std::fprintf(stderr, "\n*** NOT TESTED: two nodes need two network name spaces: %s\n\n",
                   machines_.why_not().c_str());
      GTEST_SKIP() << machines_.why_not();
    }
    folder_ = std::filesystem::temp_directory_path() / ("mobula_nodes_test_" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override {
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
  }

  std::string keys(const std::string& name = "keys") const { return folder_ / name; }
  std::string address() const { return machines_.address(0) + ":6390"; }

  std::unique_ptr<Child> start_head(int cpus, const std::string& keys_file) {
    auto head = std::make_unique<Child>(
        machines_.on(0, {MOBULA_PROGRAM, "head", "--port", "6390", "--host", machines_.address(0), "--keys", keys_file,
                         "--cpus", std::to_string(cpus), "--name", "first"}));
    EXPECT_NE(head->wait_for("mobula head:"), "") << head->output();
    return head;
  }
  std::unique_ptr<Child> start_node(int cpus, const std::string& keys_file, std::vector<std::string> more = {}) {
    std::vector<std::string> command{MOBULA_PROGRAM,       "node",   "--join", address(), "--keys", keys_file, "--cpus",
                                     std::to_string(cpus), "--name", "second", "--wait",  "10"};
    command.insert(command.end(), more.begin(), more.end());
    return std::make_unique<Child>(machines_.on(1, command));
  }
  std::unique_ptr<Child> start_driver(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), DRIVER_PROGRAM);
    return std::make_unique<Child>(machines_.on(0, arguments));
  }

  TwoMachines machines_;
  std::filesystem::path folder_;
};

TEST_F(TwoNodes, ShareTheWorkOfAProgram) {
  auto head = start_head(1, keys());
  auto node = start_node(2, keys());
  ASSERT_NE(node->wait_for("joined the cluster"), "") << node->output();
  auto driver = start_driver({"spread", address(), keys(), "2"});
  EXPECT_EQ(driver->wait(60s), 0) << driver->output() << head->output() << node->output();
  EXPECT_THAT(driver->output(), HasSubstr("spread over 2"));
}

TEST_F(TwoNodes, CarryLargeObjectsBetweenTheirArenas) {
  auto head = start_head(0, keys());
  auto node = start_node(2, keys());
  ASSERT_NE(node->wait_for("joined the cluster"), "") << node->output();
  auto driver = start_driver({"objects", address(), keys()});
  EXPECT_EQ(driver->wait(60s), 0) << driver->output() << node->output();
  EXPECT_THAT(driver->output(), HasSubstr("sum 4500000.0"));
  EXPECT_THAT(driver->output(), HasSubstr("size 3000000"));
  EXPECT_THAT(driver->output(), HasSubstr("own 4000000.0"));
}

TEST_F(TwoNodes, HoldMoreThanTheirMemoryOnTheirDisks) {
  auto head = start_head(0, keys());
  const std::string disk = folder_ / "disk";
  auto node = start_node(2, keys(), {"--object-memory", "32MB", "--spill-dir", disk});
  ASSERT_NE(node->wait_for("joined the cluster"), "") << node->output();
  auto driver = start_driver({"hoard", address(), keys()});
  ASSERT_NE(driver->wait_for("held"), "") << driver->output() << node->output();
  EXPECT_FALSE(std::filesystem::is_empty(disk));
  // 80 MB where 32 fit. Heartbeats tell the head.
  std::string told;
  for (int i = 0; i < 100 && told.find("\"spilled_objects\":1") == std::string::npos; ++i) {
    Child status(machines_.on(0, {MOBULA_PROGRAM, "status", "--json", "--address", address(), "--keys", keys()}));
    status.wait(20s);
    told = status.output();
  }
  EXPECT_THAT(told, testing::ContainsRegex("\"spilled_objects\":1[0-9]"));
  EXPECT_THAT(told, testing::ContainsRegex("\"spilled_bytes\":[4-7][0-9]{7}"));
  driver->write("go\n");
  EXPECT_EQ(driver->wait(60s), 0) << driver->output() << node->output();
  EXPECT_THAT(driver->output(), HasSubstr("size 10000190"));
  EXPECT_THAT(driver->output(), HasSubstr("sum 15000285.0"));
  node->signal(SIGTERM);
  node->wait(20s);
  EXPECT_TRUE(std::filesystem::is_empty(disk));
}

TEST_F(TwoNodes, PassWhatATaskPrintsToItsDriver) {
  auto head = start_head(0, keys());
  auto node = start_node(1, keys());
  ASSERT_NE(node->wait_for("joined the cluster"), "") << node->output();
  auto driver = start_driver({"prints", address(), keys()});
  EXPECT_EQ(driver->wait(60s), 0) << driver->output();
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(driver->output(), testing::ContainsRegex("\\(.*print_line pid=[0-9]+\\) line " + std::to_string(i) +
                                                         " of a remote task"));
  }
}

TEST_F(TwoNodes, OneOfThemKilledIsSurvived) {
  auto head = start_head(1, keys());
  auto node = start_node(2, keys());
  ASSERT_NE(node->wait_for("joined the cluster"), "") << node->output();
  auto driver = start_driver({"squares", address(), keys(), "200"});
  // Both take part; then one is gone in the middle of it, with everything that ran on it.
  for (int i = 0; i < 2; ++i) ASSERT_NE(driver->wait_for("place "), "") << driver->output();
  node->signal(SIGKILL);
  EXPECT_EQ(driver->wait(60s), 0) << driver->output() << head->output();
  EXPECT_THAT(driver->output(), HasSubstr("finished 2"));
  EXPECT_NE(head->wait_for("node second", 20s), "");
  EXPECT_NE(head->wait_for("is gone", 20s), "") << head->output();
}

TEST_F(TwoNodes, AnActorResumesOnTheOtherOne) {
  auto head = start_head(1, keys());
  auto node = start_node(1, keys());
  ASSERT_NE(node->wait_for("joined the cluster"), "") << node->output();
  auto driver = start_driver({"resume", address(), keys()});
  ASSERT_NE(driver->wait_for("ready on second"), "") << driver->output();
  node->signal(SIGKILL);
  driver->write("go\n");
  EXPECT_EQ(driver->wait(60s), 0) << driver->output() << head->output();
  EXPECT_THAT(driver->output(), HasSubstr("complete on first"));
}

TEST_F(TwoNodes, ResultsThatAreLostWithOneAreMadeAgainOnTheOther) {
  auto head = start_head(1, keys());
  auto node = start_node(1, keys());
  ASSERT_NE(node->wait_for("joined the cluster"), "") << node->output();
  auto driver = start_driver({"lineage", address(), keys()});
  ASSERT_NE(driver->wait_for("ready"), "") << driver->output();
  node->signal(SIGKILL);
  driver->write("go\n");
  EXPECT_EQ(driver->wait(60s), 0) << driver->output() << head->output();
  EXPECT_THAT(driver->output(), HasSubstr("total 3000000.0"));
  EXPECT_THAT(driver->output(), HasSubstr("here 3000000.0"));
}

TEST_F(TwoNodes, TheirActorsComputeTogether) {
  auto head = start_head(2, keys());
  auto node = start_node(2, keys());
  ASSERT_NE(node->wait_for("joined the cluster"), "") << node->output();
  auto driver = start_driver({"collective", address(), keys()});
  EXPECT_EQ(driver->wait(60s), 0) << driver->output() << head->output() << node->output();
  const std::string& said = driver->output();
  EXPECT_THAT(said, HasSubstr("joined on first second first second"));
  EXPECT_THAT(said, HasSubstr("wrong:\nwrong:\nwrong:\nwrong:\n"));
  const auto times = [&](const std::string& text) {
    int n = 0;
    for (auto at = said.find(text); at != std::string::npos; at = said.find(text, at + 1)) ++n;
    return n;
  };
  EXPECT_EQ(times("rank 3 has died"), 6) << said;
  EXPECT_EQ(times("collective_broken"), 10) << said;
  EXPECT_THAT(said, HasSubstr("all_reduce of 50000 floating numbers of 4 bytes (sum)"));
}

// The others waited for ever: that one of them had failed between two meetings was told to nobody.
TEST_F(TwoNodes, AMemberThatFailsInTheMiddleOfAnExchangeEndsItForAll) {
  auto head = start_head(2, keys());
  auto node = start_node(2, keys(), {"--object-memory", "32MB", "--spill-dir", ""});
  ASSERT_NE(node->wait_for("joined the cluster"), "") << node->output();
  auto driver = start_driver({"uneven", address(), keys()});
  EXPECT_EQ(driver->wait(90s), 0) << driver->output() << head->output() << node->output();
  const std::string& said = driver->output();
  EXPECT_THAT(said, HasSubstr("ended: out_of_memory in "));
  int told = 0;
  const std::string why = "has ended: rank 1 left all_gather of floating numbers of 4 bytes";
  for (auto at = said.find(why); at != std::string::npos; at = said.find(why, at + 1)) ++told;
  EXPECT_EQ(told, 3) << said;
}

TEST_F(TwoNodes, AGraphAcrossThemIsRefusedInWords) {
  auto head = start_head(1, keys());
  auto node = start_node(1, keys());
  ASSERT_NE(node->wait_for("joined the cluster"), "") << node->output();
  auto driver = start_driver({"graph", address(), keys()});
  EXPECT_EQ(driver->wait(60s), 0) << driver->output() << head->output() << node->output();
  EXPECT_THAT(driver->output(), HasSubstr("graph: invalid: the actor of"));
  EXPECT_THAT(driver->output(),
              HasSubstr("lives on node second, and not on the node of the program that made the graph"));
  EXPECT_THAT(driver->output(), HasSubstr("there: 12"));
}

TEST_F(TwoNodes, AWorkerThatIsKilledThereIsSurvived) {
  auto head = start_head(0, keys());
  auto node = start_node(2, keys());
  ASSERT_NE(node->wait_for("joined the cluster"), "") << node->output();
  auto driver = start_driver({"squares", address(), keys(), "60"});
  ASSERT_NE(driver->wait_for("done 10"), "") << driver->output();
  // The driver's own processes are its children; the workers there are not in its name space.
  int killed = 0;
  for (pid_t pid : processes_of(DRIVER_PROGRAM)) {
    std::error_code gone;
    const auto space = [&](pid_t of) {
      return std::filesystem::read_symlink("/proc/" + std::to_string(of) + "/ns/net", gone);
    };
    char name[64] = {};
    std::FILE* file = std::fopen(("/proc/" + std::to_string(pid) + "/comm").c_str(), "r");
    if (file == nullptr) continue;
    const bool read = std::fscanf(file, "%63s", name) == 1;
    std::fclose(file);
    if (!read || std::string(name) != "mobula-worker" || space(pid) != space(node->pid())) continue;
    if (kill(pid, SIGKILL) == 0) ++killed;
    break;
  }
  EXPECT_EQ(killed, 1);
  EXPECT_EQ(driver->wait(60s), 0) << driver->output();
  EXPECT_THAT(driver->output(), HasSubstr("finished 1"));
}

TEST_F(TwoNodes, WithAWrongKeyIsRefusedAndBothSidesSayWhy) {
  auto head = start_head(1, keys());
  {
    // Another cluster's keys.
    auto other = std::make_unique<Child>(std::vector<std::string>{MOBULA_PROGRAM, "head", "--port", "0", "--host",
                                                                  "127.0.0.1", "--keys", keys("wrong"), "--cpus", "0"});
    ASSERT_NE(other->wait_for("mobula head:"), "") << other->output();
    other->signal(SIGTERM);
    EXPECT_EQ(other->wait(20s), 0) << other->output();
  }
  auto node = start_node(1, keys("wrong"));
  const int status = node->wait(20s);
  ASSERT_TRUE(WIFEXITED(status)) << node->output();
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_THAT(node->output(), HasSubstr("cannot join " + address()));
  EXPECT_THAT(node->output(), HasSubstr("key"));
  const std::string refused = head->wait_for("refused", 20s);
  EXPECT_THAT(refused, HasSubstr("key")) << head->output();
  auto driver = start_driver({"join", address(), keys("wrong")});
  const int driver_status = driver->wait(20s);
  EXPECT_TRUE(WIFEXITED(driver_status) && WEXITSTATUS(driver_status) == 3) << driver->output();
  EXPECT_THAT(driver->output(), HasSubstr("cannot join the cluster at " + address()));
}

TEST_F(TwoNodes, AreEndedByInterruptAndTermInGoodOrder) {
  auto head = start_head(1, keys());
  auto node = start_node(1, keys());
  ASSERT_NE(node->wait_for("joined the cluster"), "") << node->output();
  node->signal(SIGINT);
  EXPECT_EQ(node->wait(20s), 0) << node->output();
  EXPECT_THAT(head->wait_for("is gone", 20s), HasSubstr("it left")) << head->output();
  head->signal(SIGTERM);
  EXPECT_EQ(head->wait(20s), 0) << head->output();
}

TEST_F(TwoNodes, LoseTheWorkersOfADriverThatIsKilled) {
  auto head = start_head(1, keys());
  auto node = start_node(1, keys());
  ASSERT_NE(node->wait_for("joined the cluster"), "") << node->output();
  auto driver = start_driver({"squares", address(), keys(), "100000"});
  ASSERT_NE(driver->wait_for("done 20"), "") << driver->output();
  driver->signal(SIGKILL);
  EXPECT_TRUE(WIFSIGNALED(driver->wait(10s)));
  EXPECT_NE(head->wait_for("is gone", 20s), "") << head->output();
  // Both nodes are as before: nothing of theirs stays with the dead.
  auto next = start_driver({"spread", address(), keys(), "2"});
  EXPECT_EQ(next->wait(60s), 0) << next->output() << head->output() << node->output();
}

TEST_F(TwoNodes, AHeadThatDiesWhileItIsGivenAValueIsAnError) {
  auto head = start_head(1, keys());
  auto driver = start_driver({"keep", address(), keys()});
  ASSERT_NE(driver->wait_for("ready"), "") << driver->output();
  head->signal(SIGSTOP);  // so that it does not answer
  driver->write("go\n");
  ASSERT_NE(driver->wait_for("storing"), "") << driver->output();
  EXPECT_EQ(driver->wait_for("kept", 500ms), "") << driver->output();
  head->signal(SIGKILL);
  for (const auto patience : {15s, 2s}) {  // then it is known
    EXPECT_THAT(driver->wait_for("kept", patience),
                AllOf(HasSubstr("not kept: unavailable"), HasSubstr("the head, which would keep it, is gone")));
  }
  EXPECT_EQ(driver->wait(20s), 0) << driver->output();
}

TEST_F(TwoNodes, OneThatWasOnlyCutOffComesBackAsANewOne) {
  auto head = start_head(0, keys());
  auto node = start_node(1, keys());
  ASSERT_NE(node->wait_for("joined the cluster"), "") << node->output();
  machines_.cable(false);
  ASSERT_NE(head->wait_for("is gone", 20s), "") << head->output();
  machines_.cable(true);
  EXPECT_NE(node->wait_for("gave this node up", 20s), "") << node->output();
  EXPECT_NE(node->wait_for("joined the cluster", 20s), "") << node->output();
  auto driver = start_driver({"squares", address(), keys(), "20"});
  EXPECT_EQ(driver->wait(60s), 0) << driver->output();
}

TEST_F(TwoNodes, ANodeWithoutAHeadGivesUpAndSaysSo) {
  {
    auto head = start_head(0, keys());
    head->signal(SIGTERM);
    EXPECT_EQ(head->wait(20s), 0);
  }
  Child node(machines_.on(1, {MOBULA_PROGRAM, "node", "--join", address(), "--keys", keys(), "--wait", "1"}));
  const int status = node.wait(30s);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << node.output();
  EXPECT_THAT(node.output(), HasSubstr("no answer from " + address() + " for 1 s"));
}

}  // namespace
