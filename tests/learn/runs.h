// Runs of the examples, and what they reach.
#pragma once

#include <mobula/rl/train.h>
#include <mobula/runtime.h>

#include <cstdint>
#include <iostream>
#include <string>

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

// How many of the seeds 0 .. seeds - 1 reach the return on the held-out episodes, deterministically.
inline int seeds_that_reach(Runtime& runtime, TrainOptions options, double wanted, int seeds) {
  int reached = 0;
  for (int seed = 0; seed < seeds; ++seed) {
    options.seed = static_cast<std::uint64_t>(seed);
    const TrainResult result = train(runtime, options);
    const Estimate mean = *find(*result.find("trained"), "return");
    std::cout << options.experiment << ", seed " << seed << ": " << mean.value << " [" << mean.low << ", " << mean.high
              << "] after " << result.progress.env_steps << " steps\n";
    reached += mean.value >= wanted;
  }
  return reached;
}

}  // namespace mobula::rl
