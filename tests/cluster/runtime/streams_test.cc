// Streams, coroutines and actors that run several calls, in worker processes and inside this one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <mobula/runtime.h>

#include "tests/support/marks.h"

namespace mobula {
namespace {

using namespace std::chrono_literals;
using test::Marks;
using testing::HasSubstr;

class Streams : public testing::TestWithParam<int> {
 protected:
  const Marks marks;
  const Runtime rt = Runtime::start({.workers = GetParam()});
};
INSTANTIATE_TEST_SUITE_P(Of, Streams, testing::Values(2, 0), [](const auto& mode) {
  return mode.param == 0 ? std::string("InProcess") : std::string("Workers");
});
class WorkerStreams : public testing::Test {
 protected:
  const Marks marks;
  const Runtime rt = Runtime::start({.workers = 2});
};

// ---- streams

Generator<int> numbers(int n) {
  for (int i = 0; i < n; ++i) co_yield i;
}
void squares(Writer<int>& out, int n) {
  for (int i = 0; i < n; ++i) out.write(i * i);
}
Generator<std::vector<double>> rows(int n) {
  for (int i = 0; i < n; ++i) co_yield std::vector<double>(20'000, i);
}
Generator<int> numbers_then_fail(int n) {
  for (int i = 0; i < n; ++i) co_yield i;
  throw std::runtime_error("no more");
}
int plus_one(int x) {
  return x + 1;
}
Generator<Ref<int>> refs(int n) {
  auto inner = Runtime::current();
  for (int i = 0; i < n; ++i) co_yield inner.remote<plus_one>(i);
}

TEST_P(Streams, ItemsComeInOrder) {
  std::vector<int> got;
  for (const int i : rt.stream<numbers>(1000)) got.push_back(i);
  std::vector<int> wanted(1000);
  std::iota(wanted.begin(), wanted.end(), 0);
  EXPECT_EQ(got, wanted);
  int sum = 0;
  for (const int i : rt.stream<squares>(10)) sum += i;
  EXPECT_EQ(sum, 285);
  int large = 0;
  for (const auto& row : rt.with({.max_unread_items = 2}).stream<rows>(20)) large += static_cast<int>(row[19'999]);
  EXPECT_EQ(large, 190);
  for ([[maybe_unused]] const int i : rt.stream<numbers>(0)) ADD_FAILURE();
}

TEST_P(Streams, ItemsAreRefsThatCanBePassedOn) {
  auto stream = rt.stream<numbers>(5);
  std::vector<Ref<int>> plus;
  while (const auto item = stream.next(60s)) plus.push_back(rt.remote<plus_one>(*item));
  EXPECT_EQ(rt.get(plus), (std::vector{1, 2, 3, 4, 5}));
  std::vector<Ref<int>> inner;
  for (const Ref<int>& ref : rt.stream<refs>(5)) inner.push_back(ref);
  EXPECT_EQ(rt.get(inner), (std::vector{1, 2, 3, 4, 5}));
}

TEST_P(Streams, AFailureComesAfterTheItemsBeforeIt) {
  int got = 0;
  try {
    for ([[maybe_unused]] const int i : rt.stream<numbers_then_fail>(3)) ++got;
    ADD_FAILURE() << "it should have thrown";
  } catch (const TaskError& e) {
    EXPECT_THAT(e.error().message, HasSubstr("no more"));
  }
  EXPECT_EQ(got, 3);
}

Generator<int> marked(const Marks::Name& made, const Marks::Name& ended, int n) {
  struct AtEnd {
    Marks::Name name;
    ~AtEnd() { test::leave(name); }
  } at_end{ended};
  for (int i = 0; i < n; ++i) {
    test::leave(made);
    co_yield i;
  }
}

TEST_P(Streams, TheMakerWaitsForItsReader) {
  auto stream = rt.with({.max_unread_items = 4}).stream<marked>(marks.name("made"), marks.name("end"), 1000);
  test::await(marks.name("made"), 5);  // the fifth waits to be taken in
  EXPECT_EQ(stream.next(60s)->get(), 0);
  EXPECT_EQ(stream.next(60s)->get(), 1);
  test::await(marks.name("made"), 7);
  EXPECT_LE(test::count(marks.name("made")), 7u);
  EXPECT_EQ(test::count(marks.name("end")), 0u);
}

TEST_P(Streams, AReaderThatGoesAwayEndsTheMaker) {
  {
    auto stream = rt.with({.max_unread_items = 4}).stream<marked>(marks.name("made"), marks.name("end"), 1'000'000);
    EXPECT_EQ(stream.next(60s)->get(), 0);
  }
  test::await(marks.name("end"));  // what the coroutine held was destroyed
}

TEST_P(Streams, ACancelledStreamSaysSo) {
  auto stream = rt.with({.max_unread_items = 4}).stream<marked>(marks.name("made"), marks.name("end"), 1'000'000);
  EXPECT_EQ(stream.next(60s)->get(), 0);
  rt.cancel(stream.call());
  try {
    while (stream.next(60s)) {
    }
    ADD_FAILURE() << "it should have thrown";
  } catch (const TaskError& e) {
    EXPECT_EQ(e.code(), ErrorCode::cancelled);
  }
}

Generator<int> dies_on_the_way(const Marks::Name& mark, int n) {
  test::leave(mark);
  const std::size_t attempt = test::count(mark);
  for (int i = 0; i < n; ++i) {
    if (i == static_cast<int>(attempt) * 100 && attempt < 3) kill(getpid(), SIGKILL);
    co_yield i;
  }
}

TEST_F(WorkerStreams, AfterADeathTheReaderSeesEachItemOnce) {
  std::vector<int> got;
  for (const int i : rt.with({.max_unread_items = 16}).stream<dies_on_the_way>(marks.name("attempts"), 500)) {
    got.push_back(i);
  }
  std::vector<int> wanted(500);
  std::iota(wanted.begin(), wanted.end(), 0);
  EXPECT_EQ(got, wanted);
  EXPECT_EQ(test::count(marks.name("attempts")), 3u);
}

struct Source {
  int base = 10;
  Generator<int> some(int n) {
    for (int i = 0; i < n; ++i) co_yield base + i;
  }
  int get() const { return base; }
};

TEST_P(Streams, ActorsMakeStreamsToo) {
  auto source = rt.spawn<Source>();
  int sum = 0;
  for (const int i : source.stream<&Source::some>(4)) sum += i;
  EXPECT_EQ(sum, 46);
  EXPECT_EQ(source.call<&Source::get>().get(60s), 10);
}

// ---- coroutines

Task<double> mean_of(Ref<double> a, Ref<double> b) {
  co_return (co_await a + co_await b) / 2;
}
Task<int> fib(int n) {
  if (n < 2) co_return n;
  auto inner = Runtime::current();
  auto a = inner.remote<fib>(n - 1), b = inner.remote<fib>(n - 2);
  co_return co_await a + co_await b;
}
Task<int> twice(Ref<int> ref) {
  co_return 2 * co_await ref;
}
Task<std::tuple<int, std::string>> nested_coroutines(Ref<int> ref) {
  const int value = co_await twice(ref);
  co_return std::tuple(value, std::to_string(value));
}
Task<> throws_later(Ref<int> ref) {
  co_await ref;
  throw std::runtime_error("after the wait");
}

TEST_P(Streams, TasksMayBeCoroutines) {
  // (As values, so that the refs inside are not waited for first: a Ref parameter takes the handle.)
  EXPECT_EQ(rt.remote<mean_of>(rt.put(1.0), rt.put(2.0)).get(60s), 1.5);
  EXPECT_EQ(rt.remote<fib>(10).get(60s), 55);
  auto [value, text] = rt.remote<nested_coroutines>(rt.put(21));
  EXPECT_EQ(value.get(60s), 42);
  EXPECT_EQ(text.get(60s), "42");
  EXPECT_THAT(rt.remote<throws_later>(rt.put(1)).try_get(60s).error().message, HasSubstr("after the wait"));
  EXPECT_EQ(twice(rt.put(4)).get(), 8);  // called directly
}

class Gate {
 public:
  Task<int> pass(Ref<int> when) {
    most_ = std::max(most_, ++inside_);
    const int value = co_await when;
    --inside_;
    co_return value;
  }
  int most() const { return most_; }

 private:
  int inside_ = 0, most_ = 0;
};
int opens(const Marks::Name& mark) {
  test::await(mark);
  return 7;
}

TEST_F(WorkerStreams, ThousandsOfCallsOfOneActorWaitInOneThread) {
  auto gate = rt.with({.max_concurrency = 5000}).spawn<Gate>();
  auto key = rt.remote<opens>(marks.name("open"));
  std::vector<Ref<int>> calls;
  for (int i = 0; i < 3000; ++i) calls.push_back(gate.call<&Gate::pass>(key));
  // Plain calls are answered while the others wait.
  while (gate.call<&Gate::most>().get(60s) < 3000) {
  }
  test::leave(marks.name("open"));
  for (const auto& call : calls) EXPECT_EQ(call.get(60s), 7);
  EXPECT_EQ(gate.call<&Gate::most>().get(60s), 3000);
}

TEST_F(WorkerStreams, ACancelledCoroutineLeavesItsWait) {
  auto gate = rt.spawn<Gate>();
  auto key = rt.remote<opens>(marks.name("open"));
  auto call = gate.call<&Gate::pass>(key), other = gate.call<&Gate::pass>(key);
  while (gate.call<&Gate::most>().get(60s) < 2) {
  }
  rt.cancel(call);
  EXPECT_EQ(call.try_get(60s).error().code, ErrorCode::cancelled);
  test::leave(marks.name("open"));
  EXPECT_EQ(other.get(60s), 7);
}

// ---- threads and groups

struct Threaded {
  int in(const Marks::Name& mark, const Marks::Name& go) {
    test::leave(mark);
    test::await(go);
    return this_thread();
  }
  int this_thread() { return static_cast<int>(gettid()); }
};

TEST_F(WorkerStreams, SoManyCallsRunInThreads) {
  auto actor = rt.with({.max_concurrency = 4}).spawn<Threaded>();
  std::vector<Ref<int>> calls;
  for (int i = 0; i < 6; ++i) calls.push_back(actor.call<&Threaded::in>(marks.name("in"), marks.name("go")));
  test::await(marks.name("in"), 4);
  EXPECT_EQ(rt.wait(calls, 1, 50ms).ready.size(), 0u);
  EXPECT_EQ(test::count(marks.name("in")), 4u);
  test::leave(marks.name("go"));
  std::set<int> threads;
  for (const auto& call : calls) threads.insert(call.get(60s));
  EXPECT_GE(threads.size(), 2u);
  EXPECT_LE(threads.size(), 4u);
}

TEST_F(WorkerStreams, GroupsDoNotWaitForOneAnother) {
  auto actor = rt.with({.concurrency_groups = {{"io", 2}, {"health", 1}}}).spawn<Threaded>();
  auto io = actor.with({.group = "io"});
  std::vector<Ref<int>> calls;
  for (int i = 0; i < 5; ++i) calls.push_back(io.call<&Threaded::in>(marks.name("in"), marks.name("go")));
  test::await(marks.name("in"), 2);
  // The other groups are free, and so is the one of calls without a group.
  EXPECT_GT((actor.with({.group = "health"}).call<&Threaded::this_thread>().get(60s)), 0);
  EXPECT_GT(actor.call<&Threaded::this_thread>().get(60s), 0);
  EXPECT_EQ(test::count(marks.name("in")), 2u);
  // One that waits for its group can be cancelled.
  rt.cancel(calls.back());
  test::leave(marks.name("go"));
  for (int i = 0; i < 4; ++i) EXPECT_GT(calls[static_cast<std::size_t>(i)].get(60s), 0);
  EXPECT_EQ(calls[4].try_get(60s).error().code, ErrorCode::cancelled);
  const Error unknown = actor.with({.group = "oi"}).call<&Threaded::this_thread>().try_get(60s).error();
  EXPECT_EQ(unknown.code, ErrorCode::invalid);
  EXPECT_THAT(unknown.message, HasSubstr("no concurrency group"));
}

// ---- order, limits, exits

struct Log {
  std::vector<int> seen;
  int note(int what) {
    seen.push_back(what);
    return what;
  }
  std::vector<int> all() const { return seen; }
  int last_word(int what) {
    exit_actor();
    return what;
  }
  int incarnation() const { return this_task().incarnation; }
};

TEST_F(WorkerStreams, AnUnorderedActorDoesNotWaitForLateArguments) {
  auto late = rt.remote<opens>(marks.name("open"));
  auto ordered = rt.spawn<Log>(), unordered = rt.with({.unordered = true}).spawn<Log>();
  auto held = unordered.call<&Log::note>(late), next = unordered.call<&Log::note>(1);
  EXPECT_EQ(next.get(60s), 1);
  auto first = ordered.call<&Log::note>(late), second = ordered.call<&Log::note>(1);
  EXPECT_EQ(second.try_get(50ms).error().code, ErrorCode::timed_out);
  test::leave(marks.name("open"));
  EXPECT_EQ(held.get(60s), 7);
  EXPECT_EQ(second.get(60s), 1);
  EXPECT_EQ(unordered.call<&Log::all>().get(60s), (std::vector{1, 7}));
  EXPECT_EQ(ordered.call<&Log::all>().get(60s), (std::vector{7, 1}));
}

int call_too_often(Actor<Threaded> actor, const Marks::Name& in, const Marks::Name& go) {
  std::vector<Ref<int>> calls;
  int refused = 0;
  for (int i = 0; i < 5; ++i) {
    try {
      calls.push_back(actor.call<&Threaded::in>(in, go));
    } catch (const TaskError& e) {
      refused += e.code() == ErrorCode::too_many_calls;
    }
  }
  test::leave(go);
  for (const auto& call : calls) {
    const auto result = call.try_get();
    refused += !result && result.error().code == ErrorCode::too_many_calls;
  }
  return refused;
}

TEST_F(WorkerStreams, TooManyPendingCallsAreRefused) {
  auto actor = rt.with({.max_pending_calls = 3}).spawn<Threaded>();
  std::vector<Ref<int>> calls;
  for (int i = 0; i < 3; ++i) calls.push_back(actor.call<&Threaded::in>(marks.name("in"), marks.name("go")));
  try {
    actor.call<&Threaded::this_thread>();
    ADD_FAILURE() << "a fourth call is too many";
  } catch (const TaskError& e) {
    EXPECT_EQ(e.code(), ErrorCode::too_many_calls);
    EXPECT_THAT(e.error().message, HasSubstr("max_pending_calls"));
  }
  test::leave(marks.name("go"));
  for (const auto& call : calls) call.get(60s);
  EXPECT_GT(actor.call<&Threaded::this_thread>().get(60s), 0);
  // Handles elsewhere keep to it as well, also for calls made before they knew.
  EXPECT_EQ(rt.remote<call_too_often>(actor, marks.name("in"), marks.name("other")).get(60s), 2);
}

TEST_P(Streams, AnActorMayEndItself) {
  auto actor = rt.with({.max_restarts = 3}).spawn<Log>();
  EXPECT_EQ(actor.call<&Log::incarnation>().get(60s), 1);
  EXPECT_EQ(actor.call<&Log::last_word>(5).get(60s), 5);  // its result still arrives
  const Error error = actor.call<&Log::note>(1).try_get(60s).error();
  EXPECT_EQ(error.code, ErrorCode::actor_died);
  EXPECT_THAT(error.describe(), HasSubstr("exit_actor()"));
  try {
    exit_actor();
    ADD_FAILURE() << "this is no actor";
  } catch (const TaskError& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalid);
  }
}

TEST_F(WorkerStreams, CallsQueuedAtAnActorThatEndsItselfHaveNotRun) {
  auto actor = rt.spawn<Log>();
  auto last = actor.call<&Log::last_word>(5);
  std::vector<Ref<int>> late;
  for (int i = 0; i < 10; ++i) late.push_back(actor.call<&Log::note>(i));
  EXPECT_EQ(last.get(60s), 5);
  for (const auto& ref : late) {
    const Error error = ref.try_get(60s).error();
    EXPECT_EQ(error.code, ErrorCode::actor_died);
    EXPECT_EQ(error.attempt, 0);
  }
}

}  // namespace
}  // namespace mobula
