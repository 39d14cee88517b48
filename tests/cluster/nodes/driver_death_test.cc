// What remains of a driver that ends, in whatever way: nothing, two seconds later.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cluster/nodes/child.h"
#include "tests/cluster/nodes/leftovers.h"

namespace {

using namespace std::chrono_literals;
using testing::IsEmpty;

class ADriver : public testing::TestWithParam<int> {
 protected:
  void SetUp() override { ASSERT_THAT(processes_of(DRIVER_PROGRAM), IsEmpty()) << "of an earlier test"; }
};

TEST_P(ADriver, LeavesNothingBehindWhenItIsEndedBy) {
  const auto before = leftovers();
  Child driver({DRIVER_PROGRAM, "busy", "2"});
  ASSERT_NE(driver.wait_for("ready"), "") << driver.output();
  // The driver, its zygote and two workers.
  const auto running = processes_of(DRIVER_PROGRAM);
  EXPECT_GE(running.size(), 4u);
  for (pid_t pid : running) EXPECT_EQ(getsid(pid), getsid(0)) << "a worker left the session of its driver";
  driver.signal(GetParam());
  const int status = driver.wait(2s);
  ASSERT_TRUE(WIFSIGNALED(status)) << driver.output();
  EXPECT_EQ(WTERMSIG(status), GetParam());
  EXPECT_THAT(wait_until_gone(DRIVER_PROGRAM, 2s), IsEmpty());
  EXPECT_THAT(left_since(before, "cluster_driver"), IsEmpty());
}

std::string signal_name(const testing::TestParamInfo<int>& info) {
  return sigabbrev_np(info.param);
}
INSTANTIATE_TEST_SUITE_P(Signal, ADriver, testing::Values(SIGKILL, SIGINT, SIGTERM), signal_name);

TEST_F(ADriver, WhoseWorkersAreInterruptedGoesOn) {
  Child driver({DRIVER_PROGRAM, "busy", "2"});
  ASSERT_NE(driver.wait_for("ready"), "") << driver.output();
  const auto running = processes_of(DRIVER_PROGRAM);
  for (pid_t pid : running) {
    if (pid != driver.pid()) kill(pid, SIGINT);
  }
  EXPECT_EQ(driver.wait(300ms), -1) << driver.output();
  EXPECT_THAT(running, testing::IsSubsetOf(processes_of(DRIVER_PROGRAM)));
}

}  // namespace
