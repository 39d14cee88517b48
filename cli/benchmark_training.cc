// Rows of whole training programs, from exec to exit: each is this program again, with a hidden option.
#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <mobula/rl/train.h>
#include <mobula/runtime.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <system_error>

#include "bench/micro/sgemm.h"
#include "bench/micro/statistics.h"
#include "cli/benchmark_cases.h"
#include "cli/benchmark_learning.h"
#include "rl/algos/torch_module.h"

namespace mobula::cli {
namespace {

using bench::Case;
using bench::Measure;
using std::chrono::nanoseconds;
using namespace rl;

struct Ended {
  nanoseconds wall{}, cpu{};  // cpu: of the program and of all its workers
  std::array<double, 3> said{};
};

/// Runs the task and waits for it. What it says goes through memory and not a pipe, so that its end is its own.
Ended run_program(const std::string& task) {
  const int said = memfd_create("mobula-task", MFD_CLOEXEC);
  if (said < 0) throw std::system_error(errno, std::generic_category(), "memfd_create");
  const auto begin = std::chrono::steady_clock::now();
  const pid_t child = fork();
  if (child == 0) {
    dup2(said, STDOUT_FILENO);
    execl("/proc/self/exe", "mobula", "microbenchmark", "rl", "--task", task.c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  rusage used{};
  while (wait4(child, &status, 0, &used) < 0 && errno == EINTR) {
  }
  Ended out;
  out.wall = std::chrono::steady_clock::now() - begin;
  for (const timeval& part : {used.ru_utime, used.ru_stime}) {
    out.cpu += std::chrono::seconds(part.tv_sec) + std::chrono::microseconds(part.tv_usec);
  }
  std::string text(1000, '\0');
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, pread(said, text.data(), text.size(), 0))));
  close(said);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw bench::CannotMeasure(fmt::format("the program that does it ended with status {}", status));
  }
  std::istringstream words(text);
  for (double& number : out.said) words >> number;
  return out;
}

TrainOptions cartpole_options() {
  TrainOptions options;
  options.env = *find_environment("cartpole");
  options.algorithm = PpoOptions{.lr = Schedule::linear(1e-3, 0),
                                 .n_envs = 8,
                                 .n_steps = 32,
                                 .batch_size = 256,
                                 .n_epochs = 20,
                                 .gamma = 0.98,
                                 .gae_lambda = 0.8,
                                 .clip_range = Schedule::linear(0.2, 0)};
  options.stop.env_steps = 100'000;
  options.evaluate.episodes = 1;
  options.write = false;
  return options;
}

constexpr std::int64_t kMostSteps = 80'000;

