// A program that lies on one machine only: each node has a mount name space of its own, in which a tmpfs covers the
// program's folder.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/cluster/nodes/child.h"
#include "tests/cluster/nodes/namespaces.h"

namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class AProgramOnOneMachine : public testing::Test {
 protected:
  void SetUp() override {
    if (!machines_.why_not().empty()) {
      std::fprintf(stderr, "\n*** NOT TESTED: nodes need name spaces: %s\n\n", machines_.why_not().c_str());
      GTEST_SKIP() << machines_.why_not();
    }
    folder_ = std::filesystem::temp_directory_path() / ("mobula_fetch_test_" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_ / "apps");
    std::filesystem::copy_file(DRIVER_PROGRAM, folder_ / "apps/driver");
    head_ = std::make_unique<Child>(
        machines_.on(0, {MOBULA_PROGRAM, "head", "--port", "0", "--address-file", folder_ / "address", "--host",
                         machines_.address(0), "--keys", folder_ / "keys", "--cpus", "0", "--name", "first"}));
    ASSERT_NE(head_->wait_for("mobula head:"), "") << head_->output();
  }
  void TearDown() override {
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
  }

  // In place of the folder of programs it sees an empty one, in which `prepare` has run.
  std::unique_ptr<Child> node(int machine, const std::string& name, const std::string& prepare = "true",
                              const std::string& options = "") {
    const std::string apps = folder_ / "apps";
    auto node = std::make_unique<Child>(machines_.on(
        machine, {"env", "XDG_CACHE_HOME=" + (folder_ / ("cache-" + name)).string(), "unshare", "--mount", "sh", "-c",
                  "mount -t tmpfs none " + apps + " && " + prepare + " && exec " MOBULA_PROGRAM " node --join @" +
                      (folder_ / "address").string() + " --host " + machines_.address(machine) +
                      " --cpus 1 --log-level info --name " + name + " " + options}));
    EXPECT_NE(node->wait_for("joined the cluster"), "") << node->output();
    return node;
  }
  std::unique_ptr<Child> driver(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), folder_ / "apps/driver");
    return std::make_unique<Child>(machines_.on(0, arguments));
  }
  std::vector<std::filesystem::path> cached(const std::string& name) const {
    std::vector<std::filesystem::path> files;
    std::error_code none;
    for (const auto& entry :
         std::filesystem::directory_iterator(folder_ / ("cache-" + name) / "mobula/programs", none)) {
      files.push_back(entry.path());
    }
    return files;
  }
  std::string address() const { return "@" + (folder_ / "address").string(); }

  TwoMachines machines_;
  std::filesystem::path folder_;
  std::unique_ptr<Child> head_;
};

TEST_F(AProgramOnOneMachine, IsFetchedByTheNodesThatLackIt) {
  const auto second = node(0, "second"), third = node(1, "third");
  const auto spread = driver({"spread", address(), "", "2"});
  EXPECT_EQ(spread->wait(60s), 0) << spread->output() << second->output() << third->output();
  for (const std::string name : {"second", "third"}) {
    const auto files = cached(name);
    ASSERT_EQ(files.size(), 1U) << "and nothing written aside";
    struct stat status {};
    ASSERT_EQ(stat(files[0].c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700U);
    EXPECT_EQ(std::filesystem::file_size(files[0]), std::filesystem::file_size(DRIVER_PROGRAM));
    ASSERT_EQ(stat(files[0].parent_path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700U);
  }
}

TEST_F(AProgramOnOneMachine, IsTakenFromTheCacheTheSecondTime) {
  {
    const auto first_life = node(1, "second");
    EXPECT_EQ(driver({"squares", address(), "", "5"})->wait(60s), 0) << first_life->output();
    EXPECT_NE(first_life->wait_for("came from another machine", 10s), "") << first_life->output();
  }
  const auto second_life = node(1, "second");
  EXPECT_EQ(driver({"squares", address(), "", "5"})->wait(60s), 0) << second_life->output();
  EXPECT_THAT(second_life->output(), testing::Not(HasSubstr("came from another machine")));
}

// Seventeen builds later its file had made room for others, and the node that had run it could not start it again.
TEST_F(AProgramOnOneMachine, IsFetchedAgainWhereItsFileHasLeftTheCache) {
  const auto second = node(1, "second");
  EXPECT_EQ(driver({"squares", address(), "", "5"})->wait(60s), 0) << second->output();
  ASSERT_EQ(cached("second").size(), 1U);
  const auto file = cached("second")[0];
  // Its zygote, which would be kept for a minute.
  for (const pid_t pid : processes_of(file)) kill(pid, SIGKILL);
  EXPECT_THAT(wait_until_gone(file, 10s), testing::IsEmpty());
  std::filesystem::remove(file);
  EXPECT_EQ(driver({"squares", address(), "", "5"})->wait(60s), 0) << second->output();
  EXPECT_TRUE(std::filesystem::exists(file));
}

TEST_F(AProgramOnOneMachine, IsFetchedWhereAnotherBuildLiesAtItsPathOrInTheCache) {
  const auto second = node(1, "second", "cp /bin/sh " + (folder_ / "apps/driver").string());
  EXPECT_EQ(driver({"squares", address(), "", "5"})->wait(60s), 0) << second->output();
  ASSERT_EQ(cached("second").size(), 1U);
  // The cache is damaged: that is seen, and the file comes again.
  const auto file = cached("second")[0];
  std::filesystem::remove(file);
  std::filesystem::copy_file("/bin/sh", file);
  const auto third = node(1, "second");
  EXPECT_EQ(driver({"squares", address(), "", "5"})->wait(60s), 0) << third->output();
  EXPECT_EQ(std::filesystem::file_size(file), std::filesystem::file_size(DRIVER_PROGRAM));
}

TEST_F(AProgramOnOneMachine, IsRefusedWhereNoneMayComeByAMessageThatNamesBothBuilds) {
  const auto second = node(1, "second", "cp /bin/sh " + (folder_ / "apps/driver").string(), "--program-cache ''");
  const auto stranger = driver({"squares", address(), "", "5"});
  const std::string refused = second->wait_for("cannot start workers of", 20s);
  EXPECT_THAT(refused, testing::ContainsRegex("its build-id here is [0-9a-f]{16}, the driver runs [0-9a-f]{16}; "
                                              "install the same file"));
}

}  // namespace
