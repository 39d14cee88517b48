// The in-process core, and what is the same for every core: the typed API.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <mobula/runtime.h>

namespace mobula {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Runtime start() {
  return Runtime::start({.workers = 0});
}

int square(int x) {
  return x * x;
}
int add(int a, int b) {
  return a + b;
}
int fib(int n) {
  if (n < 2) return n;
  const Runtime rt = Runtime::current();
  return add(rt.remote<fib>(n - 1).get(), rt.remote<fib>(n - 2).get());
}
void nothing() {}
int fail(std::string why) {
  throw std::runtime_error(why);
}
int fail_inside(std::string why) {
  return Runtime::current().remote<fail>(why).get();
}
int sum(const std::vector<Ref<int>>& refs) {
  int total = 0;
  for (const Ref<int>& ref : refs) total += ref.get();
  return total;
}
float sum_span(std::span<const float> values) {
  float total = 0;
  for (const float v : values) total += v;
  return total;
}
std::size_t length(std::string_view text) {
  return text.size();
}
Array<float> ramp(int n) {
  ArrayBuilder<float> builder(n);
  for (int i = 0; i < n; ++i) builder[i] = static_cast<float>(i);
  return std::move(builder).finish();
}
double apply(Function<double(double)> f, double x) {
  return f(x);
}
double half(double x) {
  return x / 2;
}

struct Counter {
  int n = 0;
  int add(int by) { return n += by; }
  int read() const noexcept { return n; }
  void fail() { throw std::logic_error("no"); }
  int call_back(Actor<Counter> self) { return self.call<&Counter::add>(1).get(); }
  int call_later(Actor<Counter> self) {
    self.call<&Counter::add>(100);
    return n;
  }
};
int add_through(const Actor<Counter>& counter, int by) {
  return counter.call<&Counter::add>(by).get();
}

struct Fragile {
  explicit Fragile(int x) {
    if (x < 0) throw std::invalid_argument("negative");
  }
  int one() { return 1; }
};

template <class F>
Error failure_of(F&& f) {
  try {
    f();
  } catch (const TaskError& e) {
    return e.error();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

TEST(InProcess, RunsTasks) {
  const Runtime rt = start();
  EXPECT_EQ(rt.remote<square>(3).get(), 9);
  EXPECT_EQ(rt.remote<[](int x) { return x + 1; }>(3).get(), 4);
  EXPECT_EQ(rt.remote<length>("four").get(), 4);
  rt.remote<nothing>().get();
  EXPECT_TRUE(rt.in_process());
}

TEST(InProcess, TakesReferencesWhereTheValueFits) {
  const Runtime rt = start();
  EXPECT_EQ(rt.remote<add>(rt.remote<square>(3), rt.put(4)).get(), 13);
}

TEST(InProcess, TakesReferencesInsideContainers) {
  const Runtime rt = start();
  std::vector<Ref<int>> refs;
  for (int i = 1; i <= 3; ++i) refs.push_back(rt.remote<square>(i));
  EXPECT_EQ(rt.remote<sum>(refs).get(), 14);
  EXPECT_EQ(rt.remote<sum>(rt.put(refs)).get(), 14);
}

TEST(InProcess, NestsTasks) {
  EXPECT_EQ(start().remote<fib>(10).get(), 55);
}

TEST(InProcess, KeepsLargeValuesAndReadsThemInPlace) {
  const Runtime rt = start();
  const Ref<Array<float>> ref = rt.remote<ramp>(100000);
  const Array<float> first = ref.get(), second = ref.get();
  EXPECT_EQ(first.data(), second.data());
  EXPECT_EQ(first[99999], 99999.f);
  EXPECT_EQ(rt.remote<sum_span>(std::vector<float>(50000, 2.f)).get(), 100000.f);
  EXPECT_EQ(rt.remote<sum_span>(rt.put(std::vector<float>(50000, 2.f))).get(), 100000.f);
}

TEST(InProcess, AnArrayOutlivesItsReferenceAndItsRuntime) {
  Array<float> array;
  {
    const Runtime rt = start();
    array = rt.remote<ramp>(50000).get();
  }
  EXPECT_EQ(array[49999], 49999.f);
}

TEST(InProcess, PassesCodeAsAValue) {
  EXPECT_EQ(start().remote<apply>(function<half>(), 3).get(), 1.5);
}

TEST(InProcess, RunsActors) {
  const Runtime rt = start();
  const Actor<Counter> counter = rt.spawn<Counter>(5);
  EXPECT_EQ(counter.call<&Counter::add>(2).get(), 7);
  EXPECT_EQ(counter.call<&Counter::add>(rt.put(3)).get(), 10);
  EXPECT_EQ(rt.remote<add_through>(counter, 1).get(), 11);
  EXPECT_EQ((counter.call<[](Counter& c, int factor) { return c.n * factor; }>(2).get()), 22);
  EXPECT_EQ(counter.call<&Counter::read>().get(), 11);
}

TEST(InProcess, AnActorThatWaitsForItselfIsToldSo) {
  const Runtime rt = start();
  const Actor<Counter> counter = rt.spawn<Counter>();
  const Error error = failure_of([&] { counter.call<&Counter::call_back>(counter).get(); });
  EXPECT_EQ(error.code, ErrorCode::exception);
  ASSERT_EQ(error.causes.size(), 1u);
  EXPECT_EQ(error.causes[0].code, ErrorCode::would_deadlock);
  EXPECT_EQ(counter.call<&Counter::read>().get(), 1) << "the queued call ran after the waiting one had failed";
}

TEST(InProcess, CallsOfABusyActorRunAfterwardsInOrder) {
  const Runtime rt = start();
  const Actor<Counter> counter = rt.spawn<Counter>();
  EXPECT_EQ(counter.call<&Counter::call_later>(counter).get(), 0);
  EXPECT_EQ(counter.call<&Counter::read>().get(), 100);
}

TEST(InProcess, AnExceptionBecomesAnErrorWithItsCauses) {
  const Runtime rt = start();
  const Error error = failure_of([&] { rt.remote<fail_inside>("broken").get(); });
  EXPECT_EQ(error.code, ErrorCode::exception);
  EXPECT_THAT(error.task, HasSubstr("fail_inside"));
  EXPECT_EQ(error.pid, getpid());
  ASSERT_EQ(error.causes.size(), 1u);
  EXPECT_EQ(error.causes[0].message, "std::runtime_error: broken");
  EXPECT_THAT(TaskError(error).what(), HasSubstr("caused by: exception in mobula::{anonymous}::fail"));
}

TEST(InProcess, ATaskWhoseArgumentFailedDoesNotRun) {
  const Runtime rt = start();
  const Result<int> result = rt.remote<square>(rt.remote<fail>("first")).try_get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::exception);
  EXPECT_EQ(result.error().attempt, 0);
  EXPECT_EQ(result.error().causes.at(0).message, "std::runtime_error: first");
}

TEST(InProcess, ExceptionsAreRetriedOnlyWhenAsked) {
  const Runtime rt = start();
  static int calls;
  const auto flaky = [] {
    if (++calls < 3) throw std::runtime_error("again");
    return calls;
  };
  calls = 0;
  EXPECT_FALSE(rt.remote<flaky>().try_get());
  EXPECT_EQ(calls, 1);
  calls = 0;
  EXPECT_EQ((rt.with({.max_retries = 5, .retry_exceptions = true}).remote<flaky>().get()), 3);
}

TEST(InProcess, AFailedConstructorFailsTheCalls) {
  const Runtime rt = start();
  const Actor<Fragile> fragile = rt.with({.name = "vase"}).spawn<Fragile>(-1);
  const Error error = failure_of([&] { fragile.call<&Fragile::one>().get(); });
  EXPECT_EQ(error.code, ErrorCode::actor_died);
  EXPECT_THAT(error.describe(), HasSubstr("std::invalid_argument: negative"));
  EXPECT_THAT(error.describe(), HasSubstr("vase"));
}

TEST(InProcess, AKilledActorIsGone) {
  const Runtime rt = start();
  const Actor<Counter> counter = rt.spawn<Counter>();
  EXPECT_EQ(counter.call<&Counter::add>(1).get(), 1);
  rt.kill(counter);
  EXPECT_EQ(failure_of([&] { counter.call<&Counter::add>(1).get(); }).code, ErrorCode::actor_died);
}

TEST(InProcess, ActorsEndWithTheirLastHandle) {
  static int alive;
  struct Counted {
    Counted() { ++alive; }
    ~Counted() { --alive; }
    void touch() {}
  };
  alive = 0;
  const Runtime rt = start();
  {
    const Actor<Counted> actor = rt.spawn<Counted>();
    const Ref<std::vector<Actor<Counted>>> stored = rt.put(std::vector{actor});
    actor.call<&Counted::touch>().get();
    EXPECT_EQ(alive, 1);
  }
  EXPECT_EQ(alive, 0);
}

TEST(InProcess, WaitsAndCompletes) {
  const Runtime rt = start();
  const std::vector<Ref<int>> refs{rt.remote<square>(1), rt.remote<square>(2)};
  const auto waited = rt.wait(refs, 1, std::chrono::milliseconds(1));
  EXPECT_EQ(waited.ready.size() + waited.pending.size(), 2u);
  std::vector<int> values;
  for (const Ref<int>& ref : rt.as_completed(refs)) values.push_back(ref.get());
  EXPECT_THAT(values, ElementsAre(1, 4));
  EXPECT_THAT(rt.get(refs), ElementsAre(1, 4));
}

TEST(InProcess, AHandleOutlivesItsRuntime) {
  Ref<int> ref;
  Actor<Counter> counter;
  {
    const Runtime rt = start();
    ref = rt.put(1);
    counter = rt.spawn<Counter>();
  }
  EXPECT_EQ(failure_of([&] { counter.call<&Counter::add>(1); }).code, ErrorCode::unavailable);
  EXPECT_EQ(ref.get(), 1) << "what was there stays";
}

TEST(InProcess, SeveralRuntimesDoNotMix) {
  const Runtime a = start(), b = start();
  EXPECT_EQ(a.remote<fib>(5).get() + b.remote<fib>(5).get(), 10) << "current() is the one that runs the task";
  EXPECT_EQ(failure_of([] { Runtime::current(); }).code, ErrorCode::invalid);
  const std::vector<Ref<int>> refs{a.put(1)};
  EXPECT_THAT(failure_of([&] { b.remote<sum>(refs); }).message, HasSubstr("of one runtime was passed to another"));
}

TEST(InProcess, EmptyHandlesAreRefused) {
  EXPECT_EQ(failure_of([] { Ref<int>().get(); }).code, ErrorCode::invalid);
  EXPECT_EQ(failure_of([] { Actor<Counter>().call<&Counter::read>(); }).code, ErrorCode::invalid);
}

TEST(InProcess, WrongOptionsAreRefusedBeforeAnythingStarts) {
  EXPECT_THAT(failure_of([] { Runtime::start({.workers = -1}); }).message, HasSubstr("workers = -1"));
}

}  // namespace
}  // namespace mobula
