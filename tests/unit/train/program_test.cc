// The program as its users and their scripts see it: exit statuses, what is written, how it stops.

#include <gmock/gmock.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "rl/train/checkpoint.h"
#include "rl/train/files.h"
#include "tests/support/paths.h"
#include "tests/unit/train/child_process.h"
#include "tests/unit/train/scratch.h"

namespace mobula {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Clock = std::chrono::steady_clock;

const std::string kProgram = tests::binary_dir() / "cli/mobula";

constexpr const char* kSmall =
    "experiment: small\n"
    "env: {name: cartpole}\n"
    "algorithm: {n_envs: 4, n_steps: 32, n_epochs: 2}\n"
    "stop: {env_steps: 2560}\n"
    "evaluate: {episodes: 4}\n";

// Goes on until it is stopped.
constexpr const char* kEndless =
    "experiment: endless\n"
    "env: {name: cartpole}\n"
    "algorithm: {n_envs: 4, n_steps: 32, n_epochs: 2}\n"
    "stop: {env_steps: 1000000000000}\n"
    "checkpoint: {every: 5}\n"
    "evaluate: {episodes: 4}\n";

double seconds_since(Clock::time_point then) {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

class Program : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) { std::ofstream(scratch_ / name) << text; }

  ChildProcess::Setting here() const { return {.directory = scratch_.path()}; }
  std::vector<std::string> command(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), kProgram);
    return arguments;
  }
  struct Ended {
    int status;
    std::string output;
  };
  Ended run(std::vector<std::string> arguments) const {
    ChildProcess child(command(std::move(arguments)), here());
    const int status = child.wait();
    return {status, child.output()};
  }
  nlohmann::json result(const std::string& run_directory) const {
    return nlohmann::json::parse(rl::read_file(scratch_ / (run_directory + "/result.json")));
  }
  bool has_checkpoint(const std::string& run_directory) const {
    return !rl::CheckpointFolder(scratch_ / (run_directory + "/checkpoints")).files().empty();
  }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(scratch_.path())) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  Scratch scratch_;
};

