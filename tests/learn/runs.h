// Runs of the examples, and what they reach.
#pragma once

#include <gtest/gtest.h>
#include <mobula/rl/train.h>
#include <mobula/runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "rl/algos/algorithms.h"
#include "rl/train/experiment.h"
#include "runtime/config/config.h"
#include "tests/support/paths.h"

namespace mobula::rl {

inline TrainOptions example(const std::string& name) {
  auto document = config::Document::load(tests::source_dir() / "examples" / name);
  TrainOptions options = read_experiment(document);
  options.write = false;
  options.workers = 0;
  return options;
}

// A gate's runs, as a line of the file that MOBULA_GATE_RESULTS names; tools/learning_page makes tables and curves of
// them.
inline void record_gate(const TrainOptions& options, double wanted, const nlohmann::json& seeds) {
  const char* file = std::getenv("MOBULA_GATE_RESULTS");
  if (file == nullptr) return;
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  const std::string learner = std::visit(
      [](const auto& algorithm) -> std::string {
        if constexpr (requires { algorithm.learner; }) return algorithm.learner;
        return "native";
      },
      options.algorithm);
  const nlohmann::json line{{"gate", std::string(test->test_suite_name()) + "." + test->name()},
                            {"algorithm", name_of(options.algorithm)},
                            {"learner", learner},
                            {"environment", options.experiment},
                            {"wanted", wanted},
                            {"seeds", seeds}};
  std::ofstream(file, std::ios::app) << line.dump() << '\n';
}

// A run of nothing but training, in this process unless a test wants workers, and a final evaluation.
inline TrainOptions run_of(EnvironmentSpec env, AlgorithmOptions algorithm, std::int64_t steps) {
  TrainOptions options;
  options.experiment = env.name;
  options.env = std::move(env);
  options.algorithm = std::move(algorithm);
  options.workers = 0;
  options.write = false;
  options.stop.env_steps = steps;
  options.evaluate.episodes = 100;
  return options;
}

// Settings with which several tests have CartPole solved: those of its example, and what the algorithms that learn from
// older policies need.
inline PpoOptions ppo_for_cartpole() {
  return std::get<PpoOptions>(example("cartpole.yaml").algorithm);
}
inline AppoOptions appo_for_cartpole() {
  return {.lr = 1e-3,
          .n_envs = 8,
          .n_steps = 64,
          .batch_size = 256,
          .n_epochs = 8,
          .clip_range = 0.2,
          .gamma = 0.98,
          .ent_coef = 0.0,
          .max_grad_norm = 0.5};
}
inline ImpalaOptions impala_for_cartpole() {
  return {.lr = 1e-3, .n_envs = 8, .n_steps = 20, .ent_coef = 0.0};
}

struct SeedRun {
  double score = 0;         // of the held-out episodes, deterministically
  std::int64_t first = -1;  // steps at which the mean return of the last 100 training episodes was what is wanted
};

// Runs of the seeds 0 .. seeds - 1.
inline std::vector<SeedRun> run_seeds(TrainOptions options, double wanted, int seeds) {
  Runtime runtime = Runtime::start({.workers = 0});
  std::vector<SeedRun> runs;
  nlohmann::json all = nlohmann::json::array();
  for (int seed = 0; seed < seeds; ++seed) {
    options.seed = static_cast<std::uint64_t>(seed);
    SeedRun run;
    std::vector<std::pair<std::int64_t, double>> curve;  // the mean return of the last 100 training episodes
    Callbacks callbacks;
    callbacks.on_rollout = [&](const RolloutEvent& event) {
      if (event.progress.episodes < 20) return;
      const std::int64_t steps = event.progress.env_steps;
      if (curve.empty() || steps - curve.back().first >= options.stop.env_steps / 40) {
        curve.emplace_back(steps, event.return_mean);
      }
      if (run.first < 0 && event.progress.episodes >= 100 && event.return_mean >= wanted) run.first = steps;
    };
    const TrainResult result = train(runtime, options, callbacks);
    const Estimate mean = *find(*result.find("trained"), "return");
    run.score = mean.value;
    std::cout << options.experiment << ", seed " << seed << ": " << mean.value << " [" << mean.low << ", " << mean.high
              << "] after " << result.progress.env_steps << " steps, " << result.cpu_seconds
              << " s of processor time; in training first at " << run.first << '\n';
    nlohmann::json points = nlohmann::json::array();
    for (const auto& [steps, value] : curve) points.push_back({steps, std::round(value * 10) / 10});
    all.push_back({{"seed", seed},
                   {"score", std::round(mean.value * 10) / 10},
                   {"steps", result.progress.env_steps},
                   {"first", run.first},
                   {"curve", points}});
    runs.push_back(run);
  }
  record_gate(options, wanted, all);
  return runs;
}

// How many of the seeds reach the return on the held-out episodes.
inline int seeds_that_reach(const TrainOptions& options, double wanted, int seeds) {
  const auto runs = run_seeds(options, wanted, seeds);
  return static_cast<int>(std::ranges::count_if(runs, [&](const SeedRun& run) { return run.score >= wanted; }));
}

}  // namespace mobula::rl
