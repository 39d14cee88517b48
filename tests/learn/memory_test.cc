// Training for an hour, with workers, checkpoints and evaluations: no process grows. MOBULA_SOAK_SECONDS shortens it.
#include <gtest/gtest.h>
#include <mobula/rl/train.h>
#include <mobula/runtime.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "tests/learn/kill_worker.h"
#include "tests/learn/runs.h"
#include "tests/unit/train/scratch.h"

namespace mobula::rl {
namespace {

using Clock = std::chrono::steady_clock;

/// Bytes of the process that are in memory and its own; 0 if there is none.
std::int64_t own_memory(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/statm");
  std::int64_t size = 0, resident = 0, shared = 0;
  file >> size >> resident >> shared;
  return (resident - shared) * sysconf(_SC_PAGESIZE);
}

struct Sample {
  double seconds = 0;
  std::int64_t driver = 0, worker = 0;  // the largest of the workers
};

/// The most over a part of the run, from and to as shares of it.
std::int64_t most(const std::vector<Sample>& samples, double from, double to, std::int64_t Sample::*what) {
  std::int64_t bytes = 0;
  for (const Sample& sample : samples) {
    const double at = sample.seconds / samples.back().seconds;
    if (at >= from && at <= to) bytes = std::max(bytes, sample.*what);
  }
  return bytes;
}

TEST(Memory, IsFlatOverAnHourOfTraining) {
  const char* shorter = std::getenv("MOBULA_SOAK_SECONDS");
  const double length = shorter != nullptr ? std::atof(shorter) : 3600;
  const Scratch scratch;
  TrainOptions options = run_of(*find_environment("cartpole"), ppo_for_cartpole(), 1'000'000'000'000);
  options.write = true;
  options.run_directory = scratch / "run";
  options.workers = 2;
  options.checkpoint = {.every = 100, .keep = 3};
  options.evaluate.every = 200;
  options.evaluate.episodes = 5;
  options.stop.wall_seconds = length;
  std::vector<Sample> samples;
  const auto begin = Clock::now();
  Callbacks callbacks;
  callbacks.on_update = [&](const UpdateEvent&) {
    const double now = std::chrono::duration<double>(Clock::now() - begin).count();
    if (!samples.empty() && now - samples.back().seconds < length / 1000) return;
    std::int64_t worker = 0;
    for (const pid_t process : workers_now()) worker = std::max(worker, own_memory(process));
    samples.push_back({now, own_memory(getpid()), worker});
  };
  const TrainResult result = train(options, callbacks);
  ASSERT_GT(samples.size(), 100u);
  for (const auto& [name, what] : {std::pair("driver", &Sample::driver), std::pair("workers", &Sample::worker)}) {
    const std::int64_t early = most(samples, 0.1, 0.3, what), late = most(samples, 0.8, 1.0, what);
    std::cout << name << ": at most " << static_cast<double>(early) / 1e6 << " MB in the second and third tenth of "
              << samples.back().seconds << " s, " << static_cast<double>(late) / 1e6 << " MB in the last two; "
              << result.progress.env_steps << " steps\n";
    EXPECT_GT(early, 1'000'000) << name;
    EXPECT_LE(late, early + early / 50 + 262'144) << name << " grow";
  }
}

}  // namespace
}  // namespace mobula::rl
