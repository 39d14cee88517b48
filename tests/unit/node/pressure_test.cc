#include "runtime/node/pressure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mobula {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t GB = 1'000'000'000;
const NodeId node{0x1111};
const ProcessId driver{node, 1, 1}, other{node, 2, 1};

ProcessId worker(std::uint32_t number) {
  return {node, 10 + number, 1};
}

struct Pressure : testing::Test {
  std::vector<PressureCandidate> candidates;
  void task(std::uint32_t number, const ProcessId& owner, std::uint64_t bytes, bool retriable = true) {
    candidates.push_back({worker(number), owner, number, bytes, retriable, false});
  }
  std::optional<PressureVictim> victim() { return choose_victim(candidates, GB / 10); }
};

TEST_F(Pressure, TheNewestRetriableTaskOfTheGreediestGroupGoes) {
  task(1, driver, 2 * GB);
  task(2, driver, GB);
  task(3, other, 2 * GB);
  ASSERT_TRUE(victim());
  EXPECT_EQ(victim()->process, worker(2)) << "the driver's take 3 GB; the older one has got further";
  EXPECT_THAT(victim()->why, HasSubstr("it holds 1.00 GB and is the newest of the 2 tasks that can be tried again"));
  EXPECT_THAT(victim()->why, HasSubstr("whose tasks take most (3.00 GB)"));
}

TEST_F(Pressure, WhatCannotBeTriedAgainIsSparedAsLongAsSomethingCan) {
  task(1, driver, GB);
  task(2, other, 9 * GB, false);
  EXPECT_EQ(victim()->process, worker(1));
  candidates[0].retriable = false;
  EXPECT_EQ(victim()->process, worker(2)) << "the newest";
  EXPECT_THAT(victim()->why, HasSubstr("the newest task, and nothing that runs here can be tried again"));
}

TEST_F(Pressure, NobodyGoesWhoseEndWouldGainNothing) {
  task(1, driver, GB / 20);
  EXPECT_FALSE(victim()) << "the driver itself, or a stranger, takes the memory";
  task(2, other, GB, false);
  EXPECT_EQ(victim()->process, worker(2)) << "a small task that can be tried again does not shield a large one";
}

TEST_F(Pressure, OfEquallyGreedyGroupsTheNewer) {
  task(1, driver, GB);
  task(2, other, GB);
  EXPECT_EQ(victim()->process, worker(2));
}

TEST_F(Pressure, IsDescribedInNumbers) {
  EXPECT_EQ(describe({15'360'000'000, 16'000'000'000, "the cgroup /job"}, 0.95),
            "15.36 GB of 16.00 GB of the cgroup /job are in use (96 %, the threshold is 95 %)");
}

}  // namespace
}  // namespace mobula
