#include "tests/cluster/placement/cluster.h"

#include <unistd.h>

#include <cstdio>

using namespace std::chrono_literals;

void ThreeNodes::SetUp() {
  if (!machines_.why_not().empty()) {
    std::fprintf(stderr, "\n*** NOT TESTED: several nodes need network name spaces: %s\n\n",
                 machines_.why_not().c_str());
    GTEST_SKIP() << machines_.why_not();
  }
  folder_ = std::filesystem::temp_directory_path() / ("mobula_placement_test_" + std::to_string(getpid()));
  std::filesystem::create_directories(folder_);
}

void ThreeNodes::TearDown() {
  third_.reset();
  second_.reset();
  head_.reset();
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

std::unique_ptr<Child> ThreeNodes::start(int machine, const std::string& name, std::vector<std::string> command,
                                         const std::vector<std::string>& options) {
  command.insert(command.begin(), {"env", "WHERE=" + name, MOBULA_PROGRAM});
  command.insert(command.end(), {"--host", machines_.address(machine), "--keys", keys(), "--name", name});
  command.insert(command.end(), options.begin(), options.end());
  return std::make_unique<Child>(machines_.on(machine, command));
}

void ThreeNodes::start_head(std::vector<std::string> options) {
  head_ = start(0, "first", {"head", "--port", "6390"}, options);
  ASSERT_NE(head_->wait_for("mobula head:"), "") << head_->output();
}
void ThreeNodes::start_second(std::vector<std::string> options) {
  second_ = start(0, "second", {"node", "--join", address()}, options);
  ASSERT_NE(second_->wait_for("joined the cluster"), "") << second_->output();
}
void ThreeNodes::start_third(std::vector<std::string> options) {
  third_ = start(1, "third", {"node", "--join", address()}, options);
  ASSERT_NE(third_->wait_for("joined the cluster"), "") << third_->output();
}

std::unique_ptr<Child> ThreeNodes::start_program(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(),
                   {"env", "WHERE=driver", "MOBULA_ADDRESS=" + address(), "MOBULA_KEYS=" + keys(), PLACEMENT_PROGRAM});
  return std::make_unique<Child>(machines_.on(0, arguments));
}

std::string ThreeNodes::run_program(std::vector<std::string> arguments) {
  auto program = start_program(std::move(arguments));
  EXPECT_EQ(program->wait(60s), 0) << program->output();
  return program->output();
}
