// What calls can ask for: names, resources, several results, retries chosen by the error, recycled workers, ways of
// cancelling, and actors that run several calls.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <mobula/runtime.h>

#include "tests/support/marks.h"

namespace mobula {
namespace {

using namespace std::chrono_literals;
using test::Marks;
using testing::HasSubstr;

// In worker processes, and inside this one.
class Calls : public testing::TestWithParam<int> {
 protected:
  const Marks marks;
  const Runtime rt = Runtime::start({.workers = GetParam(), .gpus = 1, .resources = {{"licence", 2}}});
};
INSTANTIATE_TEST_SUITE_P(Of, Calls, testing::Values(2, 0), [](const auto& mode) {
  return mode.param == 0 ? std::string("InProcess") : std::string("Workers");
});
class WorkerCalls : public testing::Test {
 protected:
  const Marks marks;
  const Runtime rt = Runtime::start({.workers = 2, .gpus = 1, .memory = 1 << 30, .resources = {{"licence", 2}}});
};

// ---- names, metadata, what can be called

std::string who_am_i() {
  const TaskInfo info = this_task();
  std::string text = info.name + " " + std::to_string(info.attempt);
  for (const auto& [key, value] : info.metadata) text += " " + key + "=" + value;
  return text;
}
int fails_with_name() {
  throw std::runtime_error("no");
}

TEST_P(Calls, NamesAndMetadataReachTheTaskAndItsErrors) {
  EXPECT_EQ((rt.with({.name = "probe", .metadata = {{"run", "7"}}}).remote<who_am_i>().get()), "probe 1 run=7");
  EXPECT_EQ(rt.with({.name = "probe"}).remote<fails_with_name>().try_get().error().task, "probe");
  EXPECT_EQ(this_task().attempt, 0);
}

template <class T, int Times>
T times(T x) {
  return x * Times;
}
struct Add {
  int operator()(int a, int b) const { return a + b; }
};

TEST_P(Calls, TemplatesAndFunctionObjectsAreTasksToo) {
  EXPECT_EQ((rt.remote<times<int, 3>>(5).get()), 15);
  EXPECT_EQ((rt.remote<times<double, 2>>(1.5).get()), 3.0);
  EXPECT_EQ((rt.remote<Add{}>(1, 2).get()), 3);
}

// ---- resources

double hold(const Marks::Name& mark, const Marks::Name& go) {
  test::leave(mark);
  test::await(go);
  return 1;
}

TEST_F(WorkerCalls, AQuarterOfAGpuIsSharedByFour) {
  std::vector<Ref<double>> refs;
  auto quarter = rt.with({.resources = {.cpu = 0, .gpu = 0.25}});
  for (int i = 0; i < 5; ++i) refs.push_back(quarter.remote<hold>(marks.name("in"), marks.name("go")));
  test::await(marks.name("in"), 4);
  // The fifth has no room, whatever else runs.
  EXPECT_EQ((rt.wait(refs, 5, 50ms).ready.size()), 0u);
  EXPECT_EQ(test::count(marks.name("in")), 4u);
  test::leave(marks.name("go"));
  for (const auto& ref : refs) EXPECT_EQ(ref.get(30s), 1);
}

TEST_F(WorkerCalls, WhatCanNeverFitIsRefusedAtOnceAndSaysWhatIsMissing) {
  const Error gpu = rt.with({.resources = {.gpu = 2}}).remote<who_am_i>().try_get(30s).error();
  EXPECT_EQ(gpu.code, ErrorCode::infeasible);
  EXPECT_THAT(gpu.describe(), HasSubstr("gpu 1 more is missing"));
  const Error memory = rt.with({.resources = {.memory = 4ull << 30}}).remote<who_am_i>().try_get(30s).error();
  EXPECT_THAT(memory.describe(), HasSubstr("memory 3 GiB more is missing"));
  const auto refused = [&](ResourceRequest request) {
    try {
      rt.with({.resources = std::move(request)}).remote<who_am_i>();
    } catch (const TaskError& e) {
      return e.error().message;
    }
    return std::string("not refused");
  };
  EXPECT_THAT(refused({.gpu = 0.00001}), HasSubstr("counted down to 0.0001"));
  EXPECT_THAT(refused({.cpu = -1}), HasSubstr("zero or more"));
  EXPECT_THAT(refused({.gpu = 1, .custom = {{"gpu", 1}}}), HasSubstr("twice"));
}

// ---- several results

std::tuple<int, std::string, std::vector<double>> several(int n) {
  return {n, "text", std::vector<double>(20'000, n)};
}
std::tuple<Ref<int>, int> with_a_ref(int n) {
  auto inner = Runtime::current();
  return {inner.remote<times<int, 2>>(n), n};
}
std::tuple<int, int> several_fail() {
  throw std::runtime_error("neither");
}

TEST_P(Calls, ATupleComesAsSeveralRefs) {
  auto [number, text, many] = rt.remote<several>(7);
  static_assert(std::is_same_v<decltype(many), Ref<std::vector<double>>>);
  EXPECT_EQ((rt.remote<times<int, 3>>(number).get()), 21);  // passed on by itself
  EXPECT_EQ(text.get(), "text");
  EXPECT_EQ(many.get(), std::vector<double>(20'000, 7));
  auto [inner, outer] = rt.remote<with_a_ref>(4);
  EXPECT_EQ(outer.get(), 4);
  outer = {};
  EXPECT_EQ(inner.get().get(), 8);
  auto [a, b] = rt.remote<several_fail>();
  EXPECT_EQ(a.try_get().error().code, ErrorCode::exception);
  EXPECT_EQ(b.try_get().error().code, ErrorCode::exception);
}

// ---- retries

struct Busy : std::runtime_error {
  using std::runtime_error::runtime_error;
};
bool is_busy(const Error& error) {
  return error.message.find("Busy") != std::string::npos;
}
int busy_until(const Marks::Name& mark, int times, bool other) {
  test::leave(mark);
  if (static_cast<int>(test::count(mark)) < times) {
    if (other) throw std::runtime_error("broken for good");
    throw Busy("come back");
  }
  return static_cast<int>(test::count(mark));
}

TEST_P(Calls, OnlyChosenErrorsAreTriedAgain) {
  auto patient = rt.with({.max_retries = -1, .retry_if = function<is_busy>(), .backoff = {.first = 1ms, .most = 5ms}});
  EXPECT_EQ((patient.remote<busy_until>(marks.name("a"), 6, false).get(60s)), 6);
  EXPECT_THAT((patient.remote<busy_until>(marks.name("b"), 6, true).try_get(60s).error().message),
              HasSubstr("broken for good"));
  EXPECT_EQ(test::count(marks.name("b")), 1u);
}

struct Flaky {
  int calls = 0;
  int run(int times) {
    if (++calls < times) throw Busy("not yet");
    return calls;
  }
};

TEST_P(Calls, CallsOfActorsAreTriedAgainInTheSameObject) {
  auto flaky = rt.with({.max_call_retries = 5}).spawn<Flaky>();
  EXPECT_EQ((flaky.with({.retry_if = function<is_busy>()}).call<&Flaky::run>(4).get(60s)), 4);
  EXPECT_EQ(flaky.call<&Flaky::run>(99).try_get(60s).error().code, ErrorCode::exception);
}

// ---- recycling

int my_pid() {
  return getpid();
}
int grow(std::size_t bytes) {
  auto* leak = new char[bytes];
  for (std::size_t i = 0; i < bytes; i += 1024) leak[i] = 1;
  asm volatile("" : : "r"(leak) : "memory");
  return getpid();
}

TEST_F(WorkerCalls, AWorkerEndsAfterSoManyCalls) {
  std::map<int, int> calls;
  auto thrice = rt.with({.max_retries = 0, .max_calls = 3});
  for (int i = 0; i < 12; ++i) ++calls[thrice.remote<my_pid>().get(60s)];
  std::vector<Ref<int>> many;
  for (int i = 0; i < 40; ++i) many.push_back(thrice.remote<my_pid>());
  for (const auto& ref : many) ++calls[ref.get(60s)];
  EXPECT_GE(calls.size(), 52u / 3);
  for (const auto& [pid, count] : calls) EXPECT_LE(count, 3) << pid;
}

TEST_F(WorkerCalls, AWorkerThatHasGrownIsReplaced) {
  auto limited = rt.with({.max_retries = 0, .max_worker_memory = 64 << 20});
  const int first = limited.remote<grow>(std::size_t{100 << 20}).get(60s);
  for (int i = 0; i < 10; ++i) EXPECT_NE(rt.remote<my_pid>().get(60s), first);
}

// ---- cancelling

int deaf(const Marks::Name& mark) {
  test::leave(mark);
  for (;;) pause();
}
int listens(const Marks::Name& mark) {
  test::leave(mark);
  const auto stop = stop_token();
  while (!stop.stop_requested()) std::this_thread::yield();
  test::leave(mark);
  return 0;
}
int parent_of(const Marks::Name& parent, const Marks::Name& child) {
  auto inner = Runtime::current();
  auto ref = inner.remote<listens>(child);
  test::leave(parent);
  const auto stop = stop_token();
  while (!stop.stop_requested()) std::this_thread::yield();
  ref.get();
  return 0;
}

TEST_F(WorkerCalls, CancellingAsksAndKillsAfterAGrace) {
  auto polite = rt.remote<listens>(marks.name("polite"));
  auto rude = rt.remote<deaf>(marks.name("rude"));
  test::await(marks.name("polite"));
  test::await(marks.name("rude"));
  rt.cancel(polite, {.grace = 60s});
  rt.cancel(rude, {.grace = 20ms});
  EXPECT_EQ(polite.try_get(60s).error().code, ErrorCode::cancelled);
  EXPECT_EQ(test::count(marks.name("polite")), 2u);  // it ended by itself
  const Error error = rude.try_get(60s).error();
  EXPECT_EQ(error.code, ErrorCode::cancelled);
  ASSERT_FALSE(error.causes.empty());
  EXPECT_EQ(error.causes[0].signal, SIGKILL);
}

TEST_F(WorkerCalls, ChildrenAreLeftAloneWhenAsked) {
  auto ref = rt.remote<parent_of>(marks.name("parent"), marks.name("child"));
  test::await(marks.name("parent"));
  test::await(marks.name("child"));
  rt.cancel(ref, {.recursive = false});
  EXPECT_EQ(ref.try_get(300ms).error().code, ErrorCode::timed_out);  // it waits for its child, which runs on
  EXPECT_EQ(test::count(marks.name("child")), 1u);
  rt.cancel(ref, {.force = true});
  EXPECT_EQ(ref.try_get(60s).error().code, ErrorCode::cancelled);
}

// ---- time-outs

int slow(const Marks::Name& go) {
  test::await(go);
  return 1;
}

TEST_F(WorkerCalls, EveryWaitTakesATimeout) {
  std::vector<Ref<int>> refs{rt.remote<my_pid>(), rt.remote<slow>(marks.name("go"))};
  EXPECT_THROW(rt.get(refs, 50ms), TaskError);
  int seen = 0;
  try {
    for (Ref<int> ref : rt.as_completed(refs, 2s)) seen += ref.get() > 0;
    ADD_FAILURE() << "the second one cannot be there";
  } catch (const TaskError& e) {
    EXPECT_EQ(e.code(), ErrorCode::timed_out);
    EXPECT_THAT(e.error().message, HasSubstr("1 values"));
  }
  EXPECT_EQ(seen, 1);
  test::leave(marks.name("go"));
  EXPECT_EQ(rt.get(refs, 60s).size(), 2u);
}

}  // namespace
}  // namespace mobula
