// `mobula stop`, address files, and two clusters on one host.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "tests/support/program.h"
#include "tests/unit/train/scratch.h"

namespace mobula {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using tests::Program;

class Stop : public testing::Test {
 protected:
  tests::Setting here() const {
    return {.directory = scratch_.path(), .environment = {{"XDG_RUNTIME_DIR", scratch_ / "run"}}};
  }
  std::unique_ptr<Program> start(std::vector<std::string> command, const std::string& until) const {
    command.insert(command.begin(), tests::mobula_program());
    auto program = std::make_unique<Program>(std::move(command), here());
    EXPECT_TRUE(program->wait_for(until)) << program->err();
    return program;
  }
  std::unique_ptr<Program> head(const std::string& name) const {
    return start({"head", "--port", "0", "--address-file", name + ".address", "--keys", name + ".keys", "--cpus", "1",
                  "--name", name},
                 "to use");
  }
  std::unique_ptr<Program> node(const std::string& name, const std::string& of) const {
    return start(
        {"node", "--join", "@" + of + ".address", "--address-file", name + ".address", "--cpus", "1", "--name", name},
        "joined the cluster");
  }
  tests::Ended run(std::vector<std::string> command) const {
    command.insert(command.begin(), tests::mobula_program());
    return tests::run(std::move(command), here());
  }
  std::vector<std::string> members_of(const std::string& cluster) const {
    const auto ended = run({"status", "--json", "--wait", "30", "--address", "@" + cluster + ".address"});
    EXPECT_EQ(ended.status, 0) << ended.err;
    std::vector<std::string> names;
    const json status = json::parse(ended.out);
    for (const auto& member : status.at("members")) names.push_back(member.at("name"));
    return names;
  }
  bool is_there(const std::string& file) const { return std::filesystem::exists(scratch_ / file); }

  Scratch scratch_;
};

TEST_F(Stop, EndsTheOneThatRunsAndLeavesNothing) {
  const auto first = head("first");
  EXPECT_TRUE(is_there("first.address"));
  struct stat status {};
  ASSERT_EQ(stat((scratch_ / "first.address").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  const auto ended = run({"stop"});
  EXPECT_EQ(ended.status, 0) << ended.err;
  EXPECT_THAT(ended.out, testing::MatchesRegex("stopped head first at 127.0.0.1:[0-9]+ \\(pid [0-9]+\\)\n"));
  EXPECT_EQ(first->wait().status, 0) << "in good order";
  EXPECT_FALSE(is_there("first.address"));
  EXPECT_TRUE(std::filesystem::is_empty(scratch_ / "run/mobula"));
  EXPECT_EQ(run({"stop"}).out, "no head and no node of this user runs on this machine\n");
}

TEST_F(Stop, AsksWhichIfThereAreSeveralAndEndsTheNamedOneOrAll) {
  const auto first = head("first");
  auto second = node("second", "first"), third = node("third", "first");
  const auto asked = run({"stop"});
  EXPECT_EQ(asked.status, 2);
  EXPECT_THAT(asked.err, AllOf(HasSubstr("3 heads and nodes of this user run here"), HasSubstr("head first at"),
                               HasSubstr("node second at"), HasSubstr("--all")));
  EXPECT_THAT(run({"stop", "second.address"}).out, HasSubstr("stopped node second at"));
  EXPECT_EQ(second->wait().status, 0);
  const auto all = run({"stop", "--all", "--json"});
  ASSERT_EQ(all.status, 0) << all.err;
  const json stopped = json::parse(all.out).at("stopped");
  ASSERT_EQ(stopped.size(), 2U);
  EXPECT_EQ(stopped.at(0).at("name"), "third") << "nodes before their head";
  EXPECT_EQ(stopped.at(1).at("role"), "head");
  EXPECT_EQ(third->wait().status, 0);
  EXPECT_EQ(first->wait().status, 0);
}

TEST_F(Stop, KillsWhatDoesNotEndInTime) {
  const auto first = head("first");
  first->send(SIGSTOP);
  const auto ended = run({"stop", "--grace", "0.1"});
  EXPECT_EQ(ended.status, 0) << ended.err;
  EXPECT_THAT(ended.out, testing::MatchesRegex("killed head first at .*: it did not end within 0.1 s\n"));
  EXPECT_EQ(first->wait().status, 128 + SIGKILL);
  const auto again = run({"stop", "first.address"});  // its file has remained
  EXPECT_THAT(again.out, HasSubstr("had ended before")) << again.err;
}

TEST_F(Stop, LeavesAProcessAloneThatOnlyHasTheNumber) {
  const auto first = head("first");
  std::string text;
  {
    std::ifstream file(scratch_ / "first.address");
    text.assign(std::istreambuf_iterator<char>(file), {});
  }
  const auto at = text.find("started ");
  ASSERT_NE(at, std::string::npos);
  std::ofstream(scratch_ / "old.address") << text.substr(0, at) << "started 1\n";
  EXPECT_THAT(run({"stop", "old.address"}).out, HasSubstr("had ended before"));
  EXPECT_EQ(members_of("first"), std::vector<std::string>{"first"});
}

TEST_F(Stop, TwoClustersOnOneHostDoNotMeet) {
  const auto first = head("first"), second = head("second");
  const auto third = node("third", "first"), fourth = node("fourth", "second");
  EXPECT_THAT(members_of("first"), testing::ElementsAre("first", "third"));
  EXPECT_THAT(members_of("second"), testing::ElementsAre("second", "fourth"));
  // The keys of one do not open the other.
  const auto crossed = run({"status", "--address", "@first.address", "--keys", "second.keys"});
  EXPECT_EQ(crossed.status, 1);
  EXPECT_THAT(crossed.err, HasSubstr("not let in"));
  // What ends one leaves the other as it is.
  EXPECT_EQ(run({"stop", "third.address", "first.address"}).status, 0);
  EXPECT_THAT(members_of("second"), testing::ElementsAre("second", "fourth"));
}

TEST_F(Stop, ANodeWaitsForTheAddressFileOfItsHead) {
  Program second({tests::mobula_program(), "node", "--join", "@first.address", "--cpus", "1", "--name", "second"},
                 here());
  const auto first = head("first");
  EXPECT_TRUE(second.wait_for("joined the cluster")) << second.err();
}

}  // namespace
}  // namespace mobula
