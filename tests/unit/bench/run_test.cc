// How rows are measured: trials, turns, counting, ratios. Time is a number that the cases advance.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "bench/micro/case.h"

namespace mobula::bench {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;
using testing::DoubleNear;
using testing::ElementsAre;
using testing::Optional;

class RunTest : public testing::Test {
 protected:
  /// Takes `each` of wall time, of which `counted` is what it reports.
  Case taking(const std::string& name, nanoseconds each, nanoseconds counted) {
    Case out;
    out.name = name;
    out.once = [this, name, each, counted] {
      now += each;
      called.push_back(name);
      return counted;
    };
    return out;
  }
  Case taking(const std::string& name, nanoseconds each) { return taking(name, each, each); }

  RunOptions options() {
    RunOptions out;
    out.trials = 2;
    out.trial_time = 10ms;
    out.warm_up = 1ns;
    out.turns = 1;
    out.now = [this] { return now; };
    out.sleep = [this](nanoseconds time) { now += time; };
    return out;
  }

  std::chrono::steady_clock::time_point now{};
  std::vector<std::string> called;
};

TEST_F(RunTest, CountsOperationsOverTheTimeThatTheyReport) {
  std::vector<Case> cases{taking("batch", 3ms, 2ms)};
  cases[0].measure = Measure::rate;
  cases[0].operations = 1000;
  const auto rows = run(cases, options());
  EXPECT_THAT(rows[0].per_second, Optional(DoubleNear(500'000, 1e-6)));
  EXPECT_THAT(rows[0].sd, Optional(DoubleNear(0, 1e-6)));
  EXPECT_EQ(rows[0].n, 8u) << "four calls reach the 10 ms of each of two trials";
  EXPECT_FALSE(rows[0].p50_us) << "what is done many at a time has no time of its own";
}

TEST_F(RunTest, TheWarmUpIsNotCounted) {
  std::vector<Case> cases{taking("call", 5ms)};
  int calls = 0;
  cases[0].once = [&] {
    const nanoseconds time = ++calls == 1 ? 1s : 5ms;
    now += time;
    return time;
  };
  const auto rows = run(cases, options());
  EXPECT_THAT(rows[0].p99_us, Optional(5000.0));
  EXPECT_EQ(rows[0].n, 4u);
}

TEST_F(RunTest, GoesRoundAllCasesInTurns) {
  const std::vector<Case> cases{taking("a", 5ms), taking("long", 20ms), taking("b", 5ms)};
  RunOptions two_turns = options();
  two_turns.trials = 1;
  two_turns.turns = 2;
  run(cases, two_turns);
  EXPECT_THAT(called, ElementsAre("a", "long", "b",  // to warm up
                                  "a", "long", "b", "a", "b"))
      << "what had its time in the first turn is left out of the second";
}

TEST_F(RunTest, AShortCaseTakesBackItsCachesUnseen) {
  const std::vector<Case> cases{taking("short", 1us), taking("other", 10ms)};
  RunOptions one = options();
  one.trials = 1;
  const auto rows = run(cases, one);
  EXPECT_EQ(rows[0].n, 10'000u);
  EXPECT_EQ(std::count(called.begin(), called.end(), "short"), 1 + 1 + 10'000);
}

TEST_F(RunTest, PercentilesAreOfAllTrials) {
  std::vector<Case> cases{taking("call", 100us)};
  int calls = 0;
  cases[0].once = [&] {
    const nanoseconds time = ++calls % 50 == 0 ? 1ms : 100us;
    now += time;
    return time;
  };
  RunOptions long_trials = options();
  long_trials.trial_time = 1s;
  const auto rows = run(cases, long_trials);
  EXPECT_THAT(rows[0].p50_us, Optional(100.0));
  EXPECT_THAT(rows[0].p99_us, Optional(1000.0));
}

TEST_F(RunTest, ALatencyIsSoManyTimesItsFloorAndASpeedThatPartOfIt) {
  std::vector<Case> cases{taking("call", 1ms), taking("copy", 4ms), taking("rate", 1ms), taking("floor", 2ms)};
  cases[1].measure = Measure::speed;
  cases[2].measure = Measure::rate;
  for (int i : {0, 1, 2}) cases[i].floor = "floor";
  const auto rows = run(cases, options());
  EXPECT_THAT(rows[0].ratio, Optional(0.5));
  EXPECT_THAT(rows[1].ratio, Optional(0.5));
  EXPECT_THAT(rows[2].ratio, Optional(DoubleNear(2, 1e-9)));
  EXPECT_FALSE(rows[3].ratio);
}

// The floor counts floating-point operations, and the rows something that needs some of them.
TEST_F(RunTest, WorkIsHeldAgainstTheFloorsRateByTheMedianCall) {
  std::vector<Case> cases{taking("update", 1ms), taking("run", 2ms), taking("floor", 1ms)};
  cases[0].measure = Measure::rate;
  cases[2].measure = Measure::rate;
  cases[2].operations = 1000;  // 1e6 a second
  int calls = 0;
  cases[0].work = [&] { return ++calls % 5 == 0 ? 1e9 : 250.0; };  // of 1 ms: a quarter of the floor's 1000
  cases[1].work = [] { return 1000.0; };                           // in 2 ms: twice as long as the floor would take
  cases[0].floor = cases[1].floor = "floor";
  cases[1].note = [] { return "of seven"; };
  const auto rows = run(cases, options());
  EXPECT_THAT(rows[0].ratio, Optional(DoubleNear(0.25, 1e-9)));
  EXPECT_THAT(rows[1].ratio, Optional(DoubleNear(2, 1e-9)));
  EXPECT_EQ(rows[1].note, "of seven");
  EXPECT_EQ(rows[0].note, "");
}

TEST_F(RunTest, IdlenessComesBeforeEachCallAndDoesNotCount) {
  std::vector<Case> cases{taking("call", 1ms)};
  cases[0].idle = 4ms;
  const auto rows = run(cases, options());
  EXPECT_EQ(rows[0].n, 4u);
  EXPECT_THAT(rows[0].per_second, Optional(DoubleNear(1000, 1e-6)));
}

TEST_F(RunTest, SurroundingsLastForATurn) {
  std::vector<Case> cases{taking("busy", 10ms)};
  cases[0].surroundings = [this](bool on) { called.push_back(on ? "on" : "off"); };
  RunOptions one = options();
  one.trials = 1;
  run(cases, one);
  EXPECT_THAT(called, ElementsAre("on", "busy", "off", "on", "busy", "off"));
}

TEST_F(RunTest, WhatCannotBeMeasuredSaysWhyAndIsNotTriedAgain) {
  std::vector<Case> cases{taking("nodes", 1ms), taking("call", 10ms)};
  int tried = 0;
  cases[0].once = [&]() -> nanoseconds {
    ++tried;
    throw CannotMeasure("no name spaces here");
  };
  cases[1].floor = "nodes";
  const auto rows = run(cases, options());
  EXPECT_EQ(tried, 1);
  EXPECT_EQ(rows[0].missing, "no name spaces here");
  EXPECT_FALSE(rows[0].per_second);
  EXPECT_TRUE(rows[1].per_second);
  EXPECT_FALSE(rows[1].ratio);
}

TEST_F(RunTest, AnAmountIsTakenOnceATrial) {
  std::vector<Case> cases(1);
  cases[0].name = "memory";
  cases[0].measure = Measure::amount;
  cases[0].unit = "MB";
  double next = 0;
  cases[0].amount = [&] { return next += 10; };
  RunOptions three = options();
  three.trials = 3;
  three.turns = 4;
  const auto rows = run(cases, three);
  EXPECT_THAT(rows[0].amount, Optional(30.0)) << "10 was the warm-up";
  EXPECT_EQ(rows[0].n, 3u);
  EXPECT_FALSE(rows[0].per_second);
}

}  // namespace
}  // namespace mobula::bench
