// Queues, pools of actors, maps over ranges and signals, in worker processes and inside this one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <numeric>
#include <ranges>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <mobula/actor_pool.h>
#include <mobula/parallel.h>
#include <mobula/queue.h>
#include <mobula/runtime.h>
#include <mobula/signal.h>

#include "tests/support/marks.h"

namespace mobula {
namespace {

using namespace std::chrono_literals;
using test::Marks;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

template <class F>
ErrorCode code_of(F&& f) {
  try {
    f();
  } catch (const TaskError& e) {
    return e.code();
  }
  return ErrorCode::none;
}
template <class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const TaskError& e) {
    return e.what();
  }
  return "nothing was thrown";
}

class Collections : public testing::TestWithParam<int> {
 protected:
  const Marks marks;
  const Runtime rt = Runtime::start({.workers = GetParam()});
};
INSTANTIATE_TEST_SUITE_P(Of, Collections, testing::Values(2, 0), [](const auto& mode) {
  return mode.param == 0 ? std::string("InProcess") : std::string("Workers");
});
class WorkerCollections : public testing::Test {
 protected:
  const Marks marks;
  const Runtime rt = Runtime::start({.workers = 2});
};

// ---- Queue

TEST_P(Collections, AQueueIsFirstInFirstOut) {
  const Queue<std::string> queue(rt, 3);
  EXPECT_TRUE(queue.empty());
  queue.put("a");
  EXPECT_TRUE(queue.try_put("b"));
  EXPECT_TRUE(queue.put("c", 1s));
  EXPECT_TRUE(queue.full());
  EXPECT_EQ(queue.size(), 3u);
  EXPECT_EQ(queue.capacity(), 3u);
  EXPECT_FALSE(queue.try_put("d"));
  EXPECT_EQ(queue.get(), "a");
  EXPECT_EQ(queue.try_get(), "b");
  EXPECT_EQ(queue.get(1s), "c");
  EXPECT_EQ(queue.try_get(), std::nullopt);
  EXPECT_EQ(queue.get(1ms), std::nullopt);
}

TEST_P(Collections, BatchesGoInWholeOrNotAtAllAndComeOutSo) {
  const Queue<int> queue(rt, 4);
  EXPECT_TRUE(queue.try_put_batch({1, 2, 3}));
  EXPECT_FALSE(queue.try_put_batch({4, 5}));
  EXPECT_EQ(queue.size(), 3u);
  EXPECT_EQ(queue.put_batch({4, 5, 6}, 1ms), 1u);  // as many as there was room for
  EXPECT_EQ(queue.try_get_batch(5), std::nullopt);
  EXPECT_EQ(queue.size(), 4u);
  EXPECT_EQ(queue.try_get_batch(2), (std::vector{1, 2}));
  EXPECT_THAT(queue.get_batch(10), ElementsAre(3, 4));
  EXPECT_THAT(queue.get_batch(10, 1ms), ElementsAre());
}

TEST_P(Collections, AClosedQueueGivesWhatIsInItAndThenSaysSo) {
  const Queue<int> queue(rt);
  queue.put_batch({1, 2});
  queue.close();
  EXPECT_EQ(code_of([&] { queue.put(3); }), ErrorCode::unavailable);
  EXPECT_EQ(code_of([&] { queue.try_put_batch({3}); }), ErrorCode::unavailable);
  EXPECT_EQ(queue.get(), 1);
  EXPECT_EQ(queue.next(), 2);
  EXPECT_EQ(queue.next(), std::nullopt);
  EXPECT_THAT(message_of([&] { queue.get(); }), HasSubstr("taking an item: the queue was closed, and it is empty"));
  EXPECT_EQ(code_of([&] { queue.get(1s); }), ErrorCode::unavailable);
  EXPECT_THAT(queue.get_batch(3), ElementsAre());
}

int square(int x) {
  return x * x;
}
TEST_P(Collections, AQueueCarriesRefs) {
  const Queue<Ref<int>> queue(rt);
  for (int i = 0; i < 20; ++i) queue.put(rt.remote<square>(i));
  int sum = 0;
  for (int i = 0; i < 20; ++i) sum += queue.get().get();
  EXPECT_EQ(sum, 2470);
}

void produce(Queue<int> to, int from, int n) {
  for (int i = 0; i < n; ++i) to.put(from + i);
}
std::vector<int> consume(Queue<int> from) {
  std::vector<int> got;
  while (const std::optional<int> item = from.next()) got.push_back(*item);
  return got;
}

