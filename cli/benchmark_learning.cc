#include "cli/benchmark_learning.h"

#include <algorithm>
#include <thread>

#include "bench/micro/sgemm.h"

namespace mobula::cli {
namespace {

std::vector<bench::Case> all_cases(const LearningBed& bed) {
  std::vector<bench::Case> cases;
  add_training_cases(bed, cases);
  add_learner_cases(bed, cases);
  add_environment_cases(bed, cases);
  add_sampling_cases(bed, cases);
  cases.push_back(bench::sgemm_case(bed.quick ? 64 : 512));
  return cases;
}

int cpus() {
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

}  // namespace

std::vector<bench::Case> learning_list() {
  return all_cases({.workers = cpus()});
}

std::vector<bench::Figures> learning_rows(const BenchmarkOptions& options) {
  const LearningBed bed{.workers = options.workers > 0 ? options.workers : cpus(), .quick = options.quick};
  const std::vector<bench::Case> cases = chosen_cases(all_cases(bed), options.only);
  return bench::run(cases, run_options(options, cases.size()));
}

const std::vector<BenchmarkTarget>& learning_targets() {
  using enum BenchmarkTarget::Figure;
  constexpr bool at_most = true, at_least = false;
  static const std::vector<BenchmarkTarget> targets{
      {"CartPole solved: CPU time over its floating-point work", "cartpole_solved", ratio, at_most, 2.5,
       "SB3 32-39 CPU s, SBX 38, CleanRL's settings 119, RLlib 45-288"},
      {"RLtools' Pendulum task, CPU us", "pendulum_300k", p50_us, at_most, 1.1e6,
       "RLtools 1.0-1.2 CPU s; 10.7-12 without BLAS"},
      {"PPO sample-pass, part of SGEMM's rate", "ppo_sample_pass", ratio, at_least, 0.5,
       "PyTorch 7.9 us a sample-pass"},
      {"the same on two threads, times as fast", "ppo_sample_pass_2_threads", ratio, at_least, 1.7, ""},
      {"forward of 4-64-64-2, batch 1, us", "forward_b1", p50_us, at_most, 0.4, "PyTorch 44 us"},
      {"CartPole steps a CPU second", "vecenv_cartpole", per_second, at_least, 20e6, "EnvPool 0.42 million"},
      {"Pendulum steps a CPU second", "vecenv_pendulum", per_second, at_least, 18.4e6, "EnvPool 0.46 million"},
      {"Acrobot steps a CPU second", "vecenv_acrobot", per_second, at_least, 12e6, "EnvPool 0.30 million"},
      {"sampling through a process, part of in-process", "sampling_processes", ratio, at_least, 0.9, ""},
      {"transitions a second into the learner", "sampling_processes", per_second, at_least, 1e6,
       "RLlib 660-2,812 env steps/s end to end"},
      {"weights to all workers, us", "weights_broadcast", p50_us, at_most, 100, ""},
      {"APPO's time with the same bytes each time, to free running", "determinism_price", ratio, at_most, 1.1, ""},
      {"SAC 256x256 updates, part of SGEMM's rate", "sac_updates", ratio, at_least, 0.6, "SB3 41 a CPU second"},
      {"DQN 256x256 updates, part of SGEMM's rate", "dqn_updates", ratio, at_least, 0.6, "SB3 179 a CPU second"},
      {"start to the first update, us", "start_native", p50_us, at_most, 100'000, "SB3 2 s; RLlib 15-30 s"},
      {"the same with LibTorch, us more than loading it", "start_torch", over_floor_us, at_most, 300'000, ""},
      {"a rollout worker, MB", "rollout_worker_mb", amount, at_most, 20, "SB3 409 MB, RLlib 1.6-2.9 GB in all"},
  };
  return targets;
}

}  // namespace mobula::cli
