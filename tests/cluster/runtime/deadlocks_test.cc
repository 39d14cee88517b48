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
