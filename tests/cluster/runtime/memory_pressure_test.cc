// A machine whose memory runs out, on real processes: the threshold is so low that it is always passed, so that every
// process with more than 64 MB of its own is one to be killed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <vector>

#include <mobula/runtime.h>

namespace mobula {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

Runtime start() {
  return Runtime::start({.workers = 2, .memory_threshold = 0.0001, .memory_check = 20ms, .log_level = "error"});
}

std::vector<char> taken;  // not of a function: the compiler would see that nobody reads it

[[noreturn]] void take_memory() {
  taken.assign(128 << 20, 'x');
  for (;;) pause();
}
int takes_memory_until(int attempt) {
  if (this_task().attempt < attempt) take_memory();
  return this_task().attempt;
}
int add(int a, int b) {
  return a + b;
}
struct Glutton {
  int eat() { take_memory(); }
};

TEST(OutOfMemory, ATaskThatWasKilledForItRunsAgainAndLosesNoRetry) {
  const Runtime rt = start();
  // Killed twice, where one death is allowed.
  EXPECT_EQ(rt.with({.max_retries = 1}).remote<takes_memory_until>(3).get(60s), 3);
}

TEST(OutOfMemory, ATaskThatMayNotRunAgainEndsInAnErrorThatSaysWhy) {
  const Runtime rt = start();
  const Result<int> result = rt.with({.max_retries = 0}).remote<takes_memory_until>(2).try_get(60s);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::out_of_memory);
  EXPECT_EQ(result.error().attempt, 1);
  EXPECT_THAT(result.error().task, HasSubstr("takes_memory_until"));
  EXPECT_THAT(result.error().message, HasSubstr("memory runs out: "));
  EXPECT_THAT(result.error().message, HasSubstr("the threshold is 0.01 %"));
  EXPECT_THAT(result.error().message, HasSubstr("is the newest task, and nothing that runs here can be tried again"));
}

TEST(OutOfMemory, AnActorDiesOfItWithThatAsTheCause) {
  const Runtime rt = start();
  const auto glutton = rt.spawn<Glutton>();
  const Result<int> result = glutton.call<&Glutton::eat>().try_get(60s);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::actor_died);
  ASSERT_FALSE(result.error().causes.empty());
  const Error& death = result.error().causes.front();  // of the actor, which the call then met
  EXPECT_EQ(death.code, ErrorCode::actor_died);
  ASSERT_FALSE(death.causes.empty());
  EXPECT_EQ(death.causes.front().code, ErrorCode::out_of_memory);
  EXPECT_THAT(death.causes.front().message, HasSubstr("is the newest actor"));
}

TEST(OutOfMemory, WhoTakesLittleIsLeftAlone) {
  const Runtime rt = start();
  std::vector<Ref<int>> sums;
  for (int i = 0; i < 1000; ++i) sums.push_back(rt.with({.max_retries = 0}).remote<add>(i, 1));
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(sums[static_cast<std::size_t>(i)].get(60s), i + 1);
}

}  // namespace
}  // namespace mobula
