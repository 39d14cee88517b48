#include "cli/benchmark_rows.h"

#include <mobula/runtime.h>

#include <chrono>
#include <functional>
#include <numeric>
#include <thread>

#include "bench/micro/floors.h"
#include "bench/micro/statistics.h"

namespace mobula::cli {

namespace {

using Clock = std::chrono::steady_clock;

void nothing() {}

struct Idle {
  void nothing() {}
};

double microseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

/// What is measured in each round, and what came of it.
struct Series {
  std::string name;
  std::string floor;
  bool rate = false;  ///< the samples are mean times of many at once
  std::function<void(std::vector<double>&)> round;
  std::vector<double> microseconds{};
};

BenchmarkRow summary(Series& series) {
  BenchmarkRow row{.name = series.name, .floor = series.floor};
  if (series.microseconds.empty()) return row;
  const double total = std::accumulate(series.microseconds.begin(), series.microseconds.end(), 0.0);
  if (series.rate) {
    row.per_second = 1e6 / bench::percentile(series.microseconds, 0.5);
  } else {
    row.per_second = 1e6 * static_cast<double>(series.microseconds.size()) / total;
    row.p50_us = bench::percentile(series.microseconds, 0.5);
    row.p99_us = bench::percentile(series.microseconds, 0.99);
  }
  return row;
}

template <class Call>
Series synchronous(const char* name, int count, Call call) {
  return {name, "zmq_ipc_rtt", false, [=](std::vector<double>& microseconds) {
            for (int i = 0; i < count; ++i) {
              const auto begin = Clock::now();
              call().get();
              microseconds.push_back(microseconds_since(begin));
            }
          }};
}

template <class Call>
Series asynchronous(const char* name, int count, Call call) {
  return {name, "lane_messages", true, [=](std::vector<double>& microseconds) {
            std::vector<Ref<void>> refs;
            refs.reserve(static_cast<std::size_t>(count));
            const auto begin = Clock::now();
            for (int i = 0; i < count; ++i) refs.push_back(call());
            for (const auto& ref : refs) ref.get();
            microseconds.push_back(microseconds_since(begin) / count);
          }};
}

}  // namespace

std::vector<BenchmarkRow> benchmark_rows(const BenchmarkOptions& options) {
  bench::Floors floors;  // forks: before the runtime has a thread
  StartOptions start_options;
  start_options.workers = options.workers > 0 ? options.workers : static_cast<int>(std::thread::hardware_concurrency());

  Series starts{"start_to_first_result", "", false, {}};
  for (int i = 0; i < options.rounds; ++i) {
    const auto begin = Clock::now();
    const auto runtime = Runtime::start(start_options);
    runtime.remote<nothing>().get();
    starts.microseconds.push_back(microseconds_since(begin));
  }

  const auto runtime = Runtime::start(start_options);
  const auto actor = runtime.spawn<Idle>();
  const auto task = [&runtime] { return runtime.remote<nothing>(); };
  const auto call = [&actor] { return actor.call<&Idle::nothing>(); };
  const std::vector<char> hundred_megabytes(100'000'000, 'm');
  std::vector<Series> all;
  all.push_back(synchronous("task_sync", 500, task));
  all.push_back(asynchronous("task_async", 20'000, task));
  all.push_back(synchronous("actor_sync", 500, call));
  all.push_back(asynchronous("actor_async", 20'000, call));
  all.push_back(std::move(starts));
  all.push_back({"put_100mb", "memcpy_touched", false, [&](std::vector<double>& microseconds) {
                   for (int i = 0; i < 2; ++i) {
                     const auto begin = Clock::now();
                     const auto ref = runtime.put(hundred_megabytes);
                     microseconds.push_back(microseconds_since(begin));
                   }
                 }});
  for (const bench::Floor& floor : floors.all()) {
    all.push_back({floor.name, "", floor.rate,
                   [&floor](std::vector<double>& microseconds) { floor.measure(floor.per_round, microseconds); }});
  }

  for (Series& series : all) {  // once to warm up: the first of everything touches memory and starts processes
    std::vector<double> unused;
    if (series.round) series.round(unused);
  }
  for (int round = 0; round < options.rounds; ++round) {
    for (Series& series : all) {
      if (series.round) series.round(series.microseconds);
    }
  }

  std::vector<BenchmarkRow> rows;
  for (Series& series : all) rows.push_back(summary(series));
  for (BenchmarkRow& row : rows) {
    for (const BenchmarkRow& floor : rows) {
      if (floor.name != row.floor) continue;
      if (row.floor == "memcpy_touched") {
        row.ratio = *floor.p50_us / *row.p50_us;
      } else if (row.p50_us) {
        row.ratio = *row.p50_us / *floor.p50_us;
      } else {
        row.ratio = *row.per_second / *floor.per_second;
      }
    }
  }
  return rows;
}

}  // namespace mobula::cli
