#pragma once

#include <string>
#include <vector>

#include "bench/micro/case.h"
#include "cli/benchmark_rows.h"

namespace mobula::cli {

/// What `mobula microbenchmark rl` shares between its cases.
struct LearningBed {
  int workers = 1;     ///< processes of the runtimes
  bool quick = false;  ///< tried only
};

// One file each. The cases hold what they need.
void add_learner_cases(const LearningBed& bed, std::vector<bench::Case>& cases);      ///< updates and passes
void add_environment_cases(const LearningBed& bed, std::vector<bench::Case>& cases);  ///< steps, beside bare physics
void add_sampling_cases(const LearningBed& bed, std::vector<bench::Case>& cases);     ///< through worker processes
void add_training_cases(const LearningBed& bed, std::vector<bench::Case>& cases);     ///< whole programs

/// One of the programs that add_training_cases() starts: `mobula microbenchmark rl --task NAME`. Prints what the case
/// reads and ends the process.
[[noreturn]] void run_training_task(const std::string& name);

/// As benchmark_list() and benchmark_rows(), of learning.
std::vector<bench::Case> learning_list();
std::vector<bench::Figures> learning_rows(const BenchmarkOptions& options);
/// What the project has promised itself; `ray` is here what the peers reach on a machine of this class.
const std::vector<BenchmarkTarget>& learning_targets();

/// Floating-point operations of one row through the two networks of an actor-critic policy: two a multiply-add of the
/// products; the way back has the weights' gradients and the inputs', not those of the first layer's inputs.
struct PassOperations {
  double forward = 0, forward_and_back = 0;
};
PassOperations actor_critic_operations(int observation_size, const std::vector<int>& hidden, int outputs);

}  // namespace mobula::cli
