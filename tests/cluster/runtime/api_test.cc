// The behaviour of the API on real worker processes; what holds in-process too is run there as well.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <mobula/runtime.h>

namespace mobula {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class Api : public testing::TestWithParam<int> {
 protected:
  const Runtime rt = Runtime::start({.workers = GetParam()});
  bool in_process() const { return GetParam() == 0; }
};
INSTANTIATE_TEST_SUITE_P(Workers, Api, testing::Values(0, 1, 2),
                         [](const auto& given) { return "Workers" + std::to_string(given.param); });

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

int square(int x) {
  return x * x;
}
int add(int a, int b) {
  return a + b;
}
int pid() {
  return getpid();
}
int fib(int n) {
  if (n < 2) return n;
  const Runtime rt = Runtime::current();
  const Ref<int> a = rt.remote<fib>(n - 1), b = rt.remote<fib>(n - 2);
  return a.get() + b.get();
}
int fail(std::string why) {
  throw std::runtime_error(why);
}
int fail_two_hops(std::string why) {
  return Runtime::current().remote<fail>(why).get();
}
int sum(const std::vector<Ref<int>>& refs) {
  int total = 0;
  for (const Ref<int>& ref : refs) total += ref.get();
  return total;
}
std::vector<Ref<int>> squares(int n) {
  std::vector<Ref<int>> refs;
  for (int i = 0; i < n; ++i) refs.push_back(Runtime::current().remote<square>(i));
  return refs;
}
double sum_in_place(std::span<const double> values) {
  double total = 0;
  for (const double v : values) total += v;
  return total;
}
Array<double> ramp(int n) {
  ArrayBuilder<double> builder(n);
  for (int i = 0; i < n; ++i) builder[i] = i;
  return std::move(builder).finish();
}
double apply(Function<double(double)> f, double x) {
  return f(x);
}
double half(double x) {
  return x / 2;
}

// The line of /proc/self/maps that holds an address.
std::string mapping_of(const void* address) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::size_t end = 0;
    const auto from = std::stoull(line, &end, 16), to = std::stoull(line.substr(end + 1), nullptr, 16);
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    if (from <= at && at < to) return line;
  }
  return "no mapping";
}

struct Counter {
  int n = 0;
  int add(int by) { return n += by; }
  int read() const { return n; }
  int pid() { return getpid(); }
};
int add_through(const Actor<Counter>& counter, int by) {
  return counter.call<&Counter::add>(by).get();
}
Actor<Counter> make_counter(int from) {
  return Runtime::current().spawn<Counter>(from);
}

struct Holder {
  Actor<Counter> counter;
  Ref<int> kept;
  void hold(const std::vector<Ref<int>>& refs) { kept = refs.at(0); }
  int get() { return kept.get(); }
  int add(int by) { return counter.call<&Counter::add>(by).get(); }
};

TEST_P(Api, RunsTasksAndLambdas) {
  EXPECT_EQ(rt.remote<square>(3).get(), 9);
  EXPECT_EQ((rt.remote<[](std::string a, int n) { return a + std::to_string(n); }>("x", 3).get()), "x3");
  EXPECT_EQ(rt.remote<pid>().get() == getpid(), in_process());
}

TEST_P(Api, RunsChainsOfReferences) {
  Ref<int> ref = rt.put(1);
  for (int i = 0; i < 100; ++i) ref = rt.remote<add>(ref, ref.get() % 2 == 0 ? 1 : 2);
  EXPECT_GT(ref.get(), 100);
  EXPECT_EQ(rt.remote<add>(rt.remote<square>(3), rt.remote<square>(4)).get(), 25);
}

TEST_P(Api, NestedTasksGiveTheirCpuBack) {
  EXPECT_EQ(rt.remote<fib>(16).get(), 987);
}

TEST_P(Api, PassesReferencesInContainersBothWays) {
  std::vector<Ref<int>> refs;
  for (int i = 1; i <= 3; ++i) refs.push_back(rt.remote<square>(i));
  EXPECT_EQ(rt.remote<sum>(refs).get(), 14);
  EXPECT_EQ(rt.remote<sum>(rt.put(refs)).get(), 14);
  const std::vector<Ref<int>> returned = rt.remote<squares>(5).get();
  EXPECT_EQ(rt.remote<sum>(returned).get(), 30);
  EXPECT_EQ(returned.at(4).get(), 16);
}