// Prints steps, whether it was solved.
void solve_cartpole(std::uint64_t seed, bool quick) {
  TrainOptions options = cartpole_options();
  options.seed = seed;
  bool solved = false;
  Callbacks callbacks;
  callbacks.on_rollout = [&](const RolloutEvent& event) {
    solved = event.progress.episodes >= 100 && event.return_mean >= 475;
    return solved || event.progress.env_steps >= (quick ? 1'000 : kMostSteps) ? Flow::stop : Flow::go_on;
  };
  const TrainResult result = train(options, callbacks);
  std::printf("%lld %d\n", static_cast<long long>(result.progress.env_steps), solved);
}

// The task that RLtools measures itself by. Prints steps and the return on 100 held-out episodes.
void pendulum(std::int64_t steps) {
  TrainOptions options;
  options.env = *find_environment("pendulum");
  options.algorithm = PpoOptions{.lr = 2e-3,
                                 .n_envs = 4,
                                 .n_steps = 1024,
                                 .batch_size = 256,
                                 .n_epochs = 2,
                                 .gamma = 0.9,
                                 .normalize_reward = true};
  options.stop.env_steps = steps;
  options.evaluate.episodes = 100;
  options.workers = 0;
  options.write = false;
  const TrainResult result = train(options);
  std::printf("%lld %.3f\n", static_cast<long long>(result.progress.env_steps),
              rl::find(*result.find("trained"), "return")->value);
}

// APPO with two rollout processes, learning from rollouts in their order or as they arrive.
void appo(bool deterministic, std::int64_t steps) {
  TrainOptions options = cartpole_options();
  options.algorithm = AppoOptions{.lr = 1e-3,
                                  .n_envs = 16,
                                  .n_steps = 64,
                                  .deterministic = deterministic,
                                  .batch_size = 256,
                                  .n_epochs = 2,
                                  .gamma = 0.98,
                                  .ent_coef = 0.0,
                                  .max_grad_norm = 0.5};
  options.workers = 2;
  options.stop.env_steps = steps;
  const TrainResult result = train(options);
  std::printf("%lld %.3f\n", static_cast<long long>(result.progress.env_steps), result.training_return_mean);
}

// One iteration of the smallest kind.
void train_once(const std::string& learner) {
  TrainOptions options = cartpole_options();
  std::get<PpoOptions>(options.algorithm).n_epochs = 1;
  std::get<PpoOptions>(options.algorithm).learner = learner;
  options.stop.env_steps = 256;
  options.workers = 0;
  train(options);
}

void load_libtorch() {
#ifdef MOBULA_LIBTORCH
  if (!dlopen(MOBULA_LIBTORCH, RTLD_NOW)) throw std::runtime_error(dlerror());
#endif
}

Case whole_program(std::string name, std::string about, std::string floor) {
  Case out;
  out.name = std::move(name);
  out.group = "rl";
  out.about = std::move(about);
  out.floor = std::move(floor);
  return out;
}

Case cartpole_solved(const LearningBed& bed) {
  Case out = whole_program("cartpole_solved",
                           "CartPole-v1 to a mean of 475 over 100 training episodes: PPO, settings of rl-zoo, two "
                           "worker processes, from exec "
                           "to exit, processor time of all processes, at most 80,000 steps; the median of seeds 0 to 9",
                           "sgemm");
  struct State {
    int solved = 0, seeds = 0;
    double work = 0;
  };
  const auto state = std::make_shared<State>();
  out.once = [state, quick = bed.quick] {
    struct Run {
      double seconds, work;
    };
    std::vector<Run> runs;
    state->solved = state->seeds = 0;
    for (int seed = 0; seed < (quick ? 1 : 10); ++seed) {
      const Ended run = run_program(fmt::format("{}{}", quick ? "try_cartpole:" : "cartpole:", seed));
      const PassOperations one = actor_critic_operations(4, {64, 64}, 2);
      const double steps = run.said[0];
      runs.push_back(
          {std::chrono::duration<double>(run.cpu).count(), steps * (one.forward + 20 * one.forward_and_back)});
      ++state->seeds;
      state->solved += run.said[1] > 0;
    }
    // By what it costs beside its own work: a seed that needs more steps is not dearer.
    const auto middle = runs.begin() + static_cast<std::ptrdiff_t>((runs.size() - 1) / 2);
    std::nth_element(runs.begin(), middle, runs.end(),
                     [](const Run& a, const Run& b) { return a.seconds / a.work < b.seconds / b.work; });
    const double ratio = middle->seconds / middle->work;
    std::vector<double> seconds;
    for (const Run& run : runs) seconds.push_back(run.seconds);
    const double median = bench::percentile(seconds, 0.5);
    state->work = median / ratio;
    return nanoseconds(static_cast<std::int64_t>(1e9 * median));
  };
  out.work = [state] { return state->work; };
  out.note = [state] {
    return fmt::format("{} of {} seeds were solved within {} steps", state->solved, state->seeds, kMostSteps);
  };
  return out;
}

Case pendulum_300k(const LearningBed& bed) {
  Case out = whole_program("pendulum_300k",
                           "PPO on Pendulum, 300,000 steps, 2 epochs, batch 256, 64x64, one process, from exec to exit "
                           "with 100 held-out episodes, processor time",
                           "sgemm");
  const auto last = std::make_shared<Ended>();
  out.once = [last, quick = bed.quick] {
    *last = run_program(quick ? "try_pendulum" : "pendulum");
    return last->cpu;
  };
  out.work = [last] {
    const PassOperations one = actor_critic_operations(3, {64, 64}, 1);
    return last->said[0] * (one.forward + 2 * one.forward_and_back);
  };
  out.note = [last] { return fmt::format("return {:.1f} after {:.0f} steps", last->said[1], last->said[0]); };
  return out;
}

Case appo_program(const LearningBed& bed, std::string name, std::string about, std::string floor, std::string task) {
  Case out = whole_program(std::move(name), std::move(about), std::move(floor));
  if (out.floor.empty()) out.group = "floors";
  out.once = [task = bed.quick ? "try_" + task : task] { return run_program(task).wall; };
  return out;
}

Case start(std::string name, std::string about, std::string floor, std::string task, std::string missing) {
  Case out = whole_program(std::move(name), std::move(about), std::move(floor));
  if (out.floor.empty() && task == "load_libtorch") out.group = "floors";
  out.once = [task = std::move(task), missing = std::move(missing)] {
    if (!missing.empty()) throw bench::CannotMeasure(missing);
    return run_program(task).wall;
  };
  return out;
}

}  // namespace

void run_training_task(const std::string& name) {
  const auto colon = name.find(':');
  const std::string task = name.substr(0, colon);
  if (task == "cartpole" || task == "try_cartpole") {
    solve_cartpole(std::stoull(name.substr(colon + 1)), task.starts_with("try"));
  } else if (task == "pendulum" || task == "try_pendulum") {
    pendulum(task == "pendulum" ? 300'000 : 4'096);
  } else if (task.ends_with("appo_in_order") || task.ends_with("appo_freely")) {
    appo(task.ends_with("in_order"), task.starts_with("try") ? 4'096 : 200'704);
  } else if (task == "load_libtorch") {
    load_libtorch();
  } else {
    train_once(task);
  }
  std::fflush(stdout);
  _exit(0);  // what libraries do at their end is not part of it
}

void add_training_cases(const LearningBed& bed, std::vector<Case>& cases) {
#ifdef MOBULA_LIBTORCH
  const std::string missing = problem_with_learner("torch", "cpu");
#else
  const std::string missing = "this program was built without LibTorch";
#endif
  cases.push_back(cartpole_solved(bed));
  cases.push_back(pendulum_300k(bed));
  cases.push_back(appo_program(bed, "determinism_price",
                               "APPO on CartPole, 200,704 steps, two worker processes, from exec to exit, wall time: "
                               "the same bytes each time, with a lag of one update",
                               "free_running", "appo_in_order"));
  cases.push_back(
      appo_program(bed, "free_running", "the same with rollouts learned from as they arrive", "", "appo_freely"));
  cases.push_back(start("start_native", "a training program from exec to the end of its first update, native learner",
                        "", "native", ""));
  cases.push_back(start("start_torch", "the same with the torch learner", "load_libtorch", "torch", missing));
  cases.push_back(start("load_libtorch", "a program that loads LibTorch and ends", "", "load_libtorch", missing));
}

}  // namespace mobula::cli
