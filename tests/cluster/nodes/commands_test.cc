// What people ask of a cluster of three nodes on two machines: submit, jobs, stack, logs, timeline, status.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/cluster/nodes/child.h"
#include "tests/cluster/nodes/namespaces.h"

namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;

int exit_status(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class AskedByPeople : public testing::Test {
 protected:
  void SetUp() override {
    if (!machines_.why_not().empty()) {
      std::fprintf(stderr, "\n*** NOT TESTED: nodes need name spaces: %s\n\n", machines_.why_not().c_str());
      GTEST_SKIP() << machines_.why_not();
    }
    folder_ = std::filesystem::temp_directory_path() / ("mobula_commands_test_" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
    head_ = start(0, {"head", "--port", "0", "--host", machines_.address(0), "--keys", folder_ / "keys",
                      "--address-file", folder_ / "address", "--cpus", "0", "--name", "first"});
    ASSERT_NE(head_->wait_for("mobula head:"), "") << head_->output();
    second_ = start(0, {"node", "--join", address(), "--cpus", "1", "--name", "second"});
    third_ = start(1, {"node", "--join", address(), "--cpus", "1", "--name", "third"});
    ASSERT_NE(second_->wait_for("joined the cluster"), "") << second_->output();
    ASSERT_NE(third_->wait_for("joined the cluster"), "") << third_->output();
  }
  void TearDown() override {
    third_.reset();
    second_.reset();
    head_.reset();
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
  }
  std::string address() const { return "@" + (folder_ / "address").string(); }
  std::unique_ptr<Child> start(int machine, std::vector<std::string> command,
                               const std::string& program = MOBULA_PROGRAM) const {
    command.insert(command.begin(),
                   {"env", "XDG_CACHE_HOME=" + (folder_ / "cache").string(),
                    "XDG_STATE_HOME=" + (folder_ / "state").string(), "MOBULA_ADDRESS=" + address(), program});
    return std::make_unique<Child>(machines_.on(machine, command));
  }
  std::string told(std::vector<std::string> command, int expected = 0) const {
    const auto child = start(0, std::move(command));
    EXPECT_EQ(exit_status(child->wait(60s)), expected) << child->output();
    return child->output();
  }
  // Until it is so: nodes learn things a moment after they happen.
  template <class Right>
  json awaited(const std::vector<std::string>& command, Right right) const {
    const auto end = std::chrono::steady_clock::now() + 30s;
    for (;;) {
      json answer = json::parse(told(command));
      if (right(answer) || std::chrono::steady_clock::now() > end) return answer;
    }
  }

  TwoMachines machines_;
  std::filesystem::path folder_;
  std::unique_ptr<Child> head_, second_, third_;
};

TEST_F(AskedByPeople, RunsASubmittedProgramAndReturnsItsOutputAndStatus) {
  const auto submit = start(1, {"submit", "--", DRIVER_PROGRAM, "visit", "7"});
  EXPECT_EQ(exit_status(submit->wait(60s)), 7) << submit->output() << head_->output();
  EXPECT_THAT(submit->output(), AllOf(HasSubstr("total 2470\n"), HasSubstr("and this to the other stream\n")));
  // It came from there, and not from the path that it has here too.
  EXPECT_FALSE(std::filesystem::is_empty(folder_ / "cache/mobula/programs"));
}

TEST_F(AskedByPeople, GoesOnWithADetachedProgramAndTellsOfItLater) {
  EXPECT_EQ(told({"submit", "--detach", DRIVER_PROGRAM, "visit", "3"}), "job1\n");
  const std::string followed = told({"jobs", "job1", "--follow"}, 3);
  EXPECT_THAT(followed, HasSubstr("total 2470\n"));
  EXPECT_THAT(told({"jobs", "job1"}), HasSubstr("total 2470\n")) << "again";
  EXPECT_THAT(told({"jobs"}), ContainsRegex("job1 +cluster_driver +ended with status 3"));
  const auto unknown = start(0, {"jobs", "job9"});
  EXPECT_EQ(exit_status(unknown->wait(60s)), 1);
  EXPECT_THAT(unknown->output(), HasSubstr("the head knows no such job"));
}

TEST_F(AskedByPeople, CancelsASubmittedProgramByCtrlC) {
  const auto submit = start(1, {"submit", DRIVER_PROGRAM, "linger"});
  ASSERT_NE(submit->wait_for("all submitted", 60s), "") << submit->output() << head_->output();
  submit->signal(SIGINT);
  EXPECT_EQ(exit_status(submit->wait(60s)), 130) << submit->output();
  EXPECT_THAT(told({"jobs"}), ContainsRegex("job1 +cluster_driver +ended with status 143"));
}

TEST_F(AskedByPeople, KeepsTheNewestOfWhatASubmittedProgramPrints) {
  const auto submit = start(1, {"submit", DRIVER_PROGRAM, "chatter", "40000000"});
  EXPECT_EQ(exit_status(submit->wait(60s)), 0) << head_->output();
  const std::string again = told({"jobs", "job1"});
  EXPECT_THAT(again, HasSubstr("bytes of the standard output of job1 are left out here"));
  EXPECT_THAT(again, HasSubstr("the end\n"));
  EXPECT_GT(again.size(), 8'000'000u);
  EXPECT_LT(again.size(), 17'000'000u);
}

// It ran on, with nobody to end it or to tell of it.
TEST_F(AskedByPeople, LeavesNoSubmittedProgramBehindWhenTheHeadIsKilled) {
  EXPECT_EQ(told({"submit", "--detach", DRIVER_PROGRAM, "linger"}), "job1\n");
  const auto follower = start(0, {"jobs", "job1", "--follow"});
  const std::string process = follower->wait_for("process ", 60s);
  ASSERT_NE(follower->wait_for("all submitted", 60s), "") << follower->output() << head_->output();
  const int program = static_cast<int>(syscall(SYS_pidfd_open, std::atoi(process.c_str() + 8), 0));
  ASSERT_GE(program, 0) << process;
  head_->signal(SIGKILL);
  pollfd end{program, POLLIN, 0};
  EXPECT_EQ(poll(&end, 1, 20'000), 1);
  close(program);
}

TEST_F(AskedByPeople, SaysWhatWorkersDoAndWhatWaitsAndWhy) {
  const auto driver = start(0, {"linger"}, DRIVER_PROGRAM);
  ASSERT_NE(driver->wait_for("all submitted", 60s), "") << driver->output();
  const auto running = [](const json& answer) {
    std::vector<json> found;
    for (const auto& node : answer.at("nodes")) {
      for (const auto& worker : node.at("workers")) {
        if (worker.at("state") == "running" && !worker.at("stack").get<std::string>().empty()) found.push_back(worker);
      }
    }
    return found;
  };
  const json stacks = awaited({"stack", "--json"}, [&](const json& answer) { return running(answer).size() == 2; });
  const auto workers = running(stacks);
  ASSERT_EQ(workers.size(), 2U) << stacks;
  for (const json& worker : workers) {
    EXPECT_THAT(worker.at("name").get<std::string>(), HasSubstr("linger_here"));
    EXPECT_THAT(worker.at("stack").get<std::string>(), HasSubstr("linger_here"));
    EXPECT_GE(worker.at("seconds"), 0);
  }
  EXPECT_THAT(told({"stack"}), ContainsRegex("pid [0-9]+\\) runs .*linger_here for [0-9.e-]+ s"));

  const json status = awaited({"status", "--json"}, [](const json& answer) { return !answer.at("pending").empty(); });
  ASSERT_FALSE(status.at("pending").empty()) << status;
  EXPECT_THAT(status.at("pending").at(0).at("why").get<std::string>(), HasSubstr("cpu"));
  EXPECT_THAT(status.at("pending").at(0).at("resources").get<std::string>(), HasSubstr("cpu 1"));
  ASSERT_EQ(status.at("actors").size(), 1U) << status;
  EXPECT_THAT(status.at("actors").at(0).at("last_call").get<std::string>(), HasSubstr("add"));
  ASSERT_EQ(status.at("names").size(), 1U);
  EXPECT_EQ(status.at("names").at(0).at("name"), "the ledger");
  EXPECT_GE(status.at("memory").size(), 3U);
  for (const auto& memory : status.at("memory")) EXPECT_GT(memory.at("limit"), memory.at("used"));
  EXPECT_THAT(told({"status"}),
              AllOf(ContainsRegex("waits at +for +since"), ContainsRegex("actor at"), HasSubstr("the ledger")));

  EXPECT_THAT(told({"logs", "--lines", "5"}), ContainsRegex("\\(.*linger_here pid=[0-9]+\\) lingering"));
  const auto other = start(0, {"logs", "nobody_of_that_name"});
  EXPECT_EQ(exit_status(other->wait(60s)), 0);
  EXPECT_EQ(other->output(), "");
}

TEST_F(AskedByPeople, RecordsATimeline) {
  const auto trace = start(0, {"timeline", "-o", folder_ / "trace.json", "--seconds", "3"});
  ASSERT_NE(trace->wait_for("Recording", 60s), "") << trace->output();
  const auto driver = start(0, {"visit", "0"}, DRIVER_PROGRAM);
  EXPECT_EQ(driver->wait(60s), 0) << driver->output();
  EXPECT_EQ(exit_status(trace->wait(60s)), 0) << trace->output();
  std::ifstream file(folder_ / "trace.json");
  const json recorded = json::parse(file);
  int squares = 0;
  for (const auto& event : recorded.at("traceEvents")) {
    if (event.at("ph") != "X" || event.at("name").get<std::string>().find("square") == std::string::npos) continue;
    ++squares;
    EXPECT_GT(event.at("dur"), 19'000) << "each computes for 20 ms";
    EXPECT_GE(event.at("ts"), 0);
  }
  EXPECT_EQ(squares, 20);
  EXPECT_THAT(trace->output(), HasSubstr("tasks and calls in "));
}

}  // namespace
