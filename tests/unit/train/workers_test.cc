// The promise of training on worker processes: whoever does the work, and whoever dies at it, the parameters are the
// same bytes.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <mobula/rl/intersection.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <ostream>
#include <string>
#include <utility>

#include "rl/envs/cartpole.h"
#include "rl/envs/pendulum.h"
#include "rl/train/trainer.h"
#include "tests/unit/train/run_records.h"
#include "tests/unit/train/scratch.h"
#include "tests/unit/train/small_run.h"

namespace mobula::rl {
namespace {

/// Kills the process it runs in at the 777th step of one of its environments, once a test: the file that
/// MOBULA_TEST_KILL names is made by whoever dies first. Without that variable it is just E.
template <class E>
struct Deadly : E {
  using E::E;
  auto step(const typename E::Action& action, Random& random) {
    if (++steps_taken == 777) {
      const char* file = std::getenv("MOBULA_TEST_KILL");
      if (file && *file && ::open(file, O_CREAT | O_EXCL | O_CLOEXEC, 0600) >= 0) ::kill(::getpid(), SIGKILL);
    }
    return E::step(action, random);
  }
  int steps_taken = 0;
};
struct DeadlyIntersection : Deadly<Intersection> {
  using Deadly<Intersection>::Deadly;
  template <class Archive>
  void serialize(Archive& archive) {
    Intersection::serialize(archive);
    archive(steps_taken);
  }
};

TrainOptions cartpole_50k() {
  TrainOptions options = small_cartpole();
  options.env = environment<Deadly<CartPole>>("deadly_cartpole");
  ppo(options).normalize_reward = false;
  options.stop.env_steps = 50'000;
  return options;
}

TrainOptions intersection_20k() {
  TrainOptions options = small_intersection();
  options.env = environment<DeadlyIntersection>("deadly_intersection");
  options.evaluate.baselines.clear();
  ppo(options).n_envs = 8;
  ppo(options).n_steps = 128;
  options.stop.env_steps = 20'000;
  return options;
}

template <class Options>
TrainOptions cartpole_with(Options algorithm, std::int64_t steps) {
  TrainOptions options = cartpole_50k();
  algorithm.normalize_observation = true;
  options.algorithm = algorithm;
  options.stop.env_steps = steps;
  return options;
}
TrainOptions recurrent() {
  return cartpole_with(
      PpoOptions{.n_envs = 8, .n_steps = 32, .batch_size = 64, .n_epochs = 2, .memory = "lstm", .memory_units = 16},
      12'000);
}
TrainOptions a2c() {
  return cartpole_with(A2cOptions{}, 24'000);
}
TrainOptions impala() {
  return cartpole_with(ImpalaOptions{.n_envs = 8, .n_steps = 32, .lag = 2}, 20'000);
}
TrainOptions appo() {
  return cartpole_with(AppoOptions{.n_envs = 8, .n_steps = 32}, 20'000);
}
TrainOptions ars() {
  return cartpole_with(ArsOptions{.delta_std = 0.1, .n_delta = 4}, 40'000);
}

// Algorithms with a replay buffer, many rounds an iteration.
template <class Options>
TrainOptions off_policy(EnvironmentSpec env, Options algorithm) {
  TrainOptions options;
  options.env = std::move(env);
  algorithm.n_envs = 4;
  algorithm.train_freq = 3;
  algorithm.buffer_size = 2'000;
  algorithm.learning_starts = 100;
  algorithm.batch_size = 32;
  algorithm.hidden = {16, 16};
  algorithm.iteration_steps = 60;
  options.algorithm = std::move(algorithm);
  options.stop.env_steps = 5'000;
  options.evaluate.episodes = 2;
  options.write = false;
  return options;
}

TrainOptions dqn_5k() {
  return off_policy(environment<Deadly<CartPole>>("deadly_cartpole"), DqnOptions{.n_steps = 3,
                                                                                 .target_update_interval = 100,
                                                                                 .double_q = true,
                                                                                 .dueling = true,
                                                                                 .prioritized = true,
                                                                                 .value_head = "quantile",
                                                                                 .atoms = 5});
}
TrainOptions sac_5k() {
  return off_policy(environment<Deadly<Pendulum>>("deadly_pendulum"), SacOptions{});
}
TrainOptions sac_gsde_5k() {
  return off_policy(environment<Deadly<Pendulum>>("deadly_pendulum"),
                    SacOptions{.use_sde = true, .sde_sample_freq = 4});
}
TrainOptions discrete_sac_5k() {
  return off_policy(environment<Deadly<CartPole>>("deadly_cartpole"), SacOptions{});
}
TrainOptions td3_5k() {
  return off_policy(environment<Deadly<Pendulum>>("deadly_pendulum"), Td3Options{});
}

// The same with LibTorch's gradients.
template <TrainOptions (*options)()>
TrainOptions by_torch() {
  TrainOptions all = options();
  std::visit(
      [](auto& algorithm) {
        if constexpr (requires { algorithm.learner; }) algorithm.learner = "torch";
      },
      all.algorithm);
  all.stop.env_steps = all.stop.env_steps * 2 / 3;  // long enough to die on the way
  return all;
}

#ifdef MOBULA_TEST_NETWORK
/// A bright point in a picture of 8 by 8 wanders; it is to be called left or right.
struct Pictures {
  struct Config {
    void describe(Fields&) {}
  };
  using Observation = std::array<float, 64>;
  using Action = Discrete<3>;
  explicit Pictures(const Config&) {}
  Observation reset(Random& random) {
    at = static_cast<int>(random.below(64));
    steps = 0;
    return observe();
  }
  Step<Observation> step(const Action& action, Random& random) {
    const double reward = action.index == (at % 8 < 4 ? 0 : 2) ? 1 : 0;
    at = (at + 1 + static_cast<int>(random.below(9))) % 64;
    return {observe(), reward, false, ++steps == 20};
  }
  Observation observe() const {
    Observation picture{};
    picture[static_cast<std::size_t>(at)] = 1;
    return picture;
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(at, steps);
  }
  int at = 0, steps = 0;
};
struct DeadlyPictures : Deadly<Pictures> {
  using Deadly<Pictures>::Deadly;
  template <class Archive>
  void serialize(Archive& archive) {
    Pictures::serialize(archive);
    archive(steps_taken);
  }
};

// With the convolutional network of examples/own_network.
TrainOptions own_network() {
  TrainOptions options = cartpole_with(PpoOptions{.n_envs = 8,
                                                  .n_steps = 32,
                                                  .batch_size = 64,
                                                  .n_epochs = 1,
                                                  .learner = "torch",
                                                  .network = MOBULA_TEST_NETWORK},
                                       9'000);
  options.env = environment<DeadlyPictures>("deadly_pictures");
  return options;
}
#endif

struct Case {
  const char* name;
  TrainOptions (*options)();
  friend void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }
};
class OnWorkers : public testing::TestWithParam<Case> {
 protected:
  static std::string hash_with(TrainOptions options, int workers) {
    options.workers = workers;
    return train(options).parameters_sha256;
  }
};
INSTANTIATE_TEST_SUITE_P(Environments, OnWorkers,
                         testing::Values(Case{"CartPole", &cartpole_50k}, Case{"Intersection", &intersection_20k},
                                         Case{"RecurrentPpo", &recurrent}, Case{"A2c", &a2c}, Case{"Impala", &impala},
                                         Case{"Appo", &appo}, Case{"Ars", &ars}, Case{"Dqn", &dqn_5k},
                                         Case{"Sac", &sac_5k}, Case{"DiscreteSac", &discrete_sac_5k},
                                         Case{"Td3", &td3_5k}),
                         [](const auto& one) { return std::string(one.param.name); });

#ifdef MOBULA_HAVE_TORCH
INSTANTIATE_TEST_SUITE_P(TorchLearner, OnWorkers,
                         testing::Values(Case{"Ppo", &by_torch<&cartpole_50k>},
                                         Case{"RecurrentPpo", &by_torch<&recurrent>}, Case{"A2c", &by_torch<&a2c>},
                                         Case{"Impala", &by_torch<&impala>}, Case{"Appo", &by_torch<&appo>},
                                         Case{"Dqn", &by_torch<&dqn_5k>}, Case{"Sac", &by_torch<&sac_5k>},
                                         Case{"SacGsde", &by_torch<&sac_gsde_5k>},
                                         Case{"DiscreteSac", &by_torch<&discrete_sac_5k>},
                                         Case{"Td3", &by_torch<&td3_5k>}),
                         [](const auto& one) { return std::string(one.param.name); });
#endif

#ifdef MOBULA_TEST_NETWORK
INSTANTIATE_TEST_SUITE_P(TorchNetwork, OnWorkers, testing::Values(Case{"Convolutional", &own_network}),
                         [](const auto& one) { return std::string(one.param.name); });
#endif

TEST_P(OnWorkers, ParametersAreTheSameForAnyNumberOfWorkers) {
  const TrainOptions options = GetParam().options();
  const std::string none = hash_with(options, 0);
  for (const int workers : {1, 2, 4}) EXPECT_EQ(hash_with(options, workers), none) << workers << " workers";
}

TEST_P(OnWorkers, ParametersAreTheSameAfterAWorkerWasKilled) {
  const TrainOptions options = GetParam().options();
  const std::string undisturbed = hash_with(options, 0);
  const Scratch scratch;
  const std::string died = scratch / "died";
  // Workers get their environment variables when the runtime starts.
  TrainOptions written = options;
  written.write = true;
  written.run_directory = scratch / "run";
  ::setenv("MOBULA_TEST_KILL", died.c_str(), 1);
  const std::string disturbed = hash_with(written, 2);
  ::unsetenv("MOBULA_TEST_KILL");
  const auto deaths = events_of_kind(scratch / "run/events.jsonl", "worker_died");
  const auto restarts = events_of_kind(scratch / "run/events.jsonl", "worker_restarted");
  ASSERT_EQ(deaths.size(), 1u);
  ASSERT_EQ(restarts.size(), 1u);
  EXPECT_THAT(deaths[0].at("worker").get<std::string>(), testing::StartsWith("rollout "));
  EXPECT_EQ(restarts[0].at("worker"), deaths[0].at("worker"));
  EXPECT_NE(restarts[0].at("process"), deaths[0].at("process"));
  EXPECT_TRUE(std::filesystem::exists(died)) << "nobody was killed, so this has shown nothing";
  EXPECT_EQ(disturbed, undisturbed);
}

TEST_P(OnWorkers, ParametersAreTheSameAfterStopsAndResumptionsWithOtherNumbersOfWorkers) {
  TrainOptions options = GetParam().options();
  const std::string undisturbed = hash_with(options, 0);
  const Scratch scratch;
  options.write = true;
  options.run_directory = scratch / "run";
  std::int64_t done = 0, stop_at = 3;
  options.interrupted = [&] { return done >= stop_at; };
  Callbacks callbacks;
  // Not of iterations: those that make many rounds one are stopped within it.
  callbacks.on_rollout = [&](const RolloutEvent&) { ++done; };
  options.workers = 2;
  TrainResult result = train(options, callbacks);
  int resumptions = 0;
  while (result.interrupted) {
    stop_at = done + 5 + 20 * resumptions;
    options.workers = ++resumptions % 3;
    result = resume(options, callbacks);
  }
  EXPECT_GE(resumptions, 2);
  EXPECT_EQ(result.parameters_sha256, undisturbed);
}

TEST(Workers, EvaluateWhileTrainingGoesOnWithoutChangingIt) {
  TrainOptions options = intersection_20k();
  options.workers = 2;
  const std::string without = train(options).parameters_sha256;
  options.evaluate.every = 4;
  options.evaluate.workers = 2;
  int evaluations = 0;
  Callbacks callbacks;
  callbacks.on_evaluation = [&](const EvaluationEvent& event) { evaluations += !event.final; };
  EXPECT_EQ(train(options, callbacks).parameters_sha256, without);
  EXPECT_EQ(evaluations, 4);  // of 20 iterations; at the last one it is the final evaluation
}

// Rollout actors reserve no cpu: four of them run on a node of one.
TEST(Workers, MayBeMoreThanTheNodeHasCpus) {
  Runtime runtime = Runtime::start({.workers = 1});
  TrainOptions options = small_cartpole();
  options.workers = 4;
  const TrainResult result = train(runtime, options);
  EXPECT_EQ(result.progress.env_steps, options.stop.env_steps);
}

}  // namespace
}  // namespace mobula::rl
