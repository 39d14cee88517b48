// Prepared graphs: what they compute, in worker processes and inside this one, and how they end.
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
#include <tuple>
#include <vector>

#include <mobula/graph.h>
#include <mobula/runtime.h>

#include "tests/support/marks.h"

namespace mobula {
namespace {

using namespace std::chrono_literals;
using test::Marks;
using testing::AllOf;
using testing::HasSubstr;

struct Stage {
  explicit Stage(double by = 1) : factor(by) {}
  double times(double x) { return factor * x; }
  double sum(double a, double b) { return a + b; }
  std::tuple<double, double> pair(double x) { return {x, factor * x}; }
  double total(std::span<const double> values) { return std::accumulate(values.begin(), values.end(), factor); }
  std::vector<double> repeat(double x, int n) { return std::vector<double>(static_cast<std::size_t>(n), x); }
  std::string text(const std::string& a, std::string b) { return a + b; }
  double refuse(double x) {
    if (x < 0) throw std::invalid_argument("a negative number");
    return x;
  }
  double die_at(double x, double fatal) {
    if (x == fatal) raise(SIGKILL);
    return x;
  }
  void note(double x) { noted.push_back(x); }
  std::vector<double> notes() { return noted; }
  double wait_for(double x, const std::string& mark) {
    test::await(mark);
    return x;
  }
  int pid() { return getpid(); }
  double factor;
  std::vector<double> noted;
};

class Graphs : public testing::TestWithParam<int> {
 protected:
  const Marks marks;
  const Runtime rt = Runtime::start({.workers = GetParam()});
};
INSTANTIATE_TEST_SUITE_P(Of, Graphs, testing::Values(2, 0), [](const auto& mode) {
  return mode.param == 0 ? std::string("InProcess") : std::string("Workers");
});
class WorkerGraphs : public testing::Test {
 protected:
  const Marks marks;
  const Runtime rt = Runtime::start({.workers = 2});
};

TEST_P(Graphs, AChainOfTwoActors) {
  const auto first = rt.spawn<Stage>(2.0), second = rt.spawn<Stage>(3.0);
  Graph<double(double)> graph(rt, [&](GraphBuilder& build, Node<double> x) {
    return build.call<&Stage::times>(second, build.call<&Stage::times>(first, x));
  });
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(graph.execute(i).get(), 6.0 * i);
}

TEST_P(Graphs, ValuesBranchAndMeetAndStayWithinAnActor) {
  const auto a = rt.spawn<Stage>(2.0), b = rt.spawn<Stage>(3.0);
  Graph<double(double, double)> graph(rt, [&](GraphBuilder& build, Node<double> x, Node<double> y) {
    const auto doubled = build.call<&Stage::times>(a, x);            // to b, and to a itself
    const auto tripled = build.call<&Stage::times>(b, doubled);      // 6 x
    const auto both = build.call<&Stage::sum>(a, doubled, tripled);  // 8 x
    return build.call<&Stage::sum>(b, both, build.call<&Stage::sum>(a, y, 0.5));
  });
  for (int i = 0; i < 100; ++i) ASSERT_EQ(graph.execute(i, 10).get(), 8.0 * i + 10.5);
}

TEST_P(Graphs, SeveralResultsOfValuesThatFanOut) {
  const auto a = rt.spawn<Stage>(2.0), b = rt.spawn<Stage>(3.0), c = rt.spawn<Stage>(5.0);
  using Three = std::tuple<double, std::vector<double>, double>;
  Graph<Three(double)> graph(rt, [&](GraphBuilder& build, Node<double> x) {
    const auto doubled = build.call<&Stage::times>(a, x);  // to all three
    const auto tripled = build.call<&Stage::times>(b, doubled);
    const auto list = build.call<&Stage::repeat>(c, doubled, 2);
    const auto sum = build.call<&Stage::sum>(a, tripled, build.call<&Stage::total>(b, list));
    return std::tuple{doubled, list, sum};
  });
  std::vector<GraphResult<Three>> results;
  for (int i = 0; i < 50; ++i) results.push_back(graph.execute(i));
  for (int i = 49; i >= 0; --i) {
    EXPECT_EQ(results[static_cast<std::size_t>(i)].get(),
              (Three{2.0 * i, {2.0 * i, 2.0 * i}, 6.0 * i + 3.0 + 4.0 * i}));
  }
  // A node twice, and an error of one of them.
  const auto d = rt.spawn<Stage>(), e = rt.spawn<Stage>();
  Graph<std::tuple<double, double, double>(double)> twice(rt, [&](GraphBuilder& build, Node<double> x) {
    const auto same = build.call<&Stage::times>(d, x), refused = build.call<&Stage::refuse>(e, x);
    return std::tuple{same, refused, same};
  });
  EXPECT_EQ(twice.execute(4).get(), (std::tuple{4.0, 4.0, 4.0}));
  EXPECT_THAT(twice.execute(-4).try_get().error().describe(), HasSubstr("a negative number"));
  EXPECT_EQ(twice.execute(5).get(), (std::tuple{5.0, 5.0, 5.0}));
  // A tuple that one method returns is one value.
  const auto f = rt.spawn<Stage>(2.0);
  Graph<std::tuple<double, double>(double)> pairs(
      rt, [&](GraphBuilder& build, Node<double> x) { return build.call<&Stage::pair>(f, x); });
  EXPECT_EQ(pairs.execute(3).get(), (std::tuple{3.0, 6.0}));
}

TEST_P(Graphs, ValuesOfManyKinds) {
  const auto a = rt.spawn<Stage>(0.0), b = rt.spawn<Stage>(0.0);
  Graph<double(double, int)> sums(rt, [&](GraphBuilder& build, Node<double> x, Node<int> n) {
    return build.call<&Stage::total>(b, build.call<&Stage::repeat>(a, x, n));
  });
  for (const int n : {0, 1, 100, 8000}) EXPECT_EQ(sums.execute(0.5, n).get(), 0.5 * n);
  const auto c = rt.spawn<Stage>(0.0), d = rt.spawn<Stage>(0.0);
  Graph<std::string(std::string)> texts(rt, [&](GraphBuilder& build, Node<std::string> x) {
    return build.call<&Stage::text>(d, build.call<&Stage::text>(c, x, std::string(" a")), std::string(" b"));
  });
  EXPECT_EQ(texts.execute("an input that is too long to be kept in place").get(),
            "an input that is too long to be kept in place a b");
}

TEST_P(Graphs, NodesThatOnlyAct) {
  const auto a = rt.spawn<Stage>(2.0), b = rt.spawn<Stage>();
  {
    Graph<double(double)> graph(rt, [&](GraphBuilder& build, Node<double> x) {
      const auto twice = build.call<&Stage::times>(a, x);
      build.call<&Stage::note>(b, twice);
      return twice;
    });
    for (int i = 0; i < 50; ++i) EXPECT_EQ(graph.execute(i).get(), 2.0 * i);
    Graph<void(double)> notes(
        rt, [&](GraphBuilder& build, Node<double> x) { return build.call<&Stage::note>(rt.spawn<Stage>(), x); });
    notes.execute(1).get();
  }
  // After the graph the actor serves calls again. It may have ended before it noted the last ones.
  const std::vector<double> noted = b.call<&Stage::notes>().get(30s);
  for (std::size_t i = 0; i < noted.size(); ++i) EXPECT_EQ(noted[i], 2.0 * static_cast<double>(i));
  EXPECT_EQ(a.call<&Stage::times>(4).get(30s), 8.0);
}

TEST_P(Graphs, AnExceptionConcernsItsExecutionOnly) {
  const auto a = rt.spawn<Stage>(), b = rt.spawn<Stage>(2.0);
  Graph<double(double)> graph(rt, [&](GraphBuilder& build, Node<double> x) {
    return build.call<&Stage::times>(b, build.call<&Stage::refuse>(a, x));
  });
  EXPECT_EQ(graph.execute(1).get(), 2.0);
  const Error error = graph.execute(-1).try_get().error();
  EXPECT_EQ(error.code, ErrorCode::exception);
  EXPECT_THAT(error.describe(),
              AllOf(HasSubstr("Stage::refuse"), HasSubstr("std::invalid_argument: a negative number")));
  EXPECT_EQ(graph.execute(3).get(), 6.0);
}

TEST_P(Graphs, SeveralExecutionsAreOnTheirWay) {
  const auto a = rt.spawn<Stage>(2.0), b = rt.spawn<Stage>(3.0);
  Graph<double(double)> graph(rt,
                              [&](GraphBuilder& build, Node<double> x) {
                                return build.call<&Stage::times>(b, build.call<&Stage::times>(a, x));
                              },
                              {.max_in_flight = 4});
  std::vector<GraphResult<double>> results;
  for (int i = 0; i < 100; ++i) results.push_back(graph.execute(i));  // more than are in flight: the rest waits here
  for (int i = 99; i >= 0; i -= 2) EXPECT_EQ(results[static_cast<std::size_t>(i)].get(), 6.0 * i);  // in any order
  EXPECT_EQ(results[99].try_get().error().code, ErrorCode::invalid);                                // once
  results.clear();  // what was not taken is thrown away
  EXPECT_EQ(graph.execute(7).get(), 42.0);
}

TEST_P(Graphs, WhatIsTooLargeIsSaid) {
  const auto a = rt.spawn<Stage>(0.0), b = rt.spawn<Stage>(0.0);
  Graph<double(double, int)> graph(rt, [&](GraphBuilder& build, Node<double> x, Node<int> n) {
    return build.call<&Stage::total>(b, build.call<&Stage::repeat>(a, x, n));
  });
  EXPECT_THAT(graph.execute(1, 10'000).try_get().error().describe(),
              AllOf(HasSubstr("repeat"), HasSubstr("takes 80"), HasSubstr("GraphOptions::max_value_bytes")));
  EXPECT_EQ(graph.execute(1, 10).get(), 10.0);
  const auto c = rt.spawn<Stage>(0.0);
  Graph<double(std::vector<double>)> totals(
      rt, [&](GraphBuilder& build, Node<std::vector<double>> x) { return build.call<&Stage::total>(c, x); });
  EXPECT_THROW(totals.execute(std::vector<double>(10'000)), TaskError);
  EXPECT_EQ(totals.execute({1, 2, 3}).get(), 6.0);
  EXPECT_THROW((Graph<double(double)>(rt, [](GraphBuilder&, Node<double> x) { return x; })), TaskError);
}

TEST_F(WorkerGraphs, ManyInFlightAgreeWithOneByOne) {
  std::vector<Actor<Stage>> stages;
  for (int i = 0; i < 4; ++i) stages.push_back(rt.spawn<Stage>(1.0 + i));
  Graph<double(double)> graph(rt, [&](GraphBuilder& build, Node<double> x) {
    for (const auto& stage : stages) x = build.call<&Stage::times>(stage, x);
    return x;
  });
  std::vector<GraphResult<double>> results;
  for (int i = 0; i < 5000; ++i) results.push_back(graph.execute(i));
  for (int i = 0; i < 5000; ++i) ASSERT_EQ(results[static_cast<std::size_t>(i)].get(), 24.0 * i);
}

TEST_F(WorkerGraphs, TheDeathOfAnActorEndsTheGraph) {
  const auto a = rt.spawn<Stage>(), b = rt.spawn<Stage>(), c = rt.spawn<Stage>();
  Graph<double(double)> graph(rt, [&](GraphBuilder& build, Node<double> x) {
    return build.call<&Stage::times>(c, build.call<&Stage::die_at>(b, build.call<&Stage::times>(a, x), 3.0));
  });
  auto before = graph.execute(2);
  EXPECT_EQ(graph.execute(1).get(), 1.0);
  auto fatal = graph.execute(3);
  auto after = graph.execute(4);
  for (auto* result : {&fatal, &after}) {
    const Error error = result->try_get(30s).error();
    EXPECT_EQ(error.code, ErrorCode::actor_died);
    EXPECT_THAT(error.describe(), AllOf(HasSubstr("the graph has ended"), HasSubstr("die_at"), HasSubstr("SIGKILL")));
  }
  EXPECT_EQ(before.get(), 2.0);  // it was there
  EXPECT_THROW(graph.execute(5), TaskError);
  // The others are free for calls.
  EXPECT_EQ(a.call<&Stage::times>(4).get(30s), 4.0);
  EXPECT_EQ(c.call<&Stage::times>(5).get(30s), 5.0);
}

TEST_F(WorkerGraphs, KillingAnActorThatWaitsEndsItToo) {
  const auto a = rt.spawn<Stage>(), b = rt.spawn<Stage>();
  Graph<double(double)> graph(rt, [&](GraphBuilder& build, Node<double> x) {
    return build.call<&Stage::times>(b, build.call<&Stage::wait_for>(a, x, marks.name("never")));
  });
  auto waiting = graph.execute(1);
  EXPECT_EQ(waiting.try_get(20ms).error().code, ErrorCode::timed_out);
  rt.kill(a);
  EXPECT_EQ(waiting.try_get(30s).error().code, ErrorCode::actor_died);
}

TEST_F(WorkerGraphs, AGraphThatIsGoneGivesNothingMore) {
  const auto a = rt.spawn<Stage>(), b = rt.spawn<Stage>();
  std::optional<Graph<double(double)>> graph;
  graph.emplace(rt, [&](GraphBuilder& build, Node<double> x) {
    return build.call<&Stage::times>(b, build.call<&Stage::times>(a, x));
  });
  auto result = graph->execute(1);
  graph.reset();
  EXPECT_EQ(result.try_get(30s).error().code, ErrorCode::unavailable);
  // Its actors can be part of another one.
  Graph<double(double)> next(rt, [&](GraphBuilder& build, Node<double> x) {
    return build.call<&Stage::times>(a, build.call<&Stage::times>(b, x));
  });
  EXPECT_EQ(next.execute(9).get(30s), 9.0);
}

double use_a_graph_and_leave(Actor<Stage> a, Marks::Name here, bool die) {
  auto rt = Runtime::current();
  const auto b = rt.spawn<Stage>(2.0);
  Graph<double(double)> graph(rt, [&](GraphBuilder& build, Node<double> x) {
    return build.call<&Stage::times>(b, build.call<&Stage::times>(a, x));
  });
  const double result = graph.execute(2).get();
  test::leave(here);
  if (die) raise(SIGKILL);
  return result;
}
TEST_F(WorkerGraphs, AGraphOfATaskEndsWithIt) {
  const auto a = rt.spawn<Stage>(5.0);
  EXPECT_EQ(rt.remote<use_a_graph_and_leave>(a, marks.name("first"), false).get(30s), 20.0);
  EXPECT_EQ(a.call<&Stage::times>(1).get(30s), 5.0);
  const auto dead = rt.with({.max_retries = 0}).remote<use_a_graph_and_leave>(a, marks.name("second"), true);
  EXPECT_EQ(dead.try_get(30s).error().code, ErrorCode::worker_died);
  EXPECT_EQ(a.call<&Stage::times>(1).get(30s), 5.0);  // free again
}

TEST_F(WorkerGraphs, ItsMemoryIsGivenBack) {
  const auto a = rt.spawn<Stage>();
  for (int i = 0; i < 40; ++i) {  // together more than the arena of a small machine holds
    Graph<double(double)> graph(rt,
                                [&](GraphBuilder& build, Node<double> x) { return build.call<&Stage::times>(a, x); },
                                {.max_in_flight = 64, .max_value_bytes = 1 << 20});
    ASSERT_EQ(graph.execute(i).get(30s), i);
  }
}

}  // namespace
}  // namespace mobula
