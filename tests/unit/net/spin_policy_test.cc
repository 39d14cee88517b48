#include "runtime/net/spin_policy.h"

#include <gtest/gtest.h>

namespace mobula::net {
namespace {

int tries_in(SpinPolicy& policy, int waits, bool success) {
  int tries = 0;
  for (int i = 0; i < waits; ++i) {
    if (!policy.worth_trying()) continue;
    ++tries;
    success ? policy.succeeded() : policy.failed();
  }
  return tries;
}

TEST(SpinPolicy, GoesOnWhileItHelps) {
  SpinPolicy policy(true);
  EXPECT_EQ(tries_in(policy, 1000, true), 1000);
}

TEST(SpinPolicy, BecomesRareWhereItDoesNot) {
  SpinPolicy policy(true);
  tries_in(policy, 3000, false);
  EXPECT_LE(tries_in(policy, 10240, false), 10);
}

TEST(SpinPolicy, ComesBackAfterOneTryThatHelped) {
  SpinPolicy policy(true);
  tries_in(policy, 5000, false);
  EXPECT_GE(tries_in(policy, 1124, true), 100);
}

TEST(SpinPolicy, IsNeverTriedOnOneCpu) {
  SpinPolicy policy(false);
  EXPECT_EQ(tries_in(policy, 5000, true), 0);
}

}  // namespace
}  // namespace mobula::net