TEST_F(WorkerCollections, ProducersAndConsumersInWorkersShareEachItemOnce) {
  const Queue<int> queue(rt, 5);  // so that both sides wait for each other
  std::vector<Ref<std::vector<int>>> consumers;
  std::vector<Ref<void>> producers;
  for (int i = 0; i < 3; ++i) consumers.push_back(rt.remote<consume>(queue));
  for (int i = 0; i < 3; ++i) producers.push_back(rt.remote<produce>(queue, i * 1000, 200));
  for (const Ref<void>& producer : producers) producer.get(60s);
  queue.close();
  std::vector<int> all;
  for (const Ref<std::vector<int>>& consumer : consumers) {
    const std::vector<int> got = consumer.get(60s);
    // What one producer made comes in its order.
    for (int p = 0; p < 3; ++p) {
      std::vector<int> of_one;
      for (const int item : got) {
        if (item / 1000 == p) of_one.push_back(item);
      }
      EXPECT_TRUE(std::ranges::is_sorted(of_one));
    }
    all.insert(all.end(), got.begin(), got.end());
  }
  EXPECT_EQ(all.size(), 600u);
  EXPECT_EQ(std::set(all.begin(), all.end()).size(), 600u);
}

TEST_F(WorkerCollections, AWaitEndsWhenItsTimeHasPassed) {
  const Queue<int> queue(rt, 1);
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(queue.get(50ms), std::nullopt);
  EXPECT_GE(std::chrono::steady_clock::now() - began, 50ms);
  queue.put(1);
  EXPECT_FALSE(queue.put(2, 50ms));
  EXPECT_EQ(queue.get(), 1);
  EXPECT_EQ(queue.try_get(), std::nullopt);
}

TEST_F(WorkerCollections, ClosingEndsTheWaitsAndShuttingDownToo) {
  const Queue<int> queue(rt);
  std::jthread closer([&] {
    while (queue.size() != 0) {
    }
    queue.close();
  });
  EXPECT_EQ(queue.next(), std::nullopt);
  const Queue<int> other(rt);
  std::jthread ender([&] {
    other.size();
    other.shutdown();
  });
  EXPECT_EQ(code_of([&] { other.get(); }), ErrorCode::actor_died);
  EXPECT_EQ(code_of([&] { other.put(1); }), ErrorCode::actor_died);
}

int take_one_and_die(Queue<int> queue, Marks::Name here) {
  test::leave(here);
  return queue.get();
}

TEST_F(WorkerCollections, ATakerThatDiesWhileItWaitsTakesNothing) {
  const Queue<int> queue(rt);
  const auto mark = marks.name("waits");
  const Ref<int> taker = rt.with({.max_retries = 0}).remote<take_one_and_die>(queue, mark);
  test::await(mark);
  rt.cancel(taker, {.force = true});
  EXPECT_EQ(taker.try_get(30s).error().code, ErrorCode::cancelled);
  // Its call has to be gone before an item comes: the queue's actor learns of the death by itself.
  for (;;) {
    queue.put(7);
    if (queue.get(5s) == 7) break;
  }
  EXPECT_EQ(queue.size(), 0u);
}

struct Relay {  // a coroutine actor: thousands of waits in one thread
  Task<int> pass(Queue<int> from, Queue<int> to) {
    const std::optional<int> item = co_await from.await_next();
    co_await to.await_put(item.value() + 1);
    co_return *item;
  }
};
TEST_F(WorkerCollections, CoroutinesWaitForQueuesWithoutHoldingAnythingUp) {
  const Queue<int> in(rt), out(rt, 100);
  const auto relay = rt.spawn<Relay>();
  std::vector<Ref<int>> passed;
  for (int i = 0; i < 500; ++i) passed.push_back(relay.call<&Relay::pass>(in, out));
  for (int i = 0; i < 500; ++i) in.put(i);
  int sum = 0;
  for (int i = 0; i < 500; ++i) sum += out.get(30s).value();
  EXPECT_EQ(sum, 500 * 499 / 2 + 500);
}

TEST_F(WorkerCollections, AQueueIsFoundByItsName) {
  const Queue<int> queue(rt, 0, {.name = "jobs"});
  queue.put(5);
  EXPECT_EQ(Queue<int>::named(rt, "jobs").get(), 5);
  EXPECT_EQ(code_of([&] { Queue<float>::named(rt, "jobs"); }), ErrorCode::invalid);
}

TEST(QueueInProcess, AWaitThatCannotEndIsAnError) {
  const Runtime rt = Runtime::start({.workers = 0});
  const Queue<int> queue(rt, 1);
  EXPECT_EQ(code_of([&] { queue.get(); }), ErrorCode::would_deadlock);
  queue.put(1);
  EXPECT_EQ(code_of([&] { queue.put(2); }), ErrorCode::would_deadlock);
}

// ---- Signal

