#include "runtime/net/turn.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

namespace mobula::net {
namespace {

using namespace std::chrono_literals;

TEST(Turn, WakesAllWhoWaitForIt) {
  Turn turn{};
  std::vector<std::thread> waiting;
  for (int i = 0; i < 4; ++i) {
    waiting.emplace_back([&] {
      while (!turn.reached(100)) {
        turn.sleep(turn.number.load(), std::chrono::steady_clock::now() + 60s);
      }
    });
  }
  for (std::uint32_t number = 1; number <= 100; ++number) turn.raise_to(number);
  const auto begin = std::chrono::steady_clock::now();
  for (auto& thread : waiting) thread.join();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 50s);
  EXPECT_EQ(turn.sleepers.load(), 0u);
}

TEST(Turn, DoesNotSleepWhereTheNumberHasChangedOrTheTimeHasPassed) {
  Turn turn{};
  turn.raise_to(2);
  const auto begin = std::chrono::steady_clock::now();
  turn.sleep(1, begin + 60s);
  turn.sleep(2, begin);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 50s);
}

TEST(Turn, GoesOnBeyondTheLargestNumber) {
  Turn turn{};
  turn.raise_to(0xffffffff);
  EXPECT_TRUE(turn.reached(0xfffffff0));
  EXPECT_FALSE(turn.reached(1));
  turn.raise_to(1);
  EXPECT_TRUE(turn.reached(0xffffffff));
}

}  // namespace
}  // namespace mobula::net