TEST_P(Api, LargeArraysAreReadWhereTheyLie) {
  const Ref<Array<double>> ref = rt.remote<ramp>(200000);
  const Array<double> a = ref.get(), b = ref.get();
  EXPECT_EQ(a.data(), b.data()) << "both are views of one object";
  if (!in_process()) {
    EXPECT_THAT(mapping_of(a.data()), HasSubstr("memfd:")) << "the node's arena";
  }
  EXPECT_EQ(a[199999], 199999);
  EXPECT_EQ(rt.remote<sum_in_place>(ref).get(), 199999.0 * 200000 / 2);
  EXPECT_EQ(rt.remote<sum_in_place>(a).get(), 199999.0 * 200000 / 2) << "by value: through a copy";
  EXPECT_EQ(rt.remote<sum_in_place>(rt.put(std::vector<double>(50000, 2))).get(), 100000);
}

TEST_P(Api, LargeArgumentsAndResultsOfAnyTypeTravel) {
  using Text = std::vector<std::string>;
  const Text text(20000, std::string(20, 'x'));
  EXPECT_EQ((rt.remote<[](const Text& t) { return t; }>(text).get()), text);
  const std::string big(3 << 20, 'y');
  EXPECT_EQ((rt.remote<[](const std::string& a, int n, const std::string& b) { return a + std::to_string(n) + b; }>(
                   big, 7, big)
                 .get()),
            big + "7" + big);
}

TEST_P(Api, ManySmallValuesThatAreLargeTogetherTravel) {
  // Each travels in the message; together they do not fit one.
  const Ref<std::string> r = rt.put(std::string(60000, 'z'));
  const auto count = [](const std::string& a, const std::string& b, const std::string& c, const std::string& d,
                        const std::string& e, const std::string& f, const std::string& g, const std::string& h,
                        const std::string& i, const std::string& j) {
    return a.size() + b.size() + c.size() + d.size() + e.size() + f.size() + g.size() + h.size() + i.size() + j.size();
  };
  for (int n = 0; n < 3; ++n) EXPECT_EQ(rt.remote<count>(r, r, r, r, r, r, r, r, r, r).get(), 600000u);
}

TEST_P(Api, ResultsHoldManyReferences) {
  EXPECT_EQ(rt.remote<squares>(5000).get().at(4999).get(), 4999 * 4999);
  std::vector<Ref<int>> refs(10000, rt.put(1));
  EXPECT_EQ(rt.remote<sum>(refs).get(), 10000);
}

TEST_P(Api, AResultWithTooManyReferencesIsRefused) {
  const auto copies = [](int n) { return std::vector<Ref<int>>(n, Runtime::current().put(1)); };
  const auto result = rt.remote<copies>(100000).try_get();
  if (in_process()) {
    EXPECT_EQ(result->size(), 100000u);
  } else {
    EXPECT_THAT(result.error().message, HasSubstr("more than fit into one message"));
  }
}

TEST_P(Api, LongErrorsAreCut) {
  const Error error = failure_of([&] { rt.remote<fail>(std::string(1 << 20, 'e')).get(); });
  EXPECT_EQ(error.code, ErrorCode::exception);
  EXPECT_THAT(error.message.substr(0, 30), HasSubstr("std::runtime_error: eee"));
}

TEST_P(Api, PassesCodeAsAValue) {
  EXPECT_EQ(rt.remote<apply>(function<half>(), 3).get(), 1.5);
}

TEST_P(Api, RunsActorsInOrder) {
  const Actor<Counter> counter = rt.spawn<Counter>(5);
  std::vector<Ref<int>> refs;
  for (int i = 0; i < 200; ++i) refs.push_back(counter.call<&Counter::add>(1));
  for (int i = 0; i < 200; ++i) EXPECT_EQ(refs[i].get(), 6 + i);
  EXPECT_EQ(counter.call<&Counter::pid>().get() == getpid(), in_process());
}

TEST_P(Api, ActorHandlesTravelToTasksAndActors) {
  const Actor<Counter> counter = rt.spawn<Counter>();
  EXPECT_EQ(rt.remote<add_through>(counter, 2).get(), 2);
  const Actor<Holder> holder = rt.spawn<Holder>(counter);
  EXPECT_EQ(holder.call<&Holder::add>(3).get(), 5);
  EXPECT_EQ(counter.call<&Counter::read>().get(), 5);
}

TEST_P(Api, TasksSpawnActorsThatOutliveThem) {
  const Actor<Counter> counter = rt.remote<make_counter>(7).get();
  EXPECT_EQ(counter.call<&Counter::add>(1).get(), 8);
  EXPECT_EQ(rt.remote<add_through>(counter, 1).get(), 9);
}