class Gate {
 public:
  Task<bool> pass(std::chrono::nanoseconds patience) {
    ++waiting_;
    while (!open_) {
      const bool in_time = co_await changed_.wait(patience);
      if (!in_time) co_return false;
    }
    co_return true;
  }
  Task<int> open() {
    open_ = true;
    changed_.notify_all();
    co_return waiting_;
  }
  Task<int> waiting() { co_return waiting_; }

 private:
  int waiting_ = 0;
  bool open_ = false;
  Signal changed_;
};
TEST_F(WorkerCollections, ASignalLetsManyCallsGoOn) {
  const auto gate = rt.spawn<Gate>();
  EXPECT_FALSE(gate.call<&Gate::pass>(1ms).get());
  std::vector<Ref<bool>> calls;
  for (int i = 0; i < 300; ++i) calls.push_back(gate.call<&Gate::pass>(1h));
  EXPECT_EQ(gate.call<&Gate::waiting>().get(), 301);
  rt.cancel(calls[7]);
  EXPECT_EQ(calls[7].try_get(30s).error().code, ErrorCode::cancelled);
  gate.call<&Gate::open>().get();
  for (int i = 0; i < 300; ++i) {
    if (i == 7) continue;
    EXPECT_TRUE(calls[i].get(30s));
  }
}

// ---- ActorPool

struct Doubler {
  explicit Doubler(int w = 2) : weight(w) {}
  int times(int x) { return weight * x; }
  int plus(int x) { return weight + x; }
  int fail_on_odd(int x) {
    if (x % 2 == 1) throw std::runtime_error("odd: " + std::to_string(x));
    return x;
  }
  int die_on(int x, int fatal) {
    if (x == fatal) raise(SIGKILL);
    return x;
  }
  int weight;
};