/// With everything in one process, and with workers.
class ProgramWithWorkers : public Program, public testing::WithParamInterface<int> {
 protected:
  std::string workers() const { return "workers=" + std::to_string(GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(Workers, ProgramWithWorkers, testing::Values(0, 2), testing::PrintToStringParamName());

TEST_F(Program, ExplainsItself) {
  EXPECT_EQ(run({"--help"}).status, 0);
  EXPECT_THAT(run({"--help"}).output, AllOf(HasSubstr("train"), HasSubstr("evaluate"), HasSubstr("Examples:")));
  for (const auto* command : {"train", "evaluate"}) {
    const auto help = run({command, "--help"});
    EXPECT_EQ(help.status, 0);
    EXPECT_THAT(help.output, HasSubstr("Examples:"));
  }
  EXPECT_THAT(run({"--version"}).output, HasSubstr("mobula "));
}

TEST_F(Program, EndsWithStatus2ForWrongUsageAndWritesNothing) {
  write("small.yaml", kSmall);
  write("unknown_key.yaml", std::string(kSmall) + "worker: 3\n");
  write("wrong_type.yaml", "env: {name: cartpole}\nworkers: many\n");
  write("out_of_range.yaml", "env: {name: intersection, main_demand: -5}\n");
  write("no_env.yaml", "experiment: x\n");
  write("empty.yaml", "");
  write("torn.yaml", "env: {name: cartpole\n");
  write("twice.yaml", "env: {name: cartpole}\nseed: 1\nseed: 2\n");
  write("baseline.yaml", "env: {name: intersection}\nevaluate: {baselines: [fixed]}\n");
  const auto before = files();
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong{
      {{}, "a command is missing"},
      {{"tran"}, "did you mean 'train'"},
      {{"train"}, "FILE"},
      {{"train", "small.yaml", "--sett", "seed=1"}, "--sett"},
      {{"train", "absent.yaml"}, "absent.yaml"},
      {{"train", "unknown_key.yaml"}, "unknown_key.yaml:6:1"},
      {{"train", "wrong_type.yaml"}, "wrong_type.yaml:2:10"},
      {{"train", "out_of_range.yaml"}, "out_of_range.yaml:1:40"},
      {{"train", "no_env.yaml"}, "env"},
      {{"train", "empty.yaml"}, "empty"},
      {{"train", "torn.yaml"}, "torn.yaml:"},
      {{"train", "twice.yaml"}, "twice.yaml:3:1"},
      {{"train", "baseline.yaml"}, "fixed_time"},
      {{"train", "small.yaml", "--set", "algorithm.lr=fast"}, "algorithm.lr"},
      {{"train", "small.yaml", "--set", "algorithm.rl=1"}, "algorithm.rl"},
      {{"train", "small.yaml", "--set", "seed"}, "seed"},
      {{"train", "--resume", "nowhere"}, "nowhere"},
      {{"train", "small.yaml", "--resume", "a", "--run-dir", "b"}, "--run-dir"},
      {{"train", "small.yaml", "--run-dir", "."}, "not empty"},
      {{"evaluate"}, "RUN"},
      {{"evaluate", "nowhere"}, "nowhere"},
      {{"evaluate", "nowhere", "--render", "gif"}, "gif"},
  };
  for (const auto& [arguments, expected] : wrong) {
    const auto ended = run(arguments);
    EXPECT_EQ(ended.status, 2) << testing::PrintToString(arguments) << "\n" << ended.output;
    EXPECT_THAT(ended.output, HasSubstr(expected)) << testing::PrintToString(arguments);
  }
  EXPECT_EQ(files(), before);
}

TEST_P(ProgramWithWorkers, TrainsAndLeavesARunThatCanBeEvaluated) {
  write("small.yaml", kSmall);
  const auto trained = run({"train", "small.yaml", "--set", workers(), "--set", "seed=5"});
  ASSERT_EQ(trained.status, 0) << trained.output;
  EXPECT_THAT(trained.output, AllOf(HasSubstr("runs/small-1"), HasSubstr("trained"), HasSubstr("n = 4")));
  EXPECT_EQ(result("runs/small-1").at("env_steps"), 2560);
  EXPECT_EQ(result("runs/small-1").at("seed"), 5);
  for (const auto* file : {"config.yaml", "metadata.json", "progress.csv", "evaluations.csv"}) {
    EXPECT_TRUE(std::filesystem::exists(scratch_ / (std::string("runs/small-1/") + file))) << file;
  }
  const auto evaluated = run({"evaluate", "runs/small-1"});
  EXPECT_EQ(evaluated.status, 0) << evaluated.output;
  EXPECT_THAT(evaluated.output, HasSubstr("n = 4"));
  const auto other = run({"evaluate", "runs/small-1", "--episodes", "7", "--seed", "3", "--workers", "0"});
  EXPECT_THAT(other.output, HasSubstr("n = 7"));
}

TEST_F(Program, DrawsAnEpisodeOfTheIntersection) {
  write("crossing.yaml",
        "env: {name: intersection, episode_length: 300}\n"
        "algorithm: {n_envs: 2, n_steps: 32, n_epochs: 1}\n"
        "stop: {env_steps: 64}\nevaluate: {episodes: 2}\nworkers: 0\n");
  ASSERT_EQ(run({"train", "crossing.yaml", "--run-dir", "run"}).status, 0);
  const auto text = run({"evaluate", "run", "--render", "--frames", "3"});
  EXPECT_EQ(text.status, 0) << text.output;
  EXPECT_THAT(text.output, HasSubstr("Held-out episode 0: return "));
  const auto svg = run({"evaluate", "run", "--render", "svg", "--frames", "10"});
  EXPECT_EQ(svg.status, 0) << svg.output;
  EXPECT_THAT(rl::read_file(scratch_ / "run/episode-0.svg"), AllOf(HasSubstr("<svg"), HasSubstr("<animate")));
}

TEST_P(ProgramWithWorkers, OneInterruptSavesACheckpointAndStops) {
  write("endless.yaml", kEndless);
  ChildProcess child(command({"train", "endless.yaml", "--set", workers(), "--run-dir", "run"}), here());
  ASSERT_TRUE(child.wait_for("iteration 1 ")) << child.output();
  const auto then = Clock::now();
  child.send(SIGINT);
  EXPECT_EQ(child.wait(), 130) << child.output();
  EXPECT_LT(seconds_since(then), 3.0);
  EXPECT_THAT(child.output(), HasSubstr("mobula train --resume run"));
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "run/result.json"));

  const auto resumed = run({"train", "--resume", "run", "--set", "stop.env_steps=128"});
  EXPECT_EQ(resumed.status, 0) << resumed.output;
  EXPECT_TRUE(std::filesystem::exists(scratch_ / "run/result.json"));
}

TEST_P(ProgramWithWorkers, AnInterruptIsHeededWhereItWasInheritedAsIgnored) {
  write("endless.yaml", kEndless);
  auto setting = here();
  setting.ignore_interrupt = true;
  ChildProcess child(command({"train", "endless.yaml", "--set", workers(), "--run-dir", "run"}), setting);
  ASSERT_TRUE(child.wait_for("iteration 1 ")) << child.output();
  child.send(SIGINT);
  EXPECT_EQ(child.wait(), 130) << child.output();
}

// An iteration of 400,000 decisions with small time steps takes many seconds, and in one process it is not left half
// way: so only the second interrupt can have ended it.
TEST_F(Program, ASecondInterruptStopsAtOnce) {
  write("slow.yaml",
        "env: {name: intersection, time_step: 0.1}\n"
        "algorithm: {n_envs: 2, n_steps: 200000}\n"
        "workers: 0\n");
  ChildProcess child(command({"train", "slow.yaml", "--run-dir", "run"}), here());
  ASSERT_TRUE(child.wait_for("Training")) << child.output();
  child.send(SIGINT);
  ASSERT_TRUE(child.wait_for("A second Ctrl-C stops at once")) << child.output();
  const auto then = Clock::now();
  child.send(SIGINT);
  EXPECT_EQ(child.wait(), 130);
  EXPECT_LT(seconds_since(then), 1.0);
}

TEST_P(ProgramWithWorkers, AKilledRunGoesOnAsIfNothingHadHappened) {
  write("small.yaml", kSmall);
  const std::vector<std::string> longer{
      "--set", workers(), "--set", "stop.env_steps=51200", "--set", "checkpoint.every=10"};
  auto arguments = std::vector<std::string>{"train", "small.yaml", "--run-dir", "whole"};
  arguments.insert(arguments.end(), longer.begin(), longer.end());
  ASSERT_EQ(run(arguments).status, 0);
  arguments[3] = "killed";
  {
    ChildProcess child(command(arguments), here());
    ASSERT_TRUE(child.wait_for("iteration 1 ")) << child.output();
    const auto then = Clock::now();
    while (!has_checkpoint("killed") && seconds_since(then) < 60) std::this_thread::yield();
    ASSERT_TRUE(has_checkpoint("killed"));
    child.send(SIGKILL);
    EXPECT_EQ(child.wait(), 137) << "it had ended before it could be killed";
  }
  const auto resumed = run({"train", "--resume", "killed"});
  ASSERT_EQ(resumed.status, 0) << resumed.output;
  EXPECT_EQ(result("killed").at("parameters_sha256"), result("whole").at("parameters_sha256"));
  EXPECT_EQ(result("killed").at("env_steps"), result("whole").at("env_steps"));
}

/// `mobula head` on the loopback interface, with two cpus.
class ProgramInACluster : public Program {
 protected:
  ProgramInACluster()
      : head_(command({"head", "--host", "127.0.0.1", "--port", "0", "--keys", "keys", "--cpus", "2"}), here()) {
    EXPECT_TRUE(head_.wait_for("to use"));
    const std::string text = head_.output();
    const auto from = text.find("127.0.0.1:");
    address_ = text.substr(from, text.find(' ', from) - from);
  }
  /// Worker processes of the head's node: children of its zygote.
  std::size_t workers_there() const {
    std::size_t count = 0;
    for (const auto zygote : children_of(head_.pid())) count += children_of(zygote).size();
    return count;
  }
  ChildProcess head_;
  std::string address_;

