// Runs that an older Mobula left behind can be gone on with: tests/golden/checkpoints/<version>/<run> is kept for as
// long as that version's checkpoints shall be readable. MOBULA_UPDATE_CHECKPOINTS=<version> writes those that are
// missing there (never one that is there: it would no longer be that version's).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rl/train/experiment.h"
#include "rl/train/files.h"
#include "rl/train/trainer.h"
#include "runtime/config/config.h"
#include "tests/support/paths.h"
#include "tests/unit/train/scratch.h"

namespace mobula::rl {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

fs::path kept() {
  return tests::source_dir() / "tests/golden/checkpoints";
}

TrainOptions read(const fs::path& config) {
  return read_experiment(config::Document::parse(read_file(config), config.string()));
}

// Small, so that they can be kept; every part of a state that there is lies in one of them.
const std::map<std::string, std::string> runs{
    {"ppo_normalised",
     "env: {name: cartpole}\n"
     "algorithm: {name: ppo, n_envs: 2, n_steps: 16, batch_size: 16, n_epochs: 2, hidden: [8], lr_schedule: linear,\n"
     "  normalize_observation: true, normalize_reward: true}\n"
     "stop: {env_steps: 320}\n"},
    {"ppo_averaged",
     "env: {name: cartpole}\n"
     "algorithm: {name: ppo, n_envs: 2, n_steps: 16, batch_size: 16, n_epochs: 2, hidden: [8]}\n"
     "average_last: 0.5\n"
     "stop: {env_steps: 320}\n"},
    {"ppo_recurrent",
     "env: {name: stateless_cartpole}\n"
     "algorithm: {name: ppo, n_envs: 2, n_steps: 16, batch_size: 16, n_epochs: 2, hidden: [8], memory: lstm,\n"
     "  memory_units: 4}\n"
     "stop: {env_steps: 320}\n"},
    {"ppo_constrained",
     "env: {name: intersection, episode_length: 600}\n"
     "algorithm: {name: ppo, n_envs: 2, n_steps: 16, batch_size: 16, n_epochs: 2, hidden: [8]}\n"
     "fairness: {constraints: [{metric: mean_wait_gap, at_most: 5}]}\n"
     "stop: {env_steps: 320}\n"},
    {"ppo_wrapped",
     "env: {name: pendulum, wrappers: [{time_limit: 30}, {normalize_observation: true}, {normalize_reward: 0.99},\n"
     "  {frame_stack: 2}]}\n"
     "algorithm: {name: ppo, n_envs: 2, n_steps: 16, batch_size: 16, n_epochs: 2, hidden: [8], use_sde: true}\n"
     "stop: {env_steps: 320}\n"},
    {"a2c", "env: {name: cartpole}\nalgorithm: {name: a2c, n_envs: 2, hidden: [8]}\nstop: {env_steps: 320}\n"},
    {"impala",
     "env: {name: cartpole}\nalgorithm: {name: impala, n_envs: 2, n_steps: 8, hidden: [8]}\nstop: {env_steps: 320}\n"},
    {"appo",
     "env: {name: cartpole}\nalgorithm: {name: appo, n_envs: 2, n_steps: 8, hidden: [8]}\nstop: {env_steps: 320}\n"},
    {"dqn",
     "env: {name: cartpole}\n"
     "algorithm: {name: dqn, n_envs: 2, buffer_size: 200, learning_starts: 40, batch_size: 8, hidden: [8], n_steps: "
     "3,\n"
     "  prioritized: true, dueling: true, double_q: true, value_head: quantile, atoms: 5, iteration_steps: 40}\n"
     "stop: {env_steps: 320}\n"},
    {"sac",
     "env: {name: pendulum}\n"
     "algorithm: {name: sac, n_envs: 2, buffer_size: 200, learning_starts: 40, batch_size: 8, hidden: [8],\n"
     "  iteration_steps: 40}\n"
     "stop: {env_steps: 320}\n"},
    {"td3",
     "env: {name: pendulum}\n"
     "algorithm: {name: td3, n_envs: 2, buffer_size: 200, learning_starts: 40, batch_size: 8, hidden: [8],\n"
     "  iteration_steps: 40, exploration: ornstein_uhlenbeck}\n"
     "stop: {env_steps: 320}\n"},
    {"ars", "env: {name: cartpole}\nalgorithm: {name: ars, n_delta: 2}\nstop: {env_steps: 500}\n"},
    {"es", "env: {name: cartpole}\nalgorithm: {name: es, n_directions: 2, hidden: [8]}\nstop: {env_steps: 500}\n"},
};

// What is needed to go on, and what came out.
void copy_run(const fs::path& from, const fs::path& to) {
  fs::create_directories(to / "checkpoints");
  for (const auto name : {RunDirectory::config, RunDirectory::result}) fs::copy_file(from / name, to / name);
  const fs::path newest = CheckpointFolder(from / "checkpoints").files().at(0);
  fs::copy_file(newest, to / "checkpoints" / newest.filename());
}

TEST(GoldenCheckpoints, AreWrittenWhereTheyAreMissing) {
  const char* version = std::getenv("MOBULA_UPDATE_CHECKPOINTS");
  if (!version || !*version) return;
  Runtime runtime = Runtime::start({.workers = 0});
  for (const auto& [name, config] : runs) {
    const fs::path golden = kept() / version / name;
    if (fs::exists(golden)) continue;
    const Scratch scratch;
    TrainOptions options = read_experiment(config::Document::parse(config, name));
    options.experiment = name;
    options.workers = 1;
    options.evaluate.episodes = 20;
    options.run_directory = scratch / "run";
    train(runtime, options);
    copy_run(scratch / "run", golden);
  }
}

class GoldenCheckpoint : public testing::TestWithParam<std::string> {};

std::vector<std::string> all_kept() {
  std::vector<std::string> found;
  for (const auto& version : fs::directory_iterator(kept())) {
    if (!version.is_directory()) continue;
    for (const auto& run : fs::directory_iterator(version)) {
      found.push_back(fs::relative(run.path(), kept()).string());
    }
  }
  std::ranges::sort(found);
  return found;
}
INSTANTIATE_TEST_SUITE_P(Kept, GoldenCheckpoint, testing::ValuesIn(all_kept()), [](const auto& run) {
  std::string name = run.param;
  std::ranges::replace_if(
      name, [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  return name;
});

TEST(GoldenCheckpoints, AreThereOfEveryKindOfRun) {
  for (const auto& [name, config] : runs) {
    EXPECT_THAT(all_kept(), testing::Contains(testing::EndsWith("/" + name))) << "MOBULA_UPDATE_CHECKPOINTS writes it";
  }
}

TEST_P(GoldenCheckpoint, IsReadWholeAndGoneOnWith) {
  const Scratch scratch;
  const fs::path run = scratch / "run";
  copy_run(kept() / GetParam(), run);
  const json before = json::parse(read_file(run / RunDirectory::result));
  Runtime runtime = Runtime::start({.workers = 0});
  TrainOptions options = read(run / RunDirectory::config);
  options.run_directory = run;
  // As it was: nothing is left to be done, and what it has learned is what it had learned.
  const TrainResult same = resume(runtime, options);
  EXPECT_EQ(same.progress.env_steps, before.at("env_steps").get<std::int64_t>());
  EXPECT_EQ(same.progress.episodes, before.at("episodes").get<std::int64_t>());
  EXPECT_EQ(same.parameters_sha256, before.at("parameters_sha256").get<std::string>());
  // Twice as far. (The last bits of that are another machine's own.)
  options.stop.env_steps *= 2;
  const TrainResult further = resume(runtime, options);
  EXPECT_GE(further.progress.env_steps, options.stop.env_steps);
  EXPECT_GT(further.progress.iteration, same.progress.iteration);
  EXPECT_NE(further.parameters_sha256, same.parameters_sha256);
  EXPECT_EQ(resume(runtime, options).parameters_sha256, further.parameters_sha256) << "its own checkpoint, in turn";
}

}  // namespace
}  // namespace mobula::rl