TEST_P(Api, ActorsKeepReferencesBetweenCalls) {
  const Actor<Holder> holder = rt.spawn<Holder>(Actor<Counter>());
  {
    const std::vector<Ref<int>> refs{rt.remote<square>(6)};
    holder.call<&Holder::hold>(refs).get();
  }
  EXPECT_EQ(holder.call<&Holder::get>().get(), 36);
}

TEST_P(Api, ErrorsCarryTheirCausesAcrossTwoHops) {
  const Error error = failure_of([&] { rt.remote<fail_two_hops>("broken").get(); });
  EXPECT_EQ(error.code, ErrorCode::exception);
  EXPECT_THAT(error.task, HasSubstr("fail_two_hops"));
  EXPECT_EQ(error.pid == getpid(), in_process());
  EXPECT_EQ(error.attempt, 1);
  ASSERT_EQ(error.causes.size(), 1u);
  EXPECT_THAT(error.causes[0].task, HasSubstr("fail"));
  EXPECT_EQ(error.causes[0].message, "std::runtime_error: broken");
  EXPECT_THAT(TaskError(error).what(), HasSubstr("caused by: exception in"));
}

TEST_P(Api, ATaskWhoseArgumentFailedDoesNotRun) {
  const Result<int> result = rt.remote<square>(rt.remote<fail>("first")).try_get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::exception);
  EXPECT_THAT(result.error().describe(), HasSubstr("std::runtime_error: first"));
}

TEST_P(Api, AFailedConstructorFailsTheCalls) {
  struct Fragile {
    explicit Fragile(int x) {
      if (x < 0) throw std::invalid_argument("negative");
    }
    int one() { return 1; }
  };
  const Actor<Fragile> fragile = rt.spawn<Fragile>(-1);
  const Error error = failure_of([&] { fragile.call<&Fragile::one>().get(); });
  EXPECT_EQ(error.code, ErrorCode::actor_died);
  EXPECT_THAT(error.describe(), HasSubstr("std::invalid_argument: negative"));
}

TEST_P(Api, AKilledActorIsGone) {
  const Actor<Counter> counter = rt.spawn<Counter>();
  EXPECT_EQ(counter.call<&Counter::add>(1).get(), 1);
  rt.kill(counter);
  EXPECT_EQ(failure_of([&] { counter.call<&Counter::add>(1).get(); }).code, ErrorCode::actor_died);
}

TEST_P(Api, WaitsForSomeAndWalksInTheOrderOfCompletion) {
  std::vector<Ref<int>> refs;
  for (int i = 0; i < 20; ++i) refs.push_back(rt.remote<square>(i));
  const auto waited = rt.wait(refs, 5);
  EXPECT_GE(waited.ready.size(), 5u);
  EXPECT_EQ(waited.ready.size() + waited.pending.size(), 20u);
  int total = 0, seen = 0;
  for (const Ref<int>& ref : rt.as_completed(refs)) {
    total += ref.get();
    ++seen;
  }
  EXPECT_EQ(seen, 20);
  EXPECT_EQ(total, 2470);
}

TEST_P(Api, ManyTasksOverManyRounds) {
  const int rounds = 5, n = in_process() ? 2000 : 20000;
  for (int round = 0; round < rounds; ++round) {
    std::vector<Ref<int>> refs;
    refs.reserve(n);
    for (int i = 0; i < n; ++i) refs.push_back(rt.remote<add>(i, round));
    long total = 0;
    for (const Ref<int>& ref : refs) total += ref.get();
    EXPECT_EQ(total, static_cast<long>(n) * (n - 1) / 2 + static_cast<long>(n) * round);
  }
}

TEST_P(Api, SeveralThreadsSubmitAndWait) {
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) right += rt.remote<add>(t, i).get() == t + i;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 800);
}

TEST_P(Api, DroppedReferencesStillRunTheirTasks) {
  const Actor<Counter> counter = rt.spawn<Counter>();
  for (int i = 0; i < 50; ++i) rt.remote<add_through>(counter, 1);
  int n = 0;
  while (n < 50) n = counter.call<&Counter::read>().get();
  EXPECT_EQ(n, 50);
}

TEST_P(Api, AnArrayOutlivesItsRuntime) {
  Array<double> array;
  Ref<int> ref;
  {
    const Runtime other = Runtime::start({.workers = GetParam()});
    array = other.remote<ramp>(50000).get();
    ref = other.remote<square>(2);
    EXPECT_EQ(ref.get(), 4);
  }
  EXPECT_EQ(array[49999], 49999);
  EXPECT_EQ(ref.get(), 4) << "what was there stays";
}

}  // namespace
}  // namespace mobula
