// What workers print reaches the driver's terminal with its task named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <string>

#include <mobula/runtime.h>

namespace mobula {
namespace {

using testing::ContainsRegex;

int speak(int n) {
  std::cout << "line " << n << " of a task\n" << std::flush;
  std::fprintf(stderr, "and a word of warning\n");
  return getpid();
}
struct Speaker {
  int say(const std::string& text) {
    std::cout << text << std::endl;
    return getpid();
  }
};

int murmur() {
  std::printf("no end of line");
  return getpid();
}

TEST(Output, OfWorkersReachesTheDriverWithItsTaskAndProcessNamed) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  int task = 0, actor = 0;
  {
    const Runtime rt = Runtime::start({.workers = 1});
    task = rt.remote<speak>(3).get();
    actor = rt.spawn<Speaker>().call<&Speaker::say>("hello").get();
  }
  const std::string out = testing::internal::GetCapturedStdout(), err = testing::internal::GetCapturedStderr();
  EXPECT_THAT(out, ContainsRegex("\\(.*speak pid=" + std::to_string(task) + "\\) line 3 of a task\n"));
  EXPECT_THAT(out, ContainsRegex("\\(.*Speaker::say pid=" + std::to_string(actor) + "\\) hello\n"));
  EXPECT_THAT(err, ContainsRegex("\\(.*speak pid=" + std::to_string(task) + "\\) and a word of warning\n"));
}

TEST(Output, WithoutTheEndOfItsLineIsShownWhenTheRuntimeEnds) {
  testing::internal::CaptureStdout();
  int pid = 0;
  {
    const Runtime rt = Runtime::start({.workers = 1});
    pid = rt.remote<murmur>().get();
  }
  EXPECT_THAT(testing::internal::GetCapturedStdout(),
              ContainsRegex("\\(.*murmur pid=" + std::to_string(pid) + "\\) no end of line"));
}

}  // namespace
}  // namespace mobula
