// Waits that can never end are errors that show the cycle; waits that only last are left alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include <mobula/runtime.h>

#include "tests/support/marks.h"

namespace mobula {
namespace {

using namespace std::chrono_literals;
using test::Marks;
using testing::HasSubstr;

class Deadlocks : public testing::Test {
 protected:
  const Marks marks;
  const Runtime rt = Runtime::start({.workers = 2, .gpus = 1});
};

struct Lonely {
  int answer() { return 42; }
  int ask_myself(Actor<Lonely> me) { return me.call<&Lonely::answer>().get(); }
  Task<int> ask_patiently(Actor<Lonely> me) { co_return co_await me.call<&Lonely::answer>(); }
};

TEST_F(Deadlocks, AnActorThatWaitsForItselfIsToldSo) {
  auto lonely = rt.spawn<Lonely>();
  const Error error = lonely.call<&Lonely::ask_myself>(lonely).try_get(60s).error();
  ASSERT_FALSE(error.causes.empty());
  EXPECT_EQ(error.causes[0].code, ErrorCode::would_deadlock);
  EXPECT_THAT(error.causes[0].message, HasSubstr("could never have ended"));
  EXPECT_THAT(error.causes[0].message, HasSubstr("ask_myself"));
  EXPECT_EQ(lonely.call<&Lonely::ask_patiently>(lonely).get(60s), 42);  // a coroutine lets the other call in
}

struct Pong;
struct Ping {
  int begin(Actor<Ping> me, Actor<Pong> other);
  int end() { return 1; }
};
struct Pong {
  int middle(Actor<Ping> other) { return other.call<&Ping::end>().get() + 1; }
};
int Ping::begin(Actor<Ping> me, Actor<Pong> other) {
  return other.call<&Pong::middle>(me).get() + 1;
}

TEST_F(Deadlocks, ACycleOfTwoActorsShowsBoth) {
  auto ping = rt.spawn<Ping>();
  auto pong = rt.spawn<Pong>();
  const Error error = ping.call<&Ping::begin>(ping, pong).try_get(60s).error();
  const std::string text = error.describe();
  EXPECT_THAT(text, HasSubstr("would_deadlock"));
  EXPECT_THAT(text, HasSubstr("Ping::begin"));
  EXPECT_THAT(text, HasSubstr("Pong::middle"));
  EXPECT_EQ(ping.call<&Ping::end>().get(60s), 1);  // both are free again
}

int inner_on_gpu() {
  return 1;
}
int outer_on_gpu() {
  return Runtime::current().with({.resources = {.gpu = 1}}).remote<inner_on_gpu>().get();
}

TEST_F(Deadlocks, WaitingForWhatTheWaiterHoldsIsOne) {
  const Error error = rt.with({.resources = {.gpu = 1}}).remote<outer_on_gpu>().try_get(60s).error();
  EXPECT_THAT(error.describe(), HasSubstr("would_deadlock"));
  EXPECT_THAT(error.describe(), HasSubstr("gpu 1"));
  EXPECT_EQ((rt.with({.resources = {.gpu = 0.5}}).remote<inner_on_gpu>().get(60s)), 1);
}

int slow_leaf(const Marks::Name& go) {
  test::await(go);
  return 1;
}

// Waits for some of several, and for items of a stream.
struct Echo;
struct Asker {
  int answer() { return 1; }
  std::string ask_all(Actor<Asker> me, const std::vector<Actor<Echo>>& others);
  int ask_any(Actor<Asker> me, const std::vector<Actor<Echo>>& others, const std::vector<Ref<int>>& slow);
  int read(Actor<Asker> me, Actor<Echo> other);
};
struct Echo {
  int back(Actor<Asker> asker) { return asker.call<&Asker::answer>().get(); }
  Generator<int> items(Actor<Asker> asker) {
    co_yield 1;
    co_yield asker.call<&Asker::answer>().get();
  }
};
int quick_leaf() {
  return 5;
}
// Either of the two that wait for each other may be told: the errors that there are.
std::string Asker::ask_all(Actor<Asker> me, const std::vector<Actor<Echo>>& others) {
  std::vector<Ref<int>> refs{Runtime::current().remote<quick_leaf>()};
  for (auto other : others) refs.push_back(other.call<&Echo::back>(me));
  std::string errors;
  for (const auto& ref : Runtime::current().wait(refs, refs.size()).ready) {
    if (const auto result = ref.try_get(); !result.ok()) errors += result.error().describe();
  }
  return errors;
}
int Asker::ask_any(Actor<Asker> me, const std::vector<Actor<Echo>>& others, const std::vector<Ref<int>>& slow) {
  std::vector<Ref<int>> refs = slow;
  for (auto other : others) refs.push_back(other.call<&Echo::back>(me));
  return static_cast<int>(Runtime::current().wait(refs, 1).ready.size());
}
int Asker::read(Actor<Asker> me, Actor<Echo> other) {
  int sum = 0;
  for (const int item : other.stream<&Echo::items>(me)) sum += item;
  return sum;
}

TEST_F(Deadlocks, AWaitForAllOfSeveralIsOneWhenAnyOfThemNeverComes) {
  auto asker = rt.spawn<Asker>();
  auto echo = rt.spawn<Echo>();
  const auto result = asker.call<&Asker::ask_all>(asker, std::vector{echo}).try_get(60s);
  const std::string text = result.ok() ? *result : result.error().describe();
  EXPECT_THAT(text, HasSubstr("would_deadlock"));
  EXPECT_THAT(text, HasSubstr("Echo::back"));
  EXPECT_EQ(asker.call<&Asker::answer>().get(60s), 1);
}

TEST_F(Deadlocks, AWaitForOneOfSeveralIsOneWhenNoneOfThemEverComes) {
  auto asker = rt.spawn<Asker>();
  const std::vector echoes{rt.spawn<Echo>(), rt.spawn<Echo>()};
  const auto stuck = asker.call<&Asker::ask_any>(asker, echoes, std::vector<Ref<int>>{});
  EXPECT_THAT(stuck.try_get(60s).error().describe(), HasSubstr("would_deadlock"));
  // With one more that comes, late, it is none.
  const auto late = rt.remote<slow_leaf>(marks.name("late"));
  const auto waits = asker.call<&Asker::ask_any>(asker, echoes, std::vector{late});
  EXPECT_EQ(waits.try_get(3500ms).error().code, ErrorCode::timed_out);
  test::leave(marks.name("late"));
  EXPECT_EQ(waits.get(60s), 1);
}

TEST_F(Deadlocks, AReaderOfAStreamWhoseMakerWaitsForTheReaderIsToldSo) {
  auto asker = rt.spawn<Asker>();
  auto echo = rt.spawn<Echo>();
  const std::string text = asker.call<&Asker::read>(asker, echo).try_get(60s).error().describe();
  EXPECT_THAT(text, HasSubstr("would_deadlock"));
  EXPECT_EQ(asker.call<&Asker::answer>().get(60s), 1);
}

struct Patient {
  int wait_for(const std::vector<Ref<int>>& refs) {
    int sum = 0;
    for (const auto& ref : refs) sum += ref.get();
    return sum;
  }
  int quick() { return 2; }
};
int chain(Actor<Patient> patient, const Marks::Name& go) {
  auto inner = Runtime::current();
  return patient.call<&Patient::wait_for>(std::vector{inner.remote<slow_leaf>(go)}).get();
}

TEST_F(Deadlocks, AWaitThatOnlyLastsIsLeftAlone) {
  auto patient = rt.spawn<Patient>();
  auto whole = rt.remote<chain>(patient, marks.name("go"));
  auto queued = patient.call<&Patient::quick>();
  // Several rounds of looking for a cycle.
  EXPECT_EQ(whole.try_get(3500ms).error().code, ErrorCode::timed_out);
  test::leave(marks.name("go"));
  EXPECT_EQ(whole.get(60s), 1);
  EXPECT_EQ(queued.get(60s), 2);
}

}  // namespace
}  // namespace mobula
