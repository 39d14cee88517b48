// `mobula tune` as a user runs it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/paths.h"

namespace {

using testing::HasSubstr;
using testing::Not;

const std::string kProgram = mobula::tests::binary_dir() / "cli/mobula";

constexpr const char* kSweep = R"(experiment: small
env: {name: cartpole}
algorithm:
  n_envs: 4
  n_steps: 32
  batch_size: 64
  n_epochs: {int: [1, 3]}
  lr: {loguniform: [1.0e-4, 1.0e-2]}
  lr_schedule: {choice: [constant, linear]}
  clip_range: {uniform: [0.1, 0.3], when: {lr_schedule: linear}}
workers: 0
stop: {env_steps: 1152}
evaluate: {episodes: 4}
tune:
  seed: 3
  num_trials: 8
  max_concurrent: 3
  scheduler: {name: asha, grace: 128, eta: 3}
)";

struct Outcome {
  int status;
  std::string output;
};

class TuneProgram : public testing::Test {
 protected:
  TuneProgram() {
    std::string name = (std::filesystem::temp_directory_path() / "mobula-tune-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    std::ofstream(folder_ / "sweep.yaml") << kSweep;
  }
  ~TuneProgram() override { std::filesystem::remove_all(folder_); }

  Outcome run(const std::string& arguments) const {
    const std::string command = "cd " + folder_.string() + " && " + kProgram + " " + arguments + " 2>&1 </dev/null";
    FILE* pipe = ::popen(command.c_str(), "r");
    Outcome outcome;
    char buffer[4096];
    for (std::size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) outcome.output.append(buffer, n);
    const int status = ::pclose(pipe);
    outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return outcome;
  }
  std::string content(const std::string& file) const {
    std::ifstream in(folder_ / file, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
  }
  /// The table without its fifth column, the seconds.
  std::string table(const std::string& study) const {
    std::istringstream in(content(study + "/trials.csv"));
    std::string rows;
    for (std::string row; std::getline(in, row);) {
      std::istringstream fields(row);
      std::string field;
      for (int i = 0; std::getline(fields, field, ','); ++i) rows += i == 4 ? "" : field + ",";
      rows += "\n";
    }
    return rows;
  }
  std::filesystem::path folder_;
};

TEST_F(TuneProgram, WritesATableABestConfigurationAndAReport) {
  const Outcome outcome = run("tune sweep.yaml --run-dir study");
  ASSERT_EQ(outcome.status, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("Best configuration: mobula train study/best.yaml"));
  const std::string csv = content("study/trials.csv");
  EXPECT_THAT(csv, testing::StartsWith("trial,status,iterations,metric,seconds,algorithm.n_epochs,algorithm.lr,"
                                       "algorithm.lr_schedule,algorithm.clip_range,"
                                       "metric_low,metric_high,metric_n\n"));
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 9);
  EXPECT_THAT(csv, HasSubstr("completed,9,"));  // 1152 steps of 128 an iteration
  EXPECT_THAT(csv, HasSubstr("stopped,1,"));
  EXPECT_THAT(content("study/report.svg"), HasSubstr("</svg>"));
  EXPECT_THAT(content("study/metadata.json"), HasSubstr("\"seed\": 3"));
  EXPECT_THAT(content("study/report.txt"), HasSubstr("Best by return"));
  EXPECT_EQ(run("train study/best.yaml --run-dir best").status, 0);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "best/result.json"));
}

TEST_F(TuneProgram, TheTableIsTheSameForAnyNumberOfProcessesAndRolloutWorkers) {
  ASSERT_EQ(run("tune sweep.yaml --run-dir one --processes 1").status, 0);
  ASSERT_EQ(run("tune sweep.yaml --run-dir three --processes 3").status, 0);
  // Trials that own two rollout actors each, three at once on however few cpus there are.
  const Outcome owners = run("tune sweep.yaml --run-dir owners --processes 3 --set workers=2");
  ASSERT_EQ(owners.status, 0) << owners.output;
  EXPECT_EQ(table("three"), table("one"));
  EXPECT_EQ(table("owners"), table("one"));
}

TEST_F(TuneProgram, AStudyGrowsWhenItIsResumedWithItsStoredOverrides) {
  ASSERT_EQ(run("tune sweep.yaml --run-dir study --set tune.seed=5 --set tune.num_trials=4").status, 0);
  const std::string before = table("study");
  const Outcome outcome = run("tune --resume study --set tune.num_trials=6");
  ASSERT_EQ(outcome.status, 0) << outcome.output;
  EXPECT_EQ(table("study").substr(0, before.size()), before);
  EXPECT_EQ(content("study/overrides.txt"), "tune.seed=5\ntune.num_trials=4\ntune.num_trials=6\n");
  const std::string csv = content("study/trials.csv");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 7);
}

TEST_F(TuneProgram, RepeatsRunOnSeedsOfTheirOwn) {
  ASSERT_EQ(run("tune sweep.yaml --run-dir study --set tune.seeds_per_trial=2 --set tune.num_trials=2").status, 0);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "study/trials/0-0/config.yaml"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "study/trials/0-1/config.yaml"));
}

