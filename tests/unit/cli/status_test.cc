// `mobula status`: a head, nodes, and a question from outside.
#include <gmock/gmock.h>
#include <signal.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/program.h"
#include "tests/unit/train/scratch.h"

namespace mobula {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using tests::Program;

class Status : public testing::Test {
 protected:
  Status()
      : head_({tests::mobula_program(), "head", "--host", "127.0.0.1", "--port", "0", "--keys", "keys", "--cpus", "2",
               "--name", "first"},
              here()) {
    EXPECT_TRUE(head_.wait_for("to use")) << head_.err();
    const auto from = head_.out().find("127.0.0.1:");
    address_ = head_.out().substr(from, head_.out().find(' ', from) - from);
  }
  tests::Setting here() const { return {.directory = scratch_.path()}; }
  tests::Ended status(std::vector<std::string> more = {}) const {
    std::vector<std::string> command{
        tests::mobula_program(), "status", "--address", address_, "--keys", "keys", "--wait", "30"};
    command.insert(command.end(), more.begin(), more.end());
    return tests::run(command, here());
  }
  json asked() const {
    const auto ended = status({"--json"});
    EXPECT_EQ(ended.status, 0) << ended.err;
    return json::parse(ended.out);
  }
  /// The first answer of which this is true; the head learns things a moment after they happen.
  template <class Right>
  json awaited(Right right) const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    for (;;) {
      json answer = asked();
      if (right(answer) || std::chrono::steady_clock::now() > end) return answer;
      std::this_thread::yield();
    }
  }
  std::unique_ptr<Program> node(const std::string& name) const {
    auto node = std::make_unique<Program>(std::vector<std::string>{tests::mobula_program(), "node", "--join", address_,
                                                                   "--keys", "keys", "--cpus", "3", "--name", name},
                                          here());
    EXPECT_TRUE(node->wait_for("joined the cluster")) << node->err();
    return node;
  }
  Scratch scratch_;
  Program head_;
  std::string address_;
};

TEST_F(Status, ShowsNodesAndWhatTheyHaveFree) {
  const auto second = node("second");
  const json answer = awaited([](const json& a) { return a.at("members").size() == 2; });
  ASSERT_EQ(answer.at("members").size(), 2u) << answer;
  EXPECT_EQ(answer.at("total").at("cpu"), 5);
  EXPECT_EQ(answer.at("available").at("cpu"), 5);
  EXPECT_EQ(answer.at("waiting"), 0);
  EXPECT_EQ(answer.at("members").at(0).at("role"), "head");
  EXPECT_EQ(answer.at("members").at(0).at("name"), "first");
  EXPECT_EQ(answer.at("members").at(1).at("role"), "node");
  EXPECT_EQ(answer.at("members").at(1).at("total").at("cpu"), 3);
  EXPECT_TRUE(answer.at("members").at(1).at("connected").get<bool>());
  const auto text = status();
  EXPECT_THAT(text.out,
              testing::AllOf(testing::ContainsRegex("2 members, free cpu 5 of 5.*, 0 requests wait for a worker"),
                             testing::ContainsRegex("first +head +127.0.0.1:[0-9]+ +cpu 2 of 2"),
                             testing::ContainsRegex("second +node .* cpu 3 of 3.* 0 +[0-9.]+ s ago")));
}

TEST_F(Status, AsksLeaveNoTraceInTheCluster) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(asked().at("members").size(), 1u);
  EXPECT_TRUE(asked().at("gone").empty());
}

TEST_F(Status, ShowsWhoWorksAndWhoIsGone) {
  auto second = node("second");
  std::ofstream(scratch_ / "endless.yaml")
      << "env: {name: cartpole}\nalgorithm: {n_envs: 4, n_steps: 32}\nstop: {env_steps: 1000000000000}\n";
  Program driver(
      {tests::mobula_program(), "train", "endless.yaml", "--run-dir", "run", "--address", address_, "--keys", "keys"},
      here());
  ASSERT_TRUE(driver.wait_for("iteration 1 ")) << driver.err();
  json answer = awaited([](const json& a) { return a.at("members").size() == 3; });
  ASSERT_EQ(answer.at("members").size(), 3u);
  EXPECT_EQ(answer.at("members").at(2).at("role"), "driver");
  second->send(SIGKILL);
  second->wait();
  answer = awaited([](const json& a) { return !a.at("gone").empty(); });
  ASSERT_EQ(answer.at("gone").size(), 1u);
  EXPECT_EQ(answer.at("gone").at(0).at("name"), "second");
  EXPECT_THAT(answer.at("gone").at(0).at("reason").get<std::string>(), HasSubstr("no heartbeat"));
  EXPECT_THAT(status().out, testing::ContainsRegex("second +[0-9.]+ s +its connection closed"));
}

TEST_F(Status, SaysWhenNoHeadAnswers) {
  const auto ended = tests::run(
      {tests::mobula_program(), "status", "--address", "127.0.0.1:1", "--keys", "keys", "--wait", "0.5"}, here());
  EXPECT_EQ(ended.status, 1);
  EXPECT_EQ(ended.out, "");
  EXPECT_THAT(ended.err,
              testing::MatchesRegex("mobula: the head at 127.0.0.1:1: no answer for 0.5 s.*; is `mobula head` "
                                    "running there, and is the port open\\?\n"));
}

TEST_F(Status, IsForThoseWhoHaveTheKeys) {
  Program other(
      {tests::mobula_program(), "head", "--host", "127.0.0.1", "--port", "0", "--keys", "other", "--cpus", "0"},
      here());
  ASSERT_TRUE(other.wait_for("to use"));
  const auto ended = tests::run({tests::mobula_program(), "status", "--address", address_, "--keys", "other"}, here());
  EXPECT_EQ(ended.status, 1);
  EXPECT_THAT(ended.err, HasSubstr("not let in"));
}

TEST_F(Status, TakesAddressAndKeysFromTheEnvironment) {
  auto setting = here();
  setting.environment = {{"MOBULA_ADDRESS", address_}, {"MOBULA_KEYS", "keys"}};
  EXPECT_EQ(tests::run({tests::mobula_program(), "status", "--wait", "30"}, setting).status, 0);
}

}  // namespace
}  // namespace mobula