TEST_P(Collections, APoolMapsInOrder) {
  ActorPool<Doubler, int> pool({rt.spawn<Doubler>(), rt.spawn<Doubler>()});
  std::vector<int> got;
  for (const int x : pool.map<&Doubler::times>(std::views::iota(0, 100))) got.push_back(x);
  EXPECT_EQ(got.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(got[i], 2 * i);
  int sum = 0;
  for (const int x : pool.map_unordered<&Doubler::plus>(std::vector{1, 2, 3})) sum += x;
  EXPECT_EQ(sum, 12);
  EXPECT_FALSE(pool.has_next());
  for ([[maybe_unused]] const int x : pool.map<&Doubler::times>(std::vector<int>())) ADD_FAILURE();
}

TEST_P(Collections, APoolTakesWorkOneByOne) {
  ActorPool<Doubler, int> pool({rt.spawn<Doubler>(10)});
  EXPECT_TRUE(pool.has_free());
  EXPECT_FALSE(pool.has_next());
  pool.submit<&Doubler::times>(1);
  pool.submit<&Doubler::plus>(2);
  EXPECT_TRUE(pool.has_next());
  EXPECT_EQ(pool.get_next(), 10);
  EXPECT_EQ(pool.get_next_unordered(), 12);
  EXPECT_EQ(code_of([&] { pool.get_next(); }), ErrorCode::invalid);
  pool.push(rt.spawn<Doubler>(20));
  EXPECT_EQ(pool.size(), 2u);
  auto first = pool.pop_idle();
  auto second = pool.pop_idle();
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(pool.pop_idle());
  pool.submit<&Doubler::times>(4);  // waits for an actor
  pool.push(*second);
  EXPECT_EQ(pool.get_next(), second->call<&Doubler::times>(4).get());
}

TEST_P(Collections, AFailedCallOfAPoolThrowsAndThePoolGoesOn) {
  ActorPool<Doubler, int> pool({rt.spawn<Doubler>()});
  for (int i = 0; i < 3; ++i) pool.submit<&Doubler::fail_on_odd>(i);
  EXPECT_EQ(pool.get_next(), 0);
  EXPECT_THAT(message_of([&] { pool.get_next(); }), HasSubstr("odd: 1"));
  EXPECT_EQ(pool.get_next(), 2);
}

TEST_F(WorkerCollections, AnActorThatDiesLeavesThePool) {
  ActorPool<Doubler, int> pool({rt.spawn<Doubler>(), rt.spawn<Doubler>()});
  for (int i = 0; i < 10; ++i) pool.submit<&Doubler::die_on>(i, 4);
  int sum = 0, died = 0;
  while (pool.has_next()) {
    try {
      sum += pool.get_next(30s);
    } catch (const TaskError& e) {
      died += e.code() == ErrorCode::actor_died;
    }
  }
  EXPECT_EQ(died, 1);
  EXPECT_EQ(sum, 45 - 4);
  EXPECT_EQ(pool.size(), 1u);
  for (int i = 0; i < 3; ++i) pool.submit<&Doubler::die_on>(i, 0);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(code_of([&] { pool.get_next(30s); }), ErrorCode::actor_died);
}

// ---- parallel_map

double root(int x) {
  return std::sqrt(x);
}
std::string shout(const std::string& text, const std::string& sign, int times) {
  std::string out = text;
  for (int i = 0; i < times; ++i) out += sign;
  return out;
}
bool is_even(int x) {
  return x % 2 == 0;
}
int refuse_some(int x) {
  if (x == 703 || x == 900) throw std::invalid_argument("not " + std::to_string(x));
  return x;
}

TEST_P(Collections, AMapKeepsTheOrderOfTheItems) {
  for (const std::size_t batch : {0, 1, 7, 100'000}) {
    const auto roots = parallel_map<root>(rt, std::views::iota(0, 2000), {.batch = batch});
    ASSERT_EQ(roots.size(), 2000u);
    for (int i = 0; i < 2000; ++i) ASSERT_EQ(roots[i], std::sqrt(i));
  }
  EXPECT_TRUE(parallel_map<root>(rt, std::vector<int>()).empty());
  const std::vector<bool> even = parallel_map<is_even>(rt, std::vector{1, 2, 3});
  EXPECT_EQ(even, (std::vector{false, true, false}));
}

TEST_P(Collections, AMapTakesFurtherArgumentsAndRangesThatAreReadOnce) {
  std::istringstream words("one two three");
  const Ref<std::string> sign = rt.put(std::string("!"));
  const auto shouted = parallel_map<shout>(rt, std::ranges::istream_view<std::string>(words), {.batch = 2}, sign, 2);
  EXPECT_THAT(shouted, ElementsAre("one!!", "two!!", "three!!"));
}

TEST_P(Collections, AFailedMapNamesTheFirstElement) {
  for (const std::size_t batch : {0, 1, 64, 5000}) {
    const auto run = [&] { parallel_map<refuse_some>(rt, std::views::iota(0, 1000), {.batch = batch}); };
    EXPECT_EQ(code_of(run), ErrorCode::exception);
    EXPECT_THAT(message_of(run), AllOf(HasSubstr("element 703 failed"), HasSubstr("std::invalid_argument: not 703"),
                                       HasSubstr("refuse_some")));
  }
}

int die_at(int x, int fatal) {
  if (x == fatal) raise(SIGKILL);
  return x;
}
int die_once_at(int x, int fatal, Marks::Name mark) {
  if (x == fatal && test::count(mark) == 0) {
    test::leave(mark);
    raise(SIGKILL);
  }
  return x;
}
TEST_F(WorkerCollections, AMapOutlivesItsWorkers) {
  const auto got = parallel_map<die_once_at>(rt, std::views::iota(0, 500), {.batch = 50}, 321, marks.name("died"));
  EXPECT_EQ(got.size(), 500u);
  EXPECT_EQ(got[321], 321);
  const auto run = [&] {
    parallel_map<die_at>(rt, std::views::iota(0, 100), {.batch = 10, .task = {.max_retries = 0}}, 55);
  };
  EXPECT_EQ(code_of(run), ErrorCode::worker_died);
  EXPECT_THAT(message_of(run), HasSubstr("elements 50 to 59 of "));
}

void leave_mark(int, const std::string& mark) {
  test::leave(mark);
}
std::vector<int> sums(std::span<const int> batch) {
  return {std::accumulate(batch.begin(), batch.end(), 0), static_cast<int>(batch.size())};
}
std::vector<std::string> upper(std::vector<std::string> batch, char tail) {
  for (std::string& text : batch) text += tail;
  return batch;
}
TEST_P(Collections, BatchesAreMappedWholeToo) {
  const auto mark = marks.name("each");
  parallel_for_each<leave_mark>(rt, std::views::iota(0, 30), {}, mark);
  EXPECT_EQ(test::count(mark), 30u);
  EXPECT_THAT(map_batches<sums>(rt, std::views::iota(0, 10), {.batch = 4}), ElementsAre(6, 4, 22, 4, 17, 2));
  EXPECT_THAT(map_batches<upper>(rt, std::vector<std::string>{"a", "b"}, {}, 'x'), ElementsAre("ax", "bx"));
}

int sum_of_squares(int n) {
  const auto squares = parallel_map<square>(Runtime::current(), std::views::iota(0, n));
  return std::accumulate(squares.begin(), squares.end(), 0);
}
TEST_P(Collections, AMapMayRunInsideATask) {
  EXPECT_EQ(rt.remote<sum_of_squares>(100).get(), 328'350);
}

}  // namespace
}  // namespace mobula