TEST_F(TuneProgram, QuietTellsTheResultOnly) {
  const Outcome outcome = run("tune sweep.yaml --run-dir study --quiet");
  ASSERT_EQ(outcome.status, 0) << outcome.output;
  EXPECT_THAT(outcome.output, Not(HasSubstr("Tuning small")));
  EXPECT_THAT(outcome.output, testing::StartsWith(content("study/report.txt").substr(0, 20)));
  EXPECT_THAT(outcome.output, HasSubstr("Best configuration: mobula train study/best.yaml"));
}

TEST_F(TuneProgram, JsonIsAnObjectALineFromStartToResult) {
  const Outcome outcome =
      run("tune sweep.yaml --run-dir study --json --set 'algorithm.hidden={choice: [[16], [8, 8]]}' "
          "--set 'algorithm.vf_coef={choice: [0.5, 1]}' --set 'algorithm.shared_trunk={choice: [true]}'");
  ASSERT_EQ(outcome.status, 0) << outcome.output;
  std::istringstream lines(outcome.output);
  std::vector<nlohmann::json> objects;
  for (std::string line; std::getline(lines, line);) objects.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(objects.size(), 10u) << outcome.output;  // start, eight trials, result
  EXPECT_EQ(objects.front().at("event"), "start");
  EXPECT_EQ(objects.front().at("run_directory"), "study");
  std::map<int, nlohmann::json> trials;
  for (std::size_t i = 1; i < 9; ++i) {
    EXPECT_EQ(objects[i].at("event"), "trial");
    trials[objects[i].at("trial")] = objects[i];
  }
  ASSERT_EQ(trials.size(), 8u);
  EXPECT_EQ(objects.back().at("event"), "result");
  EXPECT_EQ(objects.back().at("best_config"), "study/best.yaml");
  const auto& best = objects.back().at("best");
  EXPECT_EQ(best.at("params"), trials.at(best.at("trial")).at("params"));
  EXPECT_EQ(best.at("value"), trials.at(best.at("trial")).at("value"));
  for (const auto& [id, trial] : trials) {
    EXPECT_EQ(trial.at("n"), 4) << "held-out episodes";
    EXPECT_LT(trial.at("ci95").at(0), trial.at("value"));
    // What was chosen is what YAML makes of it.
    const auto& params = trial.at("params");
    EXPECT_TRUE(params.at("algorithm.n_epochs").is_number_integer());
    EXPECT_TRUE(params.at("algorithm.lr_schedule").is_string());
    EXPECT_TRUE(params.at("algorithm.vf_coef").is_number()) << params;
    EXPECT_TRUE(params.at("algorithm.shared_trunk").is_boolean()) << params;
    ASSERT_TRUE(params.at("algorithm.hidden").is_array()) << params;
    EXPECT_TRUE(params.at("algorithm.hidden").at(0).is_number_integer()) << params;
  }
}

TEST_F(TuneProgram, MistakesEndWithStatusTwoAndNothingWritten) {
  const auto refused = [&](const std::string& set, const std::string& message) {
    const Outcome outcome = run("tune sweep.yaml --run-dir study --set '" + set + "'");
    EXPECT_EQ(outcome.status, 2) << set;
    EXPECT_THAT(outcome.output, HasSubstr(message)) << set;
    EXPECT_FALSE(std::filesystem::exists(folder_ / "study")) << set;
  };
  refused("algorithm.lr={loguniform: [0, 1]}", "not above 0");
  refused("algorithm.lr={uniform: [-1, 1]}", "algorithm.lr: the space reaches -1.0");
  refused("algorithm.clip_schedule={choice: [constant, lineer]}", "did you mean 'linear'?");
  refused("algorithm.lrr={uniform: [0, 1]}", "did you mean 'lr'?");
  refused("tune.num_trails=3", "did you mean 'num_trials'?");
  refused("tune.num_trials=0", "tune.num_trials");
  refused("algorithm.n_envs={choice: [4, 100000000]}",
          "the space reaches 100000000, which cannot be used: found 100000000, which is out of range");
  refused("algorithm.hidden={choice: [[64], [65536, 65536]]}",
          "the space reaches [65536, 65536], which cannot be used");
  refused("tune={num_trials: 1, max_concurrent: 100000, seeds_per_trial: 10000}", "tune.max_concurrent");
  refused("tune.mode=best", "max, min");
  refused("tune.metric=retrun", "there is no 'retrun'; expected one of training_return, return");
  refused("tune.scheduler.max=5000", "above stop.env_steps");
  refused("tune.scheduler.grace=5000", "tune.scheduler.grace=5000: tune.scheduler.grace: it is above max");
  refused("tune.search.name=grid", "continuum");
  std::ofstream(folder_ / "sweep.yaml") << "env: {name: cartpole}\ntune: {num_trials: 3}\n";
  refused("workers=0", "there is nothing to search");
}

TEST_F(TuneProgram, AResumedStudyCannotBecomeAnother) {
  ASSERT_EQ(run("tune sweep.yaml --run-dir study --set tune.num_trials=2").status, 0);
  const Outcome outcome = run("tune --resume study --set tune.seed=4");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.output, HasSubstr("its seed is 3, not 4"));
  // Nor may the trials to come be trained otherwise than those before them.
  const Outcome gamma = run("tune --resume study --set algorithm.gamma=0.5 --set tune.num_trials=4");
  EXPECT_EQ(gamma.status, 2);
  EXPECT_THAT(gamma.output, HasSubstr("would mix two studies"));
  EXPECT_EQ(content("study/overrides.txt"), "tune.num_trials=2\n");
}

}  // namespace
