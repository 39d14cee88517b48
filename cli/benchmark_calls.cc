// Rows of tasks and actor calls: one at a time, after idleness, beside busy processes, and many at a time.
#include <fmt/format.h>

#include <chrono>
#include <ranges>
#include <string>
#include <vector>

#include <mobula/graph.h>
#include <mobula/parallel.h>

#include "cli/benchmark_cases.h"

namespace mobula::cli {

namespace {

using bench::Case;
using bench::Measure;
using std::chrono::microseconds;

void nothing() {}

int same(int x) {
  return x;
}

struct Idle {
  void nothing() {}
  int same(int x) { return x; }
};

/// The call alone, after idleness, and while every cpu computes: each against ZeroMQ under the same conditions.
template <class Call>
void add_synchronous(BenchmarkBed& bed, std::vector<Case>& cases, const std::string& name, const std::string& what,
                     Call call) {
  const auto once = [call] { call().get(); };
  const std::string floor = "zmq_ipc_rtt";
  cases.push_back(measured(name, "a " + what + " and its result", Measure::latency, floor, 1, once));
  for (const auto& [suffix, idle] : {std::pair("_idle_100us", microseconds(100)),
                                     {"_idle_1ms", microseconds(1000)},
                                     {"_idle_10ms", microseconds(10000)}}) {
    cases.push_back(measured(name + suffix, fmt::format("the same after {} us of idleness", idle.count()),
                             Measure::latency, floor + suffix, 1, once));
    cases.back().idle = idle;
  }
  cases.push_back(
      measured(name + "_busy", "the same while every cpu computes", Measure::latency, floor + "_busy", 1, once));
  cases.back().surroundings = [&bed](bool on) { bed.floors.keep_busy(on); };
}

template <class Call>
void add_asynchronous(BenchmarkBed& bed, std::vector<Case>& cases, const std::string& name, const std::string& what,
                      Call call) {
  const std::size_t count = bed.many(20'000);
  cases.push_back(measured(name, fmt::format("{} {}, then all results", count, what), Measure::rate, "lane_messages",
                           static_cast<double>(count), [call, count] {
                             std::vector<Ref<void>> refs;
                             refs.reserve(count);
                             for (std::size_t i = 0; i < count; ++i) refs.push_back(call());
                             for (const auto& ref : refs) ref.get();
                           }));
}

}  // namespace

void add_call_cases(BenchmarkBed& bed, std::vector<Case>& cases) {
  const Lazily actor([&bed] { return bed.runtime->spawn<Idle>(); });
  const auto task = [&bed] { return bed.runtime->remote<nothing>(); };
  const auto call = [actor] { return actor->call<&Idle::nothing>(); };
  add_synchronous(bed, cases, "task_sync", "task", task);
  add_synchronous(bed, cases, "actor_sync", "actor call", call);
  add_asynchronous(bed, cases, "task_async", "tasks", task);
  add_asynchronous(bed, cases, "actor_async", "calls of one actor", call);
  const std::size_t items = bed.many(5'000'000);
  cases.push_back(
      measured("task_map", fmt::format("parallel_map of a function that does nothing over {} numbers", items),
               Measure::rate, "lane_messages", static_cast<double>(items),
               [&bed, items] { parallel_map<same>(*bed.runtime, std::views::iota(0, static_cast<int>(items))); }));
  const Lazily graph([&bed] {
    const auto first = bed.runtime->spawn<Idle>(), second = bed.runtime->spawn<Idle>();
    return Graph<int(int)>(*bed.runtime, [&](GraphBuilder& build, Node<int> x) {
      return build.call<&Idle::same>(second, build.call<&Idle::same>(first, x));
    });
  });
  cases.push_back(measured("graph", "an execution of a prepared graph of two actors, one after the other",
                           Measure::latency, "relay_rtt", 1, [graph] { graph->execute(1).get(); }));
  const std::size_t queued = bed.many(1'000'000);
  cases.push_back(measured("queued_1m", fmt::format("{} tasks are queued, then all results", queued), Measure::latency,
                           "", 1, [&bed, queued] {
                             std::vector<Ref<void>> refs;
                             refs.reserve(queued);
                             for (std::size_t i = 0; i < queued; ++i) refs.push_back(bed.runtime->remote<nothing>());
                             for (const auto& ref : refs) ref.get();
                           }));
}

}  // namespace mobula::cli
