// A training run whose program is killed with SIGKILL at random moments and resumed each time leaves the records of one
// that was left alone.

#include <gmock/gmock.h>
#include <mobula/random.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <thread>

#include "tests/unit/train/child_process.h"
#include "tests/unit/train/run_records.h"
#include "tests/unit/train/scratch.h"

namespace mobula::rl {
namespace {

const std::string kProgram = tests::binary_dir() / "cli/mobula";

constexpr const char* kRun =
    "experiment: killed\n"
    "env: {name: intersection, episode_length: 600}\n"
    "algorithm: {n_envs: 4, n_steps: 64, n_epochs: 2}\n"
    "fairness: {constraints: [{metric: mean_wait_gap, at_most: 100}]}\n"
    "stop: {env_steps: 10240}\n"
    "checkpoint: {every: 3}\n"
    "evaluate: {every: 2, episodes: 6, baselines: [fixed_time]}\n";

/// The evaluations by iteration: their order among the iterations is that in which they arrived.
std::vector<nlohmann::json> evaluations(const std::filesystem::path& run) {
  auto all = events_of_kind(run / "events.jsonl", "evaluation");
  for (auto& event : all) event.erase("time");
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.at("iteration") < b.at("iteration"); });
  return all;
}

class KilledRun : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Workers, KilledRun, testing::Values(0, 2), testing::PrintToStringParamName());

TEST_P(KilledRun, LeavesTheRecordsOfOneThatWasLeftAlone) {
  using Clock = std::chrono::steady_clock;
  const Scratch scratch;
  std::ofstream(scratch / "run.yaml") << kRun;
  const ChildProcess::Setting here{.directory = scratch.path()};
  const std::string workers = "workers=" + std::to_string(GetParam());
  const auto began = Clock::now();
  {
    ChildProcess whole({kProgram, "train", "run.yaml", "--set", workers, "--run-dir", "whole"}, here);
    ASSERT_EQ(whole.wait(), 0) << whole.output();
  }
  const auto time = Clock::now() - began;

  const std::uint64_t seed = static_cast<std::uint64_t>(::getpid());
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed, Stream::user);
  int kills = 0, runs = 0;
  for (; kills < 20; ++runs) {
    const std::string name = "killed-" + std::to_string(runs);
    // The longer it takes, the longer each attempt may be, so that it ends however busy the machine is.
    for (double most = 0.4;; most *= 1.2) {
      const auto folder = scratch / name;
      std::vector<std::string> command{kProgram, "train", "run.yaml", "--set", workers, "--run-dir", name};
      if (std::filesystem::exists(folder / "config.yaml")) command = {kProgram, "train", "--resume", name};
      // Killed in its first moments, before it had written its settings, it left nothing to go on from.
      if (command[2] == "run.yaml") std::filesystem::remove_all(folder);
      ChildProcess child(command, here);
      std::this_thread::sleep_for(random.uniform() * most * time);
      child.send(SIGKILL);
      const int status = child.wait();
      if (status != 128 + SIGKILL) {
        ASSERT_EQ(status, 0) << child.output();
        break;
      }
      ++kills;
    }
    const auto run = scratch / name, whole = scratch / "whole";
    EXPECT_EQ(without_times(csv_rows(run / "progress.csv")), without_times(csv_rows(whole / "progress.csv")));
    auto rows = csv_rows(run / "evaluations.csv"), expected = csv_rows(whole / "evaluations.csv");
    std::sort(rows.begin(), rows.end());
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(rows, expected);
    EXPECT_EQ(evaluations(run), evaluations(whole));
    const auto iterations = events_of_kind(run / "events.jsonl", "iteration");
    ASSERT_EQ(iterations.size(), 40u);
    for (std::size_t i = 0; i < iterations.size(); ++i) EXPECT_EQ(iterations[i].at("iteration"), i + 1);
    EXPECT_EQ(events_of_kind(run / "events.jsonl", "constraint").size(), 80u);
    auto drawn = scalars(run), drawn_whole = scalars(whole);
    for (auto* all : {&drawn, &drawn_whole}) {
      std::erase_if(*all, [](const auto& tag) { return is_of_time(tag.first); });
      for (auto& [tag, points] : *all) std::sort(points.begin(), points.end());
    }
    EXPECT_EQ(drawn, drawn_whole);
    const auto result = nlohmann::json::parse(read_file(run / "result.json"));
    const auto undisturbed = nlohmann::json::parse(read_file(whole / "result.json"));
    for (const auto* key : {"parameters_sha256", "policies", "constraints", "iterations"}) {
      EXPECT_EQ(result.at(key), undisturbed.at(key)) << key;
    }
  }
  RecordProperty("kills", kills);
  std::cout << kills << " kills in " << runs << " runs\n";
}

}  // namespace
}  // namespace mobula::rl
