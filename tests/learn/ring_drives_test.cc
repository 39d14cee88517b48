// examples/ring.yaml: one policy, six lengths.

#include <gtest/gtest.h>
#include <mobula/rl/policy.h>
#include <mobula/rl/ring.h>
#include <mobula/rl/train.h>
#include <mobula/runtime.h>

#include <cmath>
#include <functional>
#include <iostream>

#include "rl/train/experiment.h"
#include "runtime/config/config.h"
#include "tests/support/paths.h"
#include "tests/unit/train/scratch.h"

namespace mobula::rl {
namespace {

struct Speeds {
  double mean = 0, half_width = 0;  // m/s; half of the 95 % interval
};

/// Of all cars over the last 100 s of control, in held-out episodes.
Speeds settled_speed(const Ring::Config& config,
                     const std::function<Ring::Action(const Ring&, const Ring::Observation&)>& act) {
  constexpr int kEpisodes = 8;
  constexpr double kStudent = 2.365;  // 0.975 quantile at 7 degrees of freedom
  Ring env(config);
  double sum = 0, squares = 0;
  for (std::uint32_t k = 0; k < kEpisodes; ++k) {
    Random random(7, Stream::evaluation, 0, k);
    auto observation = env.reset(random);
    for (bool end = false; !end;) {
      const auto step = env.step(act(env, observation), random);
      observation = step.observation;
      EXPECT_FALSE(step.terminated) << "a crash";
      end = step.terminated || step.truncated;
    }
    EpisodeReport report;
    env.report(report);
    const double speed = static_cast<double>(report.find("settled_speed")->milli[0]) / 1000;
    sum += speed;
    squares += speed * speed;
  }
  const double mean = sum / kEpisodes;
  const double deviation = std::sqrt(std::max(0.0, (squares - sum * mean) / (kEpisodes - 1)));
  return {mean, kStudent * deviation / std::sqrt(static_cast<double>(kEpisodes))};
}

TEST(Ring, OnePolicyDrivesNearTheEquilibriumAtEachOfSixLengths) {
  const Scratch scratch;
  TrainOptions options = read_experiment(config::Document::load(tests::source_dir() / "examples/ring.yaml"));
  options.workers = 0;
  options.evaluate.every = 0;
  options.evaluate.episodes = 2;
  options.evaluate.baselines.clear();
  options.run_directory = scratch / "run";
  Runtime runtime = Runtime::start({.workers = 0});
  const TrainResult result = train(runtime, options);
  std::cout << "trained in " << result.cpu_seconds << " s of processor time\n";
  EXPECT_LE(result.cpu_seconds, 2 * 600) << "ten minutes on two cores";
  const Policy policy = Policy::load(result.run_directory);

  for (int length = 220; length <= 270; length += 10) {
    Ring::Config config;
    config.min_length = config.max_length = length;
    Ring::Config humans = config, driven = config;
    humans.automated = false;
    driven.steps_per_decision = 10;  // as in the example
    const double equilibrium = equilibrium_speed(config.driver, length / 22.0 - config.driver.length);
    const Speeds human = settled_speed(humans, [](const auto&, const auto&) { return Ring::Action{}; });
    const Speeds trained = settled_speed(driven, [&](const auto&, const Ring::Observation& observation) {
      return policy.act<Ring::Action>(observation);
    });
    std::cout << length << " m: " << trained.mean << " +- " << trained.half_width << " m/s, "
              << trained.mean / equilibrium << " of the equilibrium, " << trained.mean / human.mean
              << " of the humans' " << human.mean << " +- " << human.half_width << " m/s\n";
    EXPECT_GE(trained.mean - trained.half_width, 0.93 * equilibrium) << length;
    EXPECT_GE(trained.mean - trained.half_width, 1.2 * (human.mean + human.half_width)) << length;
  }
}

}  // namespace
}  // namespace mobula::rl
