#include "runtime/process/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <new>
#include <string>
#include <vector>

extern char** environ;

namespace mobula::process {
namespace {

std::vector<std::string> variables() {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) all.emplace_back(*entry);
  return all;
}
rlim_t limit() {
  rlimit now{};
  getrlimit(RLIMIT_DATA, &now);
  return now.rlim_cur;
}

TEST(Environment, LeavingPutsEverythingBackWhateverWasChangedInside) {
  const auto before = variables();
  const auto directory = std::filesystem::current_path();
  const rlim_t memory = limit();
  Environment environment;
  ASSERT_TRUE(
      environment.enter({.variables = {{"MOBULA_TEST_A", "1"}, {"PATH", "/x"}}, .directory = "/", .memory = 1 << 20})
          .ok());
  EXPECT_STREQ(getenv("MOBULA_TEST_A"), "1");
  EXPECT_EQ(std::filesystem::current_path(), "/");
  EXPECT_EQ(limit(), memory);  // while code of the user's runs only
  EXPECT_EQ(environment.limit_memory(), 1u << 20);
  EXPECT_NE(limit(), memory);
  environment.lift_limit();
  setenv("MOBULA_TEST_B", "2", 1);
  unsetenv("PATH");
  std::filesystem::current_path("/tmp");
  environment.leave();
  EXPECT_EQ(variables(), before);
  EXPECT_EQ(std::filesystem::current_path(), directory);
  EXPECT_EQ(limit(), memory);
  environment.leave();  // a second time it does nothing
  EXPECT_EQ(environment.limit_memory(), 0u);
}

TEST(Environment, ADirectoryThatCannotBeEnteredChangesNothing) {
  const auto before = variables();
  Environment environment;
  const Result<void> entered =
      environment.enter({.variables = {{"MOBULA_TEST_A", "1"}}, .directory = "/no/such/folder"});
  ASSERT_FALSE(entered.ok());
  EXPECT_EQ(entered.error().code, ErrorCode::invalid);
  EXPECT_THAT(entered.error().message,
              testing::HasSubstr("'/no/such/folder' cannot be entered on this node: No such file"));
  EXPECT_FALSE(environment.entered());
  EXPECT_EQ(variables(), before);
}

TEST(Environment, ADirectoryThatWasRemovedMeanwhileIsComeBackTo) {
  const auto start = std::filesystem::current_path();
  char name[] = "/tmp/mobula_environment_XXXXXX";
  ASSERT_NE(mkdtemp(name), nullptr);
  std::filesystem::current_path(name);
  Environment environment;
  ASSERT_TRUE(environment.enter({.directory = "/"}).ok());
  const std::string moved = std::string(name) + "_moved";
  std::filesystem::rename(name, moved);
  environment.leave();
  EXPECT_EQ(std::filesystem::current_path(), moved);
  std::filesystem::current_path(start);
  std::filesystem::remove(moved);
}

}  // namespace
}  // namespace mobula::process