 private:
  static std::vector<pid_t> children_of(pid_t process) {
    std::vector<pid_t> found;
    const std::string self = "/proc/" + std::to_string(process);
    std::error_code gone;
    for (const auto& thread : std::filesystem::directory_iterator(self + "/task", gone)) {
      std::ifstream in(thread.path() / "children");
      for (pid_t child; in >> child;) found.push_back(child);
    }
    return found;
  }
};

TEST_F(ProgramInACluster, TrainsAndEvaluatesThereWithTheSameBytes) {
  write("small.yaml", kSmall);
  ASSERT_EQ(run({"train", "small.yaml", "--run-dir", "alone"}).status, 0);
  const auto there = run({"train", "small.yaml", "--run-dir", "there", "--address", address_, "--keys", "keys"});
  ASSERT_EQ(there.status, 0) << there.output << head_.output();
  EXPECT_EQ(result("there").at("parameters_sha256"), result("alone").at("parameters_sha256"));

  ChildProcess evaluated(
      {"/usr/bin/env", "MOBULA_ADDRESS=" + address_, "MOBULA_KEYS=keys", kProgram, "evaluate", "there"}, here());
  EXPECT_EQ(evaluated.wait(), 0) << evaluated.output();
  EXPECT_THAT(evaluated.output(), HasSubstr("n = 4"));
}

TEST_F(ProgramInACluster, ItsWorkersAreThereAndNotBesideTheDriver) {
  write("endless.yaml", kEndless);
  ChildProcess child({"/usr/bin/env", "MOBULA_ADDRESS=" + address_, "MOBULA_KEYS=keys", kProgram, "train",
                      "endless.yaml", "--run-dir", "run"},
                     here());
  ASSERT_TRUE(child.wait_for("iteration 1 ")) << child.output();
  EXPECT_GE(workers_there(), 2u);
  child.send(SIGINT);
  EXPECT_EQ(child.wait(), 130) << child.output();
}

TEST_F(ProgramInACluster, WhatCannotJoinSaysWhyAndWritesNothing) {
  write("small.yaml", kSmall);
  write("not_keys", "hello\n");
  const auto before = files();
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong{
      {{"--address", address_}, "needs its keys"},
      {{"--address", address_, "--keys", "absent"}, "absent"},
      {{"--address", address_, "--keys", "not_keys"}, "not_keys"},
      {{"--address", "nonsense", "--keys", "keys"}, "nonsense"},
      {{"--address", address_, "--keys", "keys", "--set", "workers=0"}, "workers: 0"},
  };
  for (auto [arguments, expected] : wrong) {
    arguments.insert(arguments.begin(), {"train", "small.yaml"});
    const auto ended = run(arguments);
    EXPECT_EQ(ended.status, 2) << testing::PrintToString(arguments) << "\n" << ended.output;
    EXPECT_THAT(ended.output, HasSubstr(expected)) << testing::PrintToString(arguments);
  }
  EXPECT_EQ(files(), before);
}

TEST_F(Program, RefusesARunThatIsInUse) {
  write("endless.yaml", kEndless);
  ChildProcess child(command({"train", "endless.yaml", "--set", "workers=0", "--run-dir", "run"}), here());
  ASSERT_TRUE(child.wait_for("iteration 1 ")) << child.output();
  const auto second = run({"train", "--resume", "run"});
  EXPECT_EQ(second.status, 2);
  EXPECT_THAT(second.output,
              AllOf(HasSubstr("in use by another process"), HasSubstr("process " + std::to_string(child.pid()))));
  EXPECT_EQ(run({"train", "endless.yaml", "--run-dir", "run"}).status, 2);
}

}  // namespace
}  // namespace mobula
