#include "cli/benchmark_rows.h"

namespace mobula::cli {

const std::vector<BenchmarkTarget>& benchmark_targets() {
  using enum BenchmarkTarget::Figure;
  constexpr bool at_most = true, at_least = false;
  static const std::vector<BenchmarkTarget> targets{
      {"synchronous task, p50 to ZeroMQ's", "task_sync", ratio, at_most, 0.1, "2.1 ms; ray-cpp 1.3 ms"},
      {"synchronous task, p99 to ZeroMQ's p99", "task_sync", p99_to_floor, at_most, 1, "5.6 ms; 5.4 ms"},
      {"the same after 1 ms of idleness, p50", "task_sync_idle_1ms", ratio, at_most, 0.3, ""},
      {"synchronous actor call, p50", "actor_sync", ratio, at_most, 0.1, "0.93 ms; 0.45 ms"},
      {"synchronous actor call, p99", "actor_sync", p99_to_floor, at_most, 1, "3.5 ms; 1.9 ms"},
      {"the same after 1 ms of idleness, p50", "actor_sync_idle_1ms", ratio, at_most, 0.3, ""},
      {"tasks from one driver", "task_async", per_second, at_least, 1e6, "1,305/s; 1,177/s"},
      {"tasks through parallel_map", "task_map", per_second, at_least, 5e6, ""},
      {"calls of one actor", "actor_async", per_second, at_least, 1.2e6, "2,727/s; 5,856/s"},
      {"prepared graph of two actors, to a bare relay", "graph", ratio, at_most, 1.5, "50 us claimed"},
      {"Runtime::start to first result, us", "start_to_first_result", p50_us, at_most, 15'000, "9.3 s"},
      {"first call of a new actor, us", "actor_start", p50_us, at_most, 1'000, "0.97 s; 0.40 s"},
      {"new actors", "actors_per_second", per_second, at_least, 3'000, "1.2/s"},
      {"put of 100 MB, part of memcpy's speed", "put_100mb", ratio, at_least, 0.9, "1.0 if freed each time, else 0.34"},
      {"put of 1 GB, part of memcpy's speed", "put_1gb", ratio, at_least, 0.9, ""},
      {"get of 1 GiB, us", "get_1gib", p50_us, at_most, 20, "113 us"},
      {"task with 10,000 refs, us", "args_10k", p50_us, at_most, 100'000, "2.5 s"},
      {"get of 10,000 values, us", "get_10k", p50_us, at_most, 20'000, "0.5 s"},
      {"1,000,000 queued tasks, us", "queued_1m", p50_us, at_most, 3e6, "123 s for 100,000"},
      {"head and node inside a driver, MB", "idle_footprint_mb", amount, at_most, 16, "482 to 657 MiB"},
      {"idle worker, MB of its own", "worker_private_mb", amount, at_most, 1, "43 MiB"},
      {"idle worker, threads", "worker_threads", amount, at_most, 1, "22"},
      {"growth over 10,000,000 tasks, MB", "growth_10m_mb", amount, at_most, 1, ""},
      {"1 GB between two nodes, encrypted, part of a TCP stream", "node_transfer", ratio, at_least, 0.4, ""},
      {"the same with --trusted-network", "node_transfer_trusted", ratio, at_least, 0.7,
       "half the NIC, its users report"},
  };
  return targets;
}

}  // namespace mobula::cli
