// Learning from whatever arrives (deterministic: false): every step is counted once, in the order in which its
// environment took it, also when workers are killed; and it learns.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mobula/rl/train.h>
#include <mobula/runtime.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "rl/algos/impala/impala.h"
#include "rl/envs/cartpole.h"
#include "rl/train/free_sampler.h"
#include "tests/learn/kill_worker.h"
#include "tests/learn/runs.h"
#include "tests/unit/train/run_records.h"
#include "tests/unit/train/scratch.h"

namespace mobula::rl {
namespace {

/// Shows its own number and the steps it has taken in all its episodes.
struct Odometer {
  struct Config {
    void describe(Fields&) {}
  };
  using Observation = std::array<float, 2>;
  using Action = Discrete<2>;
  explicit Odometer(const Config&) {}
  Observation reset(Random& random) {
    if (number == 0) number = 1.0f + static_cast<float>(random.below(1 << 20));
    in_episode = 0;
    return seen();
  }
  Step<Observation> step(const Action&, Random&) {
    ++steps;
    return {seen(), 1.0, false, ++in_episode == 7};
  }
  Observation seen() const { return {number, static_cast<float>(steps)}; }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(number, steps, in_episode);
  }
  float number = 0;
  int steps = 0, in_episode = 0;
};

nn::PolicySpec spec() {
  return actor_critic_spec(environment_info<Odometer>(), ImpalaOptions{.hidden = {4}});
}

struct Sampling {
  explicit Sampling(int processes, const RolloutSize& size)
      : runtime(Runtime::start({.workers = processes})),
        sampler(environment_info<Odometer>(), size),
        weights(runtime.put(Array<float>(nn::Policy<float>(spec()).initial_parameters(1)))) {}
  void spawn(int actors, std::uint32_t batches = 0) {
    const EnvironmentSpec env = environment<Odometer>("odometer");
    sampler.spawn(runtime, actors, {env.factory, env.config, spec(), 1, {}}, batches);
  }
  FreeSampler::Collected collect(std::uint32_t version, std::int64_t left = 1'000'000) {
    return *sampler.collect(runtime, {weights, version, {}}, left, {}, meter, watch);
  }
  Runtime runtime;
  FreeSampler sampler;
  Ref<Array<float>> weights;
  CpuMeter meter;
  WorkerWatch watch;
};

/// Follows each environment from rollout to rollout.
struct Mileage {
  void expect_gapless(const ConstFragment& f) {
    for (int n = 0; n < f.layout.envs; ++n) {
      for (int t = 0; t < f.layout.steps; ++t) {
        const float* row = f.observations.data() + 2 * (static_cast<std::size_t>(t) * f.layout.envs + n);
        int& next = steps[row[0]];
        ASSERT_EQ(row[1], next) << "environment " << row[0];
        ++next;
      }
    }
  }
  std::map<float, int> steps;
};

TEST(FreeRunning, LearnsFromEachStepOfEachEnvironmentOnceAndInOrder) {
  for (const int processes : {0, 2, 3}) {
    Sampling all(processes, {.envs = 12, .steps = 10});
    all.spawn(processes);
    Mileage mileage;
    std::size_t episodes = 0;
    int batches = 0;
    // (On a busy machine a worker may have had no turn yet when the others have filled forty batches.)
    for (std::uint32_t k = 0; k < 40 || mileage.steps.size() < 12; ++k, ++batches) {
      ASSERT_LT(k, 100'000u) << "a worker has been forgotten";
      const auto batch = all.collect(k);
      mileage.expect_gapless(batch.fragment);
      ASSERT_EQ(batch.versions.size(), 12u);
      for (const std::uint32_t version : batch.versions) ASSERT_LE(version, k);
      episodes += batch.ended.size();
      for (const EpisodeEnd& end : batch.ended) ASSERT_EQ(end.total, 7);
    }
    int steps = 0;
    std::size_t ended = 0;
    for (const auto& [number, taken] : mileage.steps) steps += taken, ended += static_cast<std::size_t>(taken / 7);
    EXPECT_EQ(steps, batches * 12 * 10);
    EXPECT_EQ(episodes, ended);
  }
}

TEST(FreeRunning, CountsRightWhenWorkersAreKilled) {
  Sampling all(2, {.envs = 8, .steps = 200});
  all.spawn(2);
  Mileage mileage;
  Random random(1, Stream::user);
  int kills = 0;
  for (std::uint32_t k = 0; k < 60; ++k) {
    mileage.expect_gapless(all.collect(k).fragment);
    if (k % 10 == 5) kills += kill_a_worker(random);
  }
  EXPECT_GE(kills, 4);
  EXPECT_FALSE(all.watch.take().empty()) << "nobody noticed a death";
  int steps = 0;
  for (const auto& [number, taken] : mileage.steps) steps += taken;
  EXPECT_EQ(steps, 60 * 8 * 200);
}

// A checkpoint has the environments as they were after what was learned from; what has arrived since is collected
// again.
TEST(FreeRunning, GoesOnFromWhatWasLearnedFromWithAnotherNumberOfWorkers) {
  Sampling before(2, {.envs = 12, .steps = 10});
  before.spawn(2);
  Mileage mileage;
  std::uint32_t k = 0;
  for (; k < 25 || mileage.steps.size() < 12; ++k) {
    ASSERT_LT(k, 100'000u) << "a worker has been forgotten";
    mileage.expect_gapless(before.collect(k).fragment);
  }
  const auto stored = before.sampler.snapshots();
  ASSERT_EQ(stored.size(), 12u);
  Sampling after(3, {.envs = 12, .steps = 10});
  after.sampler.restore(stored);
  EXPECT_EQ(after.sampler.snapshots(), stored);
  after.spawn(3, k);
  EXPECT_EQ(after.sampler.snapshots(), stored);
  for (const std::uint32_t end = k + 15; k < end; ++k) mileage.expect_gapless(after.collect(k).fragment);
}

TEST(FreeRunning, CollectsNothingThatWouldBeThrownAwayAtTheEnd) {
  Sampling all(2, {.envs = 8, .steps = 10});
  all.spawn(2);
  for (std::uint32_t k = 0; k < 3; ++k) all.collect(k, 80 * (3 - k));
  EXPECT_EQ(all.collect(3, 1).versions, std::vector<std::uint32_t>(8, 3)) << "something was under way";
}

template <class Options>
TrainOptions free_cartpole(Options algorithm, std::int64_t steps) {
  algorithm.deterministic = false;
  TrainOptions options = run_of(environment<CartPole>("cartpole"), algorithm, steps);
  options.workers = 2;
  options.evaluate.episodes = 1;
  return options;
}

// A run cannot be repeated, so one of three has to get there.
void expect_solved(TrainOptions options) {
  options.stop.return_mean = 450;
  bool solved = false;
  for (options.seed = 0; options.seed < 3 && !solved; ++options.seed) {
    const TrainResult result = train(options);
    std::cout << name_of(options.algorithm) << ", seed " << options.seed << ": " << result.stopped_by << " after "
              << result.progress.env_steps << " steps\n";
    solved = result.stopped_by == "return_mean";
  }
  EXPECT_TRUE(solved);
}
TEST(FreeRunning, AppoSolvesCartPole) {
  expect_solved(free_cartpole(appo_for_cartpole(), 250'000));
}
TEST(FreeRunning, ImpalaSolvesCartPole) {
  expect_solved(free_cartpole(impala_for_cartpole(), 500'000));
}

// The whole trainer: killed workers, records, a stop and a resumption.
TEST(FreeRunning, ARunCountsItsStepsThroughDeathsAndResumption) {
  const Scratch scratch;
  constexpr std::int64_t kBatch = 8 * 20, kBatches = 150;
  TrainOptions options = free_cartpole(impala_for_cartpole(), kBatch * kBatches);
  options.write = true;
  options.run_directory = scratch / "run";
  Random random(static_cast<std::uint64_t>(getpid()), Stream::user);
  int kills = 0;
  std::int64_t updates = 0;
  Callbacks callbacks;
  std::vector<std::string> notes;
  callbacks.on_start = [&](const StartEvent& event) { notes = event.notes; };
  callbacks.on_update = [&](const UpdateEvent& event) {
    ++updates;
    EXPECT_EQ(event.progress.env_steps, event.progress.iteration * kBatch);
    if (event.progress.iteration % 30 == 10) kills += kill_a_worker(random);
  };
  options.interrupted = [&] { return updates == kBatches / 2; };
  TrainResult result = train(options, callbacks);
  EXPECT_TRUE(result.interrupted);
  EXPECT_THAT(notes, testing::Contains(testing::HasSubstr("cannot be repeated byte for byte")));
  options.interrupted = {};
  options.workers = 3;
  result = resume(options, callbacks);
  EXPECT_EQ(result.stopped_by, "env_steps");
  EXPECT_EQ(result.progress.env_steps, options.stop.env_steps);
  EXPECT_EQ(updates, kBatches);
  EXPECT_GE(kills, 3);
  const auto rows = csv_rows(scratch / "run/progress.csv");
  ASSERT_EQ(static_cast<std::int64_t>(rows.size()), kBatches);
  double most = 0;
  for (const auto& row : rows) {
    const double mean = std::stod(row.at("policy_lag")), max = std::stod(row.at("policy_lag_max"));
    EXPECT_GE(mean, 0);
    EXPECT_LE(mean, max);
    most = std::max(most, max);
  }
  EXPECT_GT(most, 0) << "every policy was the newest: nothing ran while the learner learned";
  EXPECT_FALSE(events_of_kind(scratch / "run/events.jsonl", "worker_died").empty());
}

TEST(FreeRunning, GoesWithoutWorkerProcesses) {
  TrainOptions options = free_cartpole(appo_for_cartpole(), 20'000);
  options.workers = 0;
  EXPECT_EQ(train(options).progress.env_steps, 20'480);
}

}  // namespace
}  // namespace mobula::rl
