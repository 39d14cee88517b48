// What callers see when worker processes die, tasks are cancelled and waits end early.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <mobula/runtime.h>

namespace mobula {
namespace {

using namespace std::chrono_literals;
using testing::AnyOf;
using testing::HasSubstr;

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

// A folder in which processes leave traces for the test.
class Failures : public testing::Test {
 protected:
  Failures() {
    char name[] = "/tmp/mobula_failures_XXXXXX";
    folder_ = mkdtemp(name);
  }
  ~Failures() override { std::filesystem::remove_all(folder_); }
  std::string mark(const std::string& name) const { return folder_ + "/" + name; }
  std::string folder_;
  const Runtime rt = Runtime::start({.workers = 2});
};

// True for exactly one caller.
bool first_time(const std::string& mark) {
  const int fd = open(mark.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0600);
  if (fd >= 0) close(fd);
  return fd >= 0;
}
// Leaves one byte.
void trace(const std::string& mark) {
  const int fd = open(mark.c_str(), O_CREAT | O_APPEND | O_WRONLY, 0600);
  if (write(fd, "x", 1) != 1) std::abort();
  close(fd);
}
std::size_t traces(const std::string& mark) {
  std::error_code none;
  const auto size = std::filesystem::file_size(mark, none);
  return none ? 0 : size;
}

int die_once(std::string mark, int value) {
  trace(mark + ".runs");
  if (first_time(mark)) kill(getpid(), SIGKILL);
  return value;
}
int die_always() {
  kill(getpid(), SIGKILL);
  return 0;
}
int call_one_that_dies() {
  return Runtime::current().with({.max_retries = 0}).remote<die_always>().get();
}
int identity(int x) {
  return x;
}

[[gnu::noinline]] int read_through(volatile int* p) {
  return *p;
}
int crash_by_reading_null() {
  return read_through(nullptr) + 1;
}
int abort_with_a_word() {
  std::abort();
  return 0;
}
int throw_until(std::string mark, int times) {
  trace(mark);
  if (traces(mark) < static_cast<std::size_t>(times)) throw std::runtime_error("not yet");
  return static_cast<int>(traces(mark));
}
// Runs until it is told to stop, or for so long that the test has failed anyway.
int run_until_stopped(std::string started) {
  trace(started);
  const auto give_up = std::chrono::steady_clock::now() + 60s;
  while (!stop_token().stop_requested() && std::chrono::steady_clock::now() < give_up) {
  }
  return 1;
}
int run_on(std::string started) {
  trace(started);
  const auto give_up = std::chrono::steady_clock::now() + 60s;
  while (std::chrono::steady_clock::now() < give_up) {
  }
  return 1;
}
int wait_for_child(std::string started) {
  return Runtime::current().remote<run_until_stopped>(started).get();
}
void trace_and_end(std::string mark) {
  trace(mark);
}

bool appears(const std::string& mark) {
  const auto give_up = std::chrono::steady_clock::now() + 20s;
  while (traces(mark) == 0) {
    if (std::chrono::steady_clock::now() > give_up) return false;
  }
  return true;
}

struct Mortal {
  int n = 0;
  int add(int by) { return n += by; }
  int pid() { return getpid(); }
  int die_once(std::string mark) {
    if (first_time(mark)) kill(getpid(), SIGKILL);
    return ++n;
  }
  int die() {
    kill(getpid(), SIGKILL);
    return 0;
  }
  int crash() { return read_through(nullptr); }
};

TEST_F(Failures, AKilledWorkersTaskIsRetried) {
  EXPECT_EQ(rt.remote<die_once>(mark("a"), 7).get(), 7);
  EXPECT_EQ(traces(mark("a.runs")), 2u);
}

TEST_F(Failures, TasksQueuedBehindTheOneThatDiesRunAsWell) {
  std::vector<Ref<int>> refs;
  for (int i = 0; i < 200; ++i) {
    refs.push_back(i == 50 ? rt.remote<die_once>(mark("b"), i) : rt.remote<identity>(i));
  }
  for (int i = 0; i < 200; ++i) EXPECT_EQ(refs[i].get(), i);
}

TEST_F(Failures, WithoutRetriesLeftTheErrorNamesTheSignal) {
  const Error error = failure_of([&] { rt.with({.max_retries = 0}).remote<die_always>().get(); });
  EXPECT_EQ(error.code, ErrorCode::worker_died);
  EXPECT_EQ(error.signal, SIGKILL);
  EXPECT_THAT(error.task, HasSubstr("die_always"));
  EXPECT_NE(error.pid, 0);
  EXPECT_THAT(error.describe(), HasSubstr("SIGKILL"));
}

TEST_F(Failures, AllAttemptsAreInTheChain) {
  const Error error = failure_of([&] { rt.with({.max_retries = 2}).remote<die_always>().get(); });
  EXPECT_EQ(error.code, ErrorCode::worker_died);
  EXPECT_EQ(error.attempt, 3);
  EXPECT_EQ(error.causes.size(), 2u) << error.describe();
}

TEST_F(Failures, ADeathInANestedTaskIsTheCause) {
  const Error error = failure_of([&] { rt.remote<call_one_that_dies>().get(); });
  EXPECT_EQ(error.code, ErrorCode::exception);
  ASSERT_EQ(error.causes.size(), 1u);
  EXPECT_EQ(error.causes[0].code, ErrorCode::worker_died);
  EXPECT_EQ(error.causes[0].signal, SIGKILL);
}

TEST_F(Failures, ACrashLeavesABacktraceWithTheFunctionsName) {
  const Error error = failure_of([&] { rt.with({.max_retries = 0}).remote<crash_by_reading_null>().get(); });
  EXPECT_EQ(error.code, ErrorCode::worker_died);
  EXPECT_EQ(error.signal, SIGSEGV);
  EXPECT_THAT(error.backtrace, AnyOf(HasSubstr("read_through"), HasSubstr("crash_by_reading_null")));
  EXPECT_THAT(error.describe(), HasSubstr("SIGSEGV"));
  EXPECT_EQ(failure_of([&] { rt.with({.max_retries = 0}).remote<abort_with_a_word>().get(); }).signal, SIGABRT);
}

TEST_F(Failures, ExceptionsAreRetriedOnlyWhenAsked) {
  EXPECT_EQ(failure_of([&] { rt.remote<throw_until>(mark("c"), 2).get(); }).code, ErrorCode::exception);
  EXPECT_EQ(traces(mark("c")), 1u);
  EXPECT_EQ((rt.with({.max_retries = 5, .retry_exceptions = true}).remote<throw_until>(mark("d"), 3).get()), 3);
}

TEST_F(Failures, ACallInFlightAtAnActorsDeathFailsAndNamesTheSignal) {
  const Actor<Mortal> actor = rt.with({.max_restarts = 1}).spawn<Mortal>(10);
  EXPECT_EQ(actor.call<&Mortal::add>(1).get(), 11);
  const Error error = failure_of([&] { actor.call<&Mortal::die>().get(); });
  EXPECT_EQ(error.code, ErrorCode::actor_died);
  EXPECT_THAT(error.task, HasSubstr("Mortal::die"));
  EXPECT_THAT(error.describe(), HasSubstr("SIGKILL"));
  EXPECT_EQ(actor.call<&Mortal::add>(1).get(), 11) << "the new incarnation begins with the constructor";
  const Error last = failure_of([&] { actor.call<&Mortal::crash>().get(); });
  EXPECT_EQ(last.code, ErrorCode::actor_died);
  EXPECT_THAT(last.describe(), HasSubstr("read_through"));
  EXPECT_EQ(failure_of([&] { actor.call<&Mortal::add>(1).get(); }).code, ErrorCode::actor_died) << "no restart is left";
}

TEST_F(Failures, CallsMayBeRetriedWhenAsked) {
  const Actor<Mortal> actor = rt.with({.max_restarts = 1, .max_call_retries = 1}).spawn<Mortal>();
  EXPECT_EQ(actor.call<&Mortal::die_once>(mark("e")).get(), 1);
}

TEST_F(Failures, CallsQueuedWhileAnActorRestartsAreAnswered) {
  const Actor<Mortal> actor = rt.with({.max_restarts = 3}).spawn<Mortal>();
  const Ref<int> lost = actor.call<&Mortal::die>();
  EXPECT_FALSE(lost.try_get());
  std::vector<Ref<int>> refs;
  for (int i = 0; i < 20; ++i) refs.push_back(actor.call<&Mortal::add>(1));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(refs[i].get(), i + 1);
}

TEST_F(Failures, AnActorKilledFromOutsideRestarts) {
  const Actor<Mortal> actor = rt.with({.max_restarts = 1}).spawn<Mortal>();
  const int pid = actor.call<&Mortal::pid>().get();
  kill(pid, SIGKILL);
  // The death and this call race: at most one call may be lost.
  Result<int> now = actor.call<&Mortal::pid>().try_get();
  if (!now) now = actor.call<&Mortal::pid>().try_get();
  EXPECT_NE(now.value(), pid);
}

TEST_F(Failures, AQueuedTaskThatIsCancelledNeverRuns) {
  const Runtime one = Runtime::start({.workers = 1});
  const Ref<int> busy = one.remote<run_until_stopped>(mark("f"));
  ASSERT_TRUE(appears(mark("f")));
  const Ref<void> queued = one.remote<trace_and_end>(mark("g"));
  one.cancel(queued);
  EXPECT_EQ(queued.try_get().error().code, ErrorCode::cancelled);
  one.cancel(busy);
  EXPECT_EQ(busy.try_get().error().code, ErrorCode::cancelled);
  EXPECT_EQ(one.remote<identity>(1).get(), 1);
  EXPECT_EQ(traces(mark("g")), 0u);
}

TEST_F(Failures, CancellingWithForceKillsTheRunningTask) {
  const Ref<int> busy = rt.remote<run_on>(mark("h"));
  ASSERT_TRUE(appears(mark("h")));
  rt.cancel(busy, {.force = true});
  EXPECT_EQ(busy.try_get().error().code, ErrorCode::cancelled);
  EXPECT_EQ(traces(mark("h")), 1u) << "it is not retried";
}

TEST_F(Failures, CancellingATaskReachesItsChildren) {
  const Ref<int> parent = rt.remote<wait_for_child>(mark("i"));
  ASSERT_TRUE(appears(mark("i")));
  rt.cancel(parent);
  EXPECT_EQ(parent.try_get().error().code, ErrorCode::cancelled);
  EXPECT_EQ(rt.remote<identity>(1).get(), 1);
}

TEST_F(Failures, WaitsEndWhenTheirTimeHasPassed) {
  const Ref<int> busy = rt.remote<run_until_stopped>(mark("j"));
  EXPECT_EQ(failure_of([&] { busy.get(20ms); }).code, ErrorCode::timed_out);
  const Ref<int> quick = rt.remote<identity>(1);
  EXPECT_EQ(quick.get(), 1);
  const auto waited = rt.wait(std::vector{busy, quick}, 2, 20ms);
  EXPECT_EQ(waited.ready.size(), 1u);
  EXPECT_EQ(waited.pending.size(), 1u);
  rt.cancel(busy);
  EXPECT_EQ(busy.try_get().error().code, ErrorCode::cancelled);
}

TEST_F(Failures, WhatNoNodeCanSatisfyIsAnError) {
  const Error error = failure_of([&] { rt.with({.resources = {.cpu = 1000}}).remote<identity>(1).get(); });
  EXPECT_EQ(error.code, ErrorCode::infeasible);
  EXPECT_THAT(error.describe(), HasSubstr("1000"));
}

TEST_F(Failures, EndingTheRuntimeEndsRunningTasksAndFreesWaiters) {
  Ref<int> running;
  {
    const Runtime other = Runtime::start({.workers = 1});
    running = other.remote<run_on>(mark("k"));
    ASSERT_TRUE(appears(mark("k")));
  }
  EXPECT_EQ(running.try_get().error().code, ErrorCode::unavailable);
}

// Whatever dies, and when: each task ends in its result, each round of an actor is answered or says why not.
TEST_F(Failures, WorkersThatAreKilledAllTheTimeLoseNothing) {
  const Runtime three = Runtime::start({.workers = 3});
  const Actor<Mortal> actor = three.with({.max_restarts = -1, .max_call_retries = -1}).spawn<Mortal>();
  const auto forever = three.with({.max_retries = -1});
  for (int round = 0; round < 20; ++round) {
    std::vector<Ref<int>> refs;
    std::vector<Ref<int>> calls;
    for (int i = 0; i < 300; ++i) {
      refs.push_back(i % 100 == 50 ? forever.remote<die_once>(mark("l" + std::to_string(round * 300 + i)), i)
                                   : forever.remote<identity>(i));
      if (i % 60 == 0) calls.push_back(actor.call<&Mortal::die_once>(mark("m" + std::to_string(round * 300 + i))));
    }
    for (int i = 0; i < 300; ++i) EXPECT_EQ(refs[i].get(), i);
    for (const Ref<int>& call : calls) EXPECT_GT(call.get(), 0);
  }
}

// 1 where the runtime of the parent refuses to work in a child.
int refusals_in_a_child() {
  const pid_t child = fork();
  if (child == 0) {
    int refused = 0;
    try {
      Runtime::current().remote<identity>(7).get();
    } catch (const TaskError& e) {
      refused = e.error().message.find("was forked from") != std::string::npos;
    }
    _exit(refused);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
// Its child comes back from it too.
int return_twice(int n) {
  const pid_t child = fork();
  if (child == 0) return -n;
  waitpid(child, nullptr, 0);
  return n;
}

// A child wrote into its parent's lanes: the next call of the parent found them broken, and another waited for ever.
TEST_F(Failures, AChildOfATaskLeavesTheRuntimeToItsParent) {
  EXPECT_EQ(rt.remote<refusals_in_a_child>().get(), 1);
  EXPECT_EQ(rt.remote<return_twice>(5).get(), 5);
  EXPECT_EQ(rt.remote<identity>(3).get(), 3);
}

TEST(Forked, AChildOfTheDriverEndsItsCopyOfTheRuntimeAtOnce) {
  auto rt = std::make_unique<Runtime>(Runtime::start({.workers = 1}));
  const Ref<int> ready = rt->remote<identity>(3);
  const pid_t child = fork();
  if (child == 0) {
    const bool refused = ready.try_get().error().message.find("was forked from") != std::string::npos;
    rt.reset();
    _exit(refused ? 4 : 5);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 4);
  EXPECT_EQ(ready.get(), 3);
}

TEST(Start, RefusesWrongOptionsBeforeAnythingStarts) {
  EXPECT_THAT(failure_of([] { Runtime::start({.workers = -1}); }).message, HasSubstr("workers = -1"));
  EXPECT_THAT(failure_of([] { Runtime::start({.log_level = "loud"}); }).message, HasSubstr("\"loud\""));
}

}  // namespace
}  // namespace mobula
