// The same answer twice: the bytes of all parameters after a run are those of the same run in one process, whatever the
// number of workers, with one thread in the learner or two, with workers killed at random moments, and with the run
// stopped and resumed at random moments.
//
// Built twice: with some thousand steps for every test run, and with 200,000 (SAC and TD3: 20,000) as
// determinism_long_test.
#include <gtest/gtest.h>
#include <mobula/rl/train.h>
#include <mobula/runtime.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "rl/envs/pendulum.h"
#include "tests/learn/kill_worker.h"
#include "tests/unit/train/scratch.h"

namespace mobula::rl {
namespace {

#ifdef MOBULA_LONG
constexpr bool kLong = true;
#define PREFIX Long
#else
constexpr bool kLong = false;
#define PREFIX Algorithms
#endif

/// Pendulum that counts what it is pushed: a cost of every step, and a total that a limit can be on.
struct Pushed : Pendulum {
  using Pendulum::Pendulum;
  static constexpr std::array<std::string_view, 1> cost_names{"push"}, group_names{"all"};
  Observation reset(Random& random) {
    pushed = 0;
    return Pendulum::reset(random);
  }
  Step<Observation> step(const Action& action, Random& random) {
    last = {{std::fabs(action.value[0])}, {0}};
    pushed += std::lround(1000 * std::fabs(action.value[0]));
    return Pendulum::step(action, random);
  }
  Annotation<1> annotate() const { return last; }
  void report(EpisodeReport& out) const { out.add_total("push", "", pushed); }
  Annotation<1> last{};
  std::int64_t pushed = 0;
};

struct Run {
  std::string name;
  const char* env;
  AlgorithmOptions algorithm;
  std::int64_t short_steps, long_steps;
  bool threads = false;      // has learner_threads
  bool constrained = false;  // a limit that the untrained policy breaks, so that its multipliers move
};
void PrintTo(const Run& run, std::ostream* out) {
  *out << run.name;
}

// Of the algorithms with a replay buffer: many rounds an iteration, small networks.
template <class Options>
Options off_policy(Options options) {
  options.n_envs = 4;
  options.train_freq = 2;
  options.buffer_size = 10'000;
  options.learning_starts = 200;
  options.batch_size = 32;
  options.hidden = {64, 64};
  options.iteration_steps = 200;
  return options;
}
Td3Options td3(const std::string& exploration) {
  Td3Options options = off_policy(Td3Options{});
  options.exploration = exploration;
  return options;
}
SacOptions sac(const std::string& exploration) {
  SacOptions options = off_policy(SacOptions{});
  options.exploration = exploration;
  return options;
}

SacOptions sac_gsde() {
  SacOptions options = sac("policy");
  options.train_freq = 8;
  options.gradient_steps = 4;
  options.use_sde = true;
  options.sde_sample_freq = 4;
  return options;
}
DqnOptions dqn_parameter_noise() {
  DqnOptions options = off_policy(DqnOptions{.double_q = true});
  options.exploration = "parameter";
  return options;
}

std::vector<Run> runs() {
  const PpoOptions ppo{.n_envs = 8, .n_steps = 64, .batch_size = 128, .n_epochs = 4, .normalize_observation = true};
  PpoOptions gsde = ppo;
  gsde.use_sde = true;
  gsde.sde_sample_freq = 4;
  PpoOptions lstm = ppo;
  lstm.memory = "lstm";
  lstm.memory_units = 16;
  return {{"ppo", "cartpole", ppo, 8'192, 200'000, true},
          {"ppo_gsde", "pendulum", gsde, 8'192, 200'000, true},
          {"ppo_lstm", "cartpole", lstm, 4'096, 50'000, false},
          {"a2c", "cartpole", A2cOptions{.normalize_observation = true}, 12'000, 200'000, true},
          {"impala", "cartpole", ImpalaOptions{.n_envs = 8, .n_steps = 32, .lag = 2}, 12'000, 200'000, true},
          {"appo", "cartpole", AppoOptions{.n_envs = 8, .n_steps = 32, .normalize_observation = true}, 12'000, 200'000,
           true},
          {"dqn", "cartpole", off_policy(DqnOptions{.double_q = true, .dueling = true, .prioritized = true}), 4'000,
           200'000},
          {"dqn_parameter_noise", "cartpole", dqn_parameter_noise(), 4'000, 200'000},
          {"sac", "pendulum", sac("policy"), 2'000, 20'000},
          {"sac_gsde", "pendulum", sac_gsde(), 2'000, 20'000},
          {"sac_ornstein_uhlenbeck", "pendulum", sac("ornstein_uhlenbeck"), 2'000, 20'000},
          {"td3", "pendulum", td3("normal"), 2'000, 20'000},
          {"td3_ornstein_uhlenbeck", "pendulum", td3("ornstein_uhlenbeck"), 2'000, 20'000},
          {"td3_parameter_noise", "pendulum", td3("parameter"), 2'000, 20'000},
          {"ars", "cartpole", ArsOptions{.delta_std = 0.1, .n_delta = 4}, 20'000, 200'000},
          {"es", "cartpole", EsOptions{.n_directions = 8}, 20'000, 200'000},
          {"ppo_constrained", "intersection", ppo, 8'192, 200'000, true, true},
          {"a2c_constrained", "intersection", A2cOptions{}, 8'192, 200'000, true, true},
          {"appo_constrained", "intersection", AppoOptions{.n_envs = 8, .n_steps = 32}, 8'192, 200'000, true, true},
          {"sac_constrained", "pushed", sac("policy"), 2'000, 20'000, false, true}};
}

TrainOptions options_of(const Run& run) {
  TrainOptions options;
  options.experiment = run.name;
  const std::string env = run.env;
  options.env = env == "pushed" ? environment<Pushed>(env) : *find_environment(env);
  options.algorithm = run.algorithm;
  options.seed = 7;
  options.workers = 0;
  options.stop.env_steps = kLong ? run.long_steps : run.short_steps;
  options.evaluate.episodes = 1;
  options.write = false;
  if (run.constrained) {
    options.evaluate.episodes = 300;  // as many as the limits ask for
    if (env == "pushed") {
      options.fairness.constraints = {{.metric = "push", .at_most = 50}};
    } else {
      options.env.config = "episode_length: 300\n";
      options.fairness.constraints = {{.metric = "mean_wait_gap", .at_most = 1}};
    }
  }
  return options;
}

// In one process, left alone; made once for all tests of a run.
const std::string& reference(const Run& run) {
  static std::map<std::string, std::string> all;
  std::string& hash = all[run.name];
  if (!hash.empty()) return hash;
  double most = 0;
  Callbacks callbacks;
  callbacks.on_update = [&](const UpdateEvent& event) {
    for (const auto& part : event.constraints) most = std::max(most, part.multiplier);
  };
  const TrainResult result = train(options_of(run), callbacks);
  EXPECT_EQ(result.stopped_by, "env_steps");
  EXPECT_EQ(most > 0, run.constrained) << "multipliers move where there is something to keep";
  return hash = result.parameters_sha256;
}

// Moments that differ from run to run; MOBULA_TEST_SEED replays one.
std::uint64_t seed_of_moments() {
  const char* given = std::getenv("MOBULA_TEST_SEED");
  return given ? std::stoull(given) : static_cast<std::uint64_t>(getpid());
}

class Determinism : public testing::TestWithParam<Run> {
 protected:
  Determinism() : seed(seed_of_moments()), random(seed, Stream::user) {}
  const std::uint64_t seed;
  Random random;
};
INSTANTIATE_TEST_SUITE_P(PREFIX, Determinism, testing::ValuesIn(runs()),
                         [](const auto& parameter) { return parameter.param.name; });

TEST_P(Determinism, AnyNumberOfWorkersGivesTheSameBytes) {
  for (const int workers : {1, 2, 4}) {
    TrainOptions options = options_of(GetParam());
    options.workers = workers;
    EXPECT_EQ(train(options).parameters_sha256, reference(GetParam())) << workers << " workers";
  }
}

TEST_P(Determinism, TwoLearnerThreadsGiveTheBytesOfOne) {
  if (!GetParam().threads) {
    // The replay learners, ES and policies with memory have one thread: there is nothing to vary.
    EXPECT_EQ(train(options_of(GetParam())).parameters_sha256, reference(GetParam())) << "twice the same at least";
    return;
  }
  TrainOptions options = options_of(GetParam());
  std::visit(
      [](auto& algorithm) {
        if constexpr (requires { algorithm.learner_threads; }) algorithm.learner_threads = 2;
      },
      options.algorithm);
  EXPECT_EQ(train(options).parameters_sha256, reference(GetParam()));
}

TEST_P(Determinism, WorkersKilledAtRandomMomentsChangeNothing) {
  SCOPED_TRACE("replay with MOBULA_TEST_SEED=" + std::to_string(seed));
  TrainOptions options = options_of(GetParam());
  options.workers = 2;
  const std::int64_t wanted = kLong ? 20 : 3;
  const std::int64_t between = options.stop.env_steps / (wanted + 1);
  std::int64_t kills = 0, next = 0;
  Callbacks callbacks;
  callbacks.on_update = [&](const UpdateEvent& event) {
    if (kills == wanted || event.progress.env_steps < next) return;
    if (!kill_a_worker(random)) return;
    ++kills;
    next = event.progress.env_steps + random.below(static_cast<std::uint32_t>(2 * between));
  };
  EXPECT_EQ(train(options, callbacks).parameters_sha256, reference(GetParam()));
  std::cout << kills << " workers killed\n";
  EXPECT_GT(kills, 0);
}

TEST_P(Determinism, StoppedAndResumedAtRandomMomentsItEndsWithTheSameBytes) {
  SCOPED_TRACE("replay with MOBULA_TEST_SEED=" + std::to_string(seed));
  const Scratch scratch;
  TrainOptions options = options_of(GetParam());
  options.write = true;
  options.run_directory = scratch / "run";
  // A round that is interrupted leaves no trace, so a stop may fall into the middle of one.
  std::int64_t until = 0;
  std::int64_t seen = 0;
  Callbacks callbacks;
  callbacks.on_rollout = [&](const RolloutEvent& event) { seen = event.progress.env_steps; };
  options.interrupted = [&] { return seen > until; };
  int stops = 0;
  const auto step = static_cast<std::uint32_t>(options.stop.env_steps / 2);
  until = random.below(step);
  TrainResult result = train(options, callbacks);
  while (result.interrupted) {
    ++stops;
    until = seen + random.below(step);
    options.workers = static_cast<int>(random.below(3));
    result = resume(options, callbacks);
  }
  EXPECT_EQ(result.parameters_sha256, reference(GetParam()));
  std::cout << stops << " stops\n";
  EXPECT_GT(stops, 0);
}

}  // namespace
}  // namespace mobula::rl
