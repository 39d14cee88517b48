// Chaos: a random worker is killed every fifth iteration and environments crash once in ten thousand steps. PPO and
// APPO learn all the same, in at most a quarter more steps than in calm.
#include <gtest/gtest.h>
#include <mobula/rl/train.h>
#include <mobula/runtime.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <vector>

#include "tests/learn/kill_worker.h"
#include "tests/learn/runs.h"

namespace mobula::rl {
namespace {

struct Reached {
  std::int64_t steps = 0;  // until the mean return of the last 100 episodes was 450, the median of the seeds
  int good = 0;            // seeds that got there
  int kills = 0;
  std::int64_t restarts = 0;
};

Reached reach(const AlgorithmOptions& algorithm, bool chaos, std::int64_t most) {
  constexpr int kSeeds = 5;
  Random random(static_cast<std::uint64_t>(getpid()), Stream::user);
  Reached all;
  std::vector<std::int64_t> steps;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    EnvironmentSpec env = *find_environment(chaos ? "chaos_cartpole" : "cartpole");
    if (chaos) env.config = "crash_step: 0.0001\ncrash_reset: 0.001\n";
    TrainOptions options = run_of(std::move(env), algorithm, most);
    options.seed = seed;
    options.workers = 2;
    options.stop.return_mean = 450;
    options.evaluate.episodes = 1;
    Callbacks callbacks;
    callbacks.on_update = [&](const UpdateEvent& event) {
      if (chaos && event.progress.iteration % 5 == 4) all.kills += kill_a_worker(random);
    };
    const TrainResult result = train(options, callbacks);
    all.good += result.stopped_by == "return_mean";
    steps.push_back(result.progress.env_steps);
    all.restarts += result.progress.env_restarts;
  }
  std::sort(steps.begin(), steps.end());
  all.steps = steps[kSeeds / 2];
  std::cout << (chaos ? "chaos: " : "calm: ") << all.good << " of " << kSeeds << " seeds, median " << all.steps
            << " steps, " << all.kills << " workers killed, " << all.restarts << " environments made anew\n";
  return all;
}

void learns_in_chaos(const AlgorithmOptions& algorithm, std::int64_t most) {
  const Reached calm = reach(algorithm, false, most);
  const Reached chaos = reach(algorithm, true, most);
  EXPECT_GE(calm.good, 4);  // of five: seed 3 of PPO does not within its steps, in calm either
  EXPECT_GE(chaos.good, 4);
  EXPECT_LE(static_cast<double>(chaos.steps), 1.25 * static_cast<double>(calm.steps));
  EXPECT_GE(chaos.kills, 20);
  EXPECT_GT(chaos.restarts, 0);
}

TEST(Chaos, PpoLearnsWhileWorkersDieAndEnvironmentsCrash) {
  learns_in_chaos(ppo_for_cartpole(), 100'000);
}

TEST(Chaos, AppoLearnsWhileWorkersDieAndEnvironmentsCrash) {
  learns_in_chaos(appo_for_cartpole(), 250'000);
}

}  // namespace
}  // namespace mobula::rl
