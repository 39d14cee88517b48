// Actors with save() and load(): after the death of their process they go on from where they were.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <numeric>
#include <string>
#include <vector>

#include <mobula/runtime.h>

namespace mobula {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

// A list of what was added, and a ref that it was given.
class Ledger {
 public:
  explicit Ledger(int first) : entries_{first} {}
  int add(int value) {
    entries_.push_back(value);
    return static_cast<int>(entries_.size());
  }
  int add_or_throw(int value) {
    entries_.push_back(value);
    if (value < 0) throw std::runtime_error("negative");
    return value;
  }
  void keep(std::vector<Ref<int>> refs) { kept_ = std::move(refs); }
  int read_kept() const { return kept_.at(0).get(); }
  std::vector<int> entries() const { return entries_; }
  int pid() const { return getpid(); }
  int die() {
    kill(getpid(), SIGKILL);
    return 0;
  }
  int incarnation() const { return this_task().incarnation; }

  struct State {
    std::vector<int> entries;
    std::vector<Ref<int>> kept;
    template <class A>
    void serialize(A& a) {
      a(entries, kept);
    }
  };
  State save() const { return {entries_, kept_}; }
  void load(State state) {
    entries_ = std::move(state.entries);
    kept_ = std::move(state.kept);
  }

 private:
  std::vector<int> entries_;
  std::vector<Ref<int>> kept_;
};

int add_by_task(const Actor<Ledger>& ledger, int value) {
  return ledger.call<&Ledger::add>(value).get();
}
int square(int x) {
  return x * x;
}

// Kills the actor's process, and waits until a later call has been answered by the next one.
void kill_and_wait(const Actor<Ledger>& ledger) {
  const int pid = ledger.call<&Ledger::pid>().get();
  ASSERT_EQ(kill(pid, SIGKILL), 0);
  const auto until = std::chrono::steady_clock::now() + 30s;
  for (;;) {
    const Result<int> now = ledger.call<&Ledger::pid>().try_get();
    if (now && *now != pid) return;
    ASSERT_LT(std::chrono::steady_clock::now(), until) << "the actor did not come back";
  }
}

struct Resume : testing::Test {
  const Runtime rt = Runtime::start({.workers = 2});
};

TEST_F(Resume, FromTheLogAloneAndFromACheckpoint) {
  for (const int every : {1'000'000, 3, 1}) {
    const auto ledger =
        rt.with({.max_restarts = 2, .checkpoint_every = every, .checkpoint_period = 0ms}).spawn<Ledger>(7);
    std::vector<int> expected{7};
    for (int i = 0; i < 10; ++i) {
      EXPECT_EQ(ledger.call<&Ledger::add>(i).get(), i + 2);
      expected.push_back(i);
    }
    kill_and_wait(ledger);
    EXPECT_EQ(ledger.call<&Ledger::entries>().get(), expected) << "checkpoint every " << every;
    ledger.call<&Ledger::add>(99).get();
    expected.push_back(99);
    kill_and_wait(ledger);
    EXPECT_EQ(ledger.call<&Ledger::entries>().get(), expected) << "after the second death, every " << every;
    EXPECT_EQ(ledger.call<&Ledger::incarnation>().get(), 3);
  }
}

TEST_F(Resume, WithCallsOfTasksAndOfTheDriverInTheOrderInWhichTheyRan) {
  const auto ledger = rt.with({.max_restarts = -1, .checkpoint_every = 7}).spawn<Ledger>(0);
  std::vector<Ref<int>> lengths;
  for (int round = 1; round <= 6; ++round) {
    std::vector<Ref<int>> some;
    for (int i = 0; i < 8; ++i) {
      some.push_back(i % 2 == 0 ? rt.remote<add_by_task>(ledger, 10 * round + i)
                                : ledger.call<&Ledger::add>(10 * round + i));
    }
    for (const auto& each : some) each.get();
    const std::vector<int> before = ledger.call<&Ledger::entries>().get();
    EXPECT_EQ(before.size(), 1u + 8u * static_cast<unsigned>(round));
    kill_and_wait(ledger);
    EXPECT_EQ(ledger.call<&Ledger::entries>().get(), before) << "round " << round;
  }
}

TEST_F(Resume, WithArgumentsThatWereRefsAndRefsThatItKeeps) {
  const auto ledger = rt.with({.max_restarts = 2, .checkpoint_every = 2, .checkpoint_period = 0ms}).spawn<Ledger>(0);
  ledger.call<&Ledger::add>(rt.remote<square>(5)).get();
  ledger.call<&Ledger::keep>(std::vector{rt.remote<square>(6)}).get();
  ledger.call<&Ledger::add>(rt.put(3)).get();  // in the log alone
  kill_and_wait(ledger);
  EXPECT_THAT(ledger.call<&Ledger::entries>().get(), ElementsAre(0, 25, 3));
  EXPECT_EQ(ledger.call<&Ledger::read_kept>().get(), 36);
}

TEST_F(Resume, WhatAMethodDidBeforeItThrewCounts) {
  const auto ledger = rt.with({.max_restarts = 1}).spawn<Ledger>(0);
  EXPECT_EQ(ledger.call<&Ledger::add_or_throw>(-5).try_get().error().code, ErrorCode::exception);
  kill_and_wait(ledger);
  EXPECT_THAT(ledger.call<&Ledger::entries>().get(), ElementsAre(0, -5));
}

TEST_F(Resume, ACallInFlightAtTheDeathFailsAndIsNotInTheState) {
  const auto ledger = rt.with({.max_restarts = 1}).spawn<Ledger>(0);
  ledger.call<&Ledger::add>(1).get();
  EXPECT_EQ(ledger.call<&Ledger::die>().try_get().error().code, ErrorCode::actor_died);
  EXPECT_THAT(ledger.call<&Ledger::entries>().get(), ElementsAre(0, 1));
}

TEST_F(Resume, AStateOfManyMegabytes) {
  struct Large {
    std::vector<double> values;
    double set(int at, double value) { return values[static_cast<std::size_t>(at)] = value; }
    double sum() const { return std::accumulate(values.begin(), values.end(), 0.0); }
    explicit Large(int n) : values(static_cast<std::size_t>(n), 1.0) {}
    std::vector<double> save() const { return values; }
    void load(std::vector<double> saved) { values = std::move(saved); }
  };
  const auto large = rt.with({.max_restarts = 1, .checkpoint_every = 1}).spawn<Large>(1'000'000);
  large.call<&Large::set>(3, 5.0).get();
  EXPECT_EQ(large.call<&Large::sum>().get(), 1'000'004.0);
  const int pid = large.call<[](Large&) { return int{getpid()}; }>().get();
  ASSERT_EQ(kill(pid, SIGKILL), 0);
  Result<double> sum = large.call<&Large::sum>().try_get();
  if (!sum) sum = large.call<&Large::sum>().try_get();  // the first one was sent to the dead
  ASSERT_TRUE(sum.ok()) << sum.error().describe();
  EXPECT_EQ(*sum, 1'000'004.0);
}

TEST_F(Resume, ASaveThatThrowsEndsTheActorAndSaysSo) {
  struct Broken {
    int n = 0;
    int add(int by) { return n += by; }
    int save() const { throw std::runtime_error("no room for the state"); }
    void load(int saved) { n = saved; }
  };
  const auto broken = rt.with({.max_restarts = 1, .checkpoint_every = 1}).spawn<Broken>();
  broken.call<&Broken::add>(1).get();
  Result<int> next = broken.call<&Broken::add>(1).try_get();
  const auto until = std::chrono::steady_clock::now() + 30s;
  while (next && std::chrono::steady_clock::now() < until) next = broken.call<&Broken::add>(1).try_get();
  ASSERT_FALSE(next.ok());
  EXPECT_EQ(next.error().code, ErrorCode::actor_died);
  EXPECT_THAT(next.error().describe(), HasSubstr("the actor's state could not be saved"));
  EXPECT_THAT(next.error().describe(), HasSubstr("no room for the state"));
}

TEST_F(Resume, OptionsThatCannotBeAreRefused) {
  const auto message = [&](const Options& options) {
    try {
      rt.with(options).spawn<Ledger>(0);
    } catch (const TaskError& e) {
      return e.error().message;
    }
    return std::string("not refused");
  };
  EXPECT_THAT(message({.max_restarts = 1, .max_concurrency = 4}), HasSubstr("its calls run one at a time"));
  EXPECT_THAT(message({.max_restarts = 1, .checkpoint_every = 0, .checkpoint_period = 0ms}),
              HasSubstr("give a number of calls, a time, or both"));
  // Without restarts nothing is kept, and nothing is asked.
  EXPECT_EQ(rt.with({.max_concurrency = 4}).spawn<Ledger>(3).call<&Ledger::entries>().get().size(), 1u);
}

}  // namespace
}  // namespace mobula
