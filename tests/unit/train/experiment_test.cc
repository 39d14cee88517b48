#include "rl/train/experiment.h"

#include <gmock/gmock.h>

#include <string>
#include <variant>

#include "rl/train/files.h"
#include "rl/train/trainer.h"
#include "runtime/config/config.h"
#include "tests/unit/train/scratch.h"

namespace mobula::rl {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TrainOptions read(const std::string& text) {
  return read_experiment(config::Document::parse(text, "run.yaml"));
}

std::string error_of(const std::string& text) {
  try {
    read(text);
  } catch (const config::ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Experiment, NeedsNothingButAnEnvironment) {
  const TrainOptions options = read("env: {name: cartpole}\n");
  EXPECT_EQ(options.env.name, "cartpole");
  EXPECT_EQ(options.experiment, "experiment");
  EXPECT_EQ(options.stop.env_steps, 1'000'000);
  EXPECT_EQ(std::get<PpoOptions>(options.algorithm).lr, 3e-4);
}

TEST(Experiment, ReadsEverySection) {
  const TrainOptions options = read(
      "experiment: crossing\n"
      "env: {name: intersection, main_demand: 700, side_demand: 100}\n"
      "algorithm: {name: ppo, lr: 1.0e-3, hidden: [32, 16]}\n"
      "workers: 3\n"
      "seed: 12\n"
      "stop: {env_steps: 5000, return_mean: -100}\n"
      "evaluate: {every: 4, episodes: 7, baselines: [fixed_time, max_pressure], deterministic: false}\n"
      "checkpoint: {every: 9, keep: 2}\n");
  EXPECT_EQ(options.experiment, "crossing");
  EXPECT_THAT(options.env.config, HasSubstr("main_demand: 700"));
  EXPECT_THAT(std::get<PpoOptions>(options.algorithm).hidden, testing::ElementsAre(32, 16));
  EXPECT_EQ(options.workers, 3);
  EXPECT_EQ(options.seed, 12u);
  EXPECT_EQ(options.stop.return_mean, -100.0);
  EXPECT_FALSE(options.evaluate.deterministic);
  EXPECT_EQ(options.evaluate.baselines.size(), 2u);
  EXPECT_EQ(options.checkpoint.keep, 2);
}

TEST(Experiment, ReadsBackWhatItWrites) {
  const std::string text =
      write_experiment(read("env: {name: intersection, main_demand: 700.25}\n"
                            "algorithm: {name: ppo, lr: 0.1, target_kl: 0.03}\n"
                            "seed: 18446744073709551615\n"
                            "stop: {wall_seconds: 1.5}\n"));
  EXPECT_EQ(write_experiment(read(text)), text);
  EXPECT_THAT(text, HasSubstr("seed: 18446744073709551615"));
}

TEST(Experiment, TheNameOfTheAlgorithmChoosesItsSettings) {
  const TrainOptions dqn = read("env: {name: cartpole}\nalgorithm: {name: dqn, prioritized: true, atoms: 7}\n");
  EXPECT_TRUE(std::get<DqnOptions>(dqn.algorithm).prioritized);
  EXPECT_EQ(std::get<DqnOptions>(dqn.algorithm).atoms, 7);
  for (const std::string name : {"ppo", "dqn", "sac"}) {
    const std::string text = write_experiment(read("env: {name: cartpole}\nalgorithm: {name: " + name + "}\n"));
    EXPECT_THAT(text, HasSubstr("name: " + name));
    EXPECT_EQ(write_experiment(read(text)), text);
  }
  EXPECT_THAT(error_of("env: {name: cartpole}\nalgorithm: {name: dqn, clip_range: 1}\n"),
              HasSubstr("unknown key 'algorithm.clip_range'"));
  EXPECT_THAT(error_of("env: {name: cartpole}\nalgorithm: {name: td3}\n"),
              testing::AllOf(StartsWith("run.yaml:2:19:"), HasSubstr("td3 learns boxes")));
  EXPECT_THAT(error_of("env: {name: pendulum}\nalgorithm: {name: dqn}\n"), HasSubstr("sac and td3"));
  EXPECT_THAT(error_of("env: {name: cartpole}\nalgorithm: {name: dqn, value_head: categorical, v_min: 2, v_max: 1}\n"),
              HasSubstr("it must be less than v_max"));
}

TEST(Experiment, ReadsAndWritesWrappers) {
  const std::string yaml =
      "env: {name: pendulum, gravity: 9.81, wrappers: [{time_limit: 100}, {rescale_action: true}, {frame_stack: 4}, "
      "{normalize_reward: 0.9}, {clip_observation: 2.5}, {record: some folder}]}\n";
  const TrainOptions options = read(yaml);
  EXPECT_EQ(options.env.info.observation_size, 12);
  EXPECT_EQ(options.env.info.action.high, 1);
  EXPECT_THAT(options.env.config, HasSubstr("wrappers: [{time_limit: 100}, {rescale_action: true}, {frame_stack: 4}"));
  const std::string text = write_experiment(options);
  EXPECT_EQ(write_experiment(read(text)), text);
  EXPECT_EQ(read(text).env.info.observation_size, 12);
  // Also around an environment without settings of its own.
  EXPECT_EQ(read("env: {name: identity_box, wrappers: [{frame_stack: 2}]}\n").env.info.observation_size, 4);
}

TEST(Experiment, ErrorsInWrappersNameTheirPlace) {
  EXPECT_THAT(error_of("env: {name: cartpole, wrappers: [{frame_stak: 4}]}\n"),
              HasSubstr("did you mean 'frame_stack'"));
  EXPECT_THAT(error_of("env: {name: cartpole, wrappers: [{time_limit: 5}, {rescale_action: true}]}\n"),
              HasSubstr("env.wrappers.1.rescale_action: the actions of this environment are not a box"));
  EXPECT_THAT(error_of("env:\n  name: cartpole\n  wrappers:\n    - {time_limit: 5, frame_stack: 2}\n"),
              StartsWith("run.yaml:4:"));
}

TEST(Experiment, AnEnvironmentWithoutSettingsIsWrittenToo) {
  const std::string text = write_experiment(read("env: {name: identity_box}\n"));
  EXPECT_EQ(read(text).env.name, "identity_box");
}

TEST(Experiment, ErrorsNameFileLineAndColumn) {
  EXPECT_THAT(error_of("experiment: a\n"), HasSubstr("env"));
  EXPECT_THAT(error_of("env: {name: cartpol}\n"), StartsWith("run.yaml:1:13:"));
  EXPECT_THAT(error_of("env: {name: cartpol}\n"), HasSubstr("did you mean 'cartpole'"));
  EXPECT_THAT(error_of("env: {name: cartpole}\nworker: 2\n"), StartsWith("run.yaml:2:1:"));
  EXPECT_THAT(error_of("env: {name: cartpole}\nworker: 2\n"), HasSubstr("did you mean 'workers'"));
  EXPECT_THAT(error_of("env: {name: cartpole}\nalgorithm: {name: pop}\n"), HasSubstr("did you mean 'ppo'"));
  EXPECT_THAT(error_of("env: {name: cartpole}\nalgorithm: {lr: -1}\n"), StartsWith("run.yaml:2:17:"));
  EXPECT_THAT(error_of("env: {name: cartpole}\nworkers: two\n"), StartsWith("run.yaml:2:10:"));
  EXPECT_THAT(error_of("env: {name: cartpole}\nstop: {env_steps: 0}\n"), StartsWith("run.yaml:2:19:"));
  EXPECT_THAT(error_of("env: {name: cartpole}\nexperiment: a/b\n"), HasSubstr("cannot name a folder"));
  EXPECT_THAT(error_of("env: {name: intersection, main_demand: many}\n"), StartsWith("run.yaml:1:40:"));
}

TEST(Experiment, BaselinesMustBeTheEnvironments) {
  EXPECT_THAT(error_of("env: {name: intersection}\nevaluate: {baselines: [fixed_time, fixd]}\n"),
              testing::AllOf(StartsWith("run.yaml:2:36:"), HasSubstr("fixed_time, max_pressure, longest_queue")));
  EXPECT_THAT(error_of("env: {name: identity_discrete}\nevaluate: {baselines: [fixed_time]}\n"),
              HasSubstr("environment 'identity_discrete' has no baselines"));
}

TEST(Options, SetInAProgramObeyTheSameRules) {
  TrainOptions options = read("env: {name: cartpole}\n");
  EXPECT_EQ(check_before_training(options), "");
  options.algorithm = PpoOptions{.lr = -1};
  EXPECT_THAT(check_before_training(options), HasSubstr("lr"));
  options = read("env: {name: cartpole}\n");
  options.workers = -2;
  EXPECT_THAT(check_before_training(options), HasSubstr("workers"));
  EXPECT_THAT(check_before_training(TrainOptions{}), HasSubstr("no environment was given"));
}

TEST(Resuming, IsRefusedForAnotherRun) {
  const Scratch scratch;
  const TrainOptions options = read("env: {name: cartpole}\nseed: 3\n");
  write_file(scratch / "config.yaml", write_experiment(options));
  const auto refused = [&](const std::string& text) {
    try {
      check_same_run(read(text), scratch / "config.yaml");
    } catch (const TrainError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(refused("env: {name: cartpole}\nseed: 3\nworkers: 9\nstop: {env_steps: 9}\nevaluate: {every: 2}\n"),
              "accepted");
  EXPECT_THAT(refused("env: {name: cartpole}\nseed: 4\n"), HasSubstr("its seed differs"));
  EXPECT_THAT(refused("env: {name: cartpole, time_limit: 9}\nseed: 3\n"), HasSubstr("its environment differs"));
  EXPECT_THAT(refused("env: {name: identity_box}\nseed: 3\n"), HasSubstr("its environment differs"));
  EXPECT_THAT(refused("env: {name: cartpole}\nseed: 3\nalgorithm: {lr: 1}\n"), HasSubstr("its algorithm differs"));

  EXPECT_THAT(refused("env: {name: cartpole}\nseed: 3\nfairness: {long_above: 5}\n"),
              HasSubstr("its fairness differs"));
  EXPECT_THAT(refused("env: {name: cartpole, wrappers: [{frame_stack: 2}]}\nseed: 3\n"),
              HasSubstr("its environment differs"));

  // What an older program stored lacks settings.
  std::string older = write_experiment(options);
  for (const std::string setting : {"  ortho_init: true\n", "  long_above: 60\n", "  time_limit: 500\n"}) {
    ASSERT_NE(older.find(setting), std::string::npos) << setting;
    older.erase(older.find(setting), setting.size());
  }
  write_file(scratch / "config.yaml", older);
  EXPECT_THAT(refused("env: {name: cartpole}\nseed: 3\n"), "accepted");
  EXPECT_THAT(refused("env: {name: cartpole}\nseed: 3\nalgorithm: {ortho_init: false}\n"),
              HasSubstr("its algorithm differs"));
  EXPECT_THAT(refused("env: {name: cartpole, time_limit: 9}\nseed: 3\n"), HasSubstr("its environment differs"));
  EXPECT_THAT(refused("env: {name: cartpole}\nseed: 3\nfairness: {long_above: 5}\n"),
              HasSubstr("its fairness differs"));
}

}  // namespace
}  // namespace mobula::rl
