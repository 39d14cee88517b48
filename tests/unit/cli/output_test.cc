// Who gets what: results on standard output, messages on standard error; --json, --quiet, closed pipes, full disks,
// interrupts.
#include <gmock/gmock.h>
#include <signal.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/program.h"
#include "tests/unit/train/scratch.h"

namespace mobula {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using tests::Ended;
using tests::Program;
using tests::Setting;

class Output : public testing::Test {
 protected:
  Output() {
    write("small.yaml",
          "experiment: small\nenv: {name: cartpole}\nalgorithm: {n_envs: 4, n_steps: 32, n_epochs: 2}\n"
          "workers: 0\nstop: {env_steps: 2560}\nevaluate: {episodes: 6, every: 5}\n");
    write("crossing.yaml",
          "env: {name: intersection, episode_length: 600}\n"
          "algorithm: {n_envs: 2, n_steps: 16, n_epochs: 1}\nworkers: 0\nstop: {env_steps: 64}\n"
          "fairness: {constraints: [{metric: throughput, at_least: 5000}]}\n"
          "evaluate: {episodes: 6, baselines: [fixed_time]}\n");
    write("sweep.yaml",
          "env: {name: cartpole}\n"
          "algorithm: {n_envs: 4, n_steps: 32, n_epochs: 1, lr: {loguniform: [1.0e-4, 1.0e-2]}}\n"
          "workers: 0\nstop: {env_steps: 256}\nevaluate: {episodes: 2}\ntune: {num_trials: 2}\n");
  }
  void write(const std::string& name, const std::string& text) { std::ofstream(scratch_ / name) << text; }
  Setting here() const { return {.directory = scratch_.path()}; }
  static std::vector<std::string> mobula(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), tests::mobula_program());
    return arguments;
  }
  Ended run(std::vector<std::string> arguments) const { return tests::run(mobula(std::move(arguments)), here()); }
  bool exists(const std::string& name) const { return std::filesystem::exists(scratch_ / name); }
  static std::vector<json> lines_of(const std::string& text) {
    std::vector<json> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(json::parse(line));
    return lines;
  }
  Scratch scratch_;
};

TEST_F(Output, ProgressGoesToStandardErrorAndTheResultToStandardOutput) {
  const Ended ended = run({"train", "small.yaml", "--run-dir", "run"});
  EXPECT_EQ(ended.status, 0);
  EXPECT_THAT(ended.err, AllOf(HasSubstr("Training small"), HasSubstr("iteration 1 "), HasSubstr("evaluation at ")));
  EXPECT_THAT(ended.out, AllOf(HasSubstr("Trained 2560 steps"), HasSubstr("n = 6"), Not(HasSubstr("iteration"))));
  EXPECT_THAT(ended.out + ended.err, Not(HasSubstr("\033"))) << "nothing is drawn where there is no terminal";
}

// What works, but perhaps not as it was meant, is said and not refused.
TEST_F(Output, NotesSayWhatBecomesOfSettingsThatDoNotFitTogether) {
  write("odd.yaml",
        "env: {name: intersection, main_demand: 1800, side_demand: 1800, episode_length: 60}\n"
        "algorithm: {n_envs: 2, n_steps: 4, batch_size: 64, n_epochs: 1}\nworkers: 0\nstop: {env_steps: 8}\n"
        "evaluate: {episodes: 2}\n");
  const std::string batch = "algorithm.batch_size is 64, but there are only n_envs x n_steps = 8 steps",
                    demand = "env: the demand is above saturation";
  const Ended ended = run({"train", "odd.yaml", "--run-dir", "run"});
  ASSERT_EQ(ended.status, 0) << ended.err;
  EXPECT_THAT(ended.err, AllOf(HasSubstr("Note: " + batch), HasSubstr("Note: " + demand)));
  std::ifstream events(scratch_ / "run/events.jsonl");
  std::string first;
  std::getline(events, first);
  EXPECT_THAT(first, AllOf(HasSubstr(batch), HasSubstr(demand)));
  EXPECT_EQ(lines_of(run({"train", "odd.yaml", "--run-dir", "json", "--json"}).out).front().at("notes").size(), 2u);

  // With a constraint nothing could promise to keep it.
  const Ended refused = run({"train", "odd.yaml", "--run-dir", "none", "--set",
                             "fairness={constraints: [{metric: mean_wait_gap, at_most: 9}]}"});
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err, HasSubstr("odd.yaml:1:6: env: the demand is above saturation"));
  EXPECT_FALSE(exists("none"));
}

TEST_F(Output, QuietLeavesTheResult) {
  const Ended trained = run({"train", "small.yaml", "--run-dir", "run", "--quiet"});
  EXPECT_EQ(trained.err, "");
  EXPECT_THAT(trained.out, HasSubstr("Trained 2560 steps"));
  const Ended evaluated = run({"evaluate", "run", "-q"});
  EXPECT_EQ(evaluated.err, "");
  EXPECT_THAT(evaluated.out, HasSubstr("n = 6"));
}

TEST_F(Output, JsonOfTrainIsALineAnEvent) {
  const Ended ended = run({"train", "crossing.yaml", "--run-dir", "run", "--json"});
  ASSERT_EQ(ended.status, 0) << ended.err;
  EXPECT_EQ(ended.err, "");
  const auto lines = lines_of(ended.out);
  std::vector<std::string> events;
  for (const auto& line : lines) events.push_back(line.at("event"));
  EXPECT_EQ(events, (std::vector<std::string>{"start", "progress", "progress", "evaluation", "evaluation", "result"}));
  EXPECT_EQ(lines.front().at("run_directory"), "run");
  EXPECT_EQ(lines[2].at("env_steps"), 64);
  EXPECT_EQ(lines[2].at("constraints").at(0).at("limit"), 5000);
  EXPECT_GT(lines[2].at("stage_seconds").at("update").get<double>(), 0);
  EXPECT_EQ(lines[3].at("policy"), "trained");
  const json& result = lines.back();
  EXPECT_EQ(result.at("env_steps"), 64);
  EXPECT_TRUE(result.at("policies").contains("fixed_time"));
  EXPECT_EQ(result.at("constraints").at(0).at("metric"), "throughput");
}

TEST_F(Output, JsonOfEvaluateIsOneLineAndTheGateDecidesTheStatus) {
  ASSERT_EQ(run({"train", "crossing.yaml", "--run-dir", "run", "--quiet"}).status, 0);
  const Ended ended = run({"evaluate", "run", "--json", "--gate"});
  EXPECT_EQ(ended.status, 3) << ended.out << ended.err;
  EXPECT_EQ(ended.err, "");
  const auto lines = lines_of(ended.out);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].at("gate"), "failed");
  EXPECT_EQ(lines[0].at("policies").at("trained").at("return").at("n"), 6);
  EXPECT_EQ(run({"evaluate", "run", "--quiet"}).status, 0) << "without --gate the verdict is only told";
}

TEST_F(Output, AGateWithoutConstraintsIsWrongUsageBeforeAnythingIsPlayed) {
  ASSERT_EQ(run({"train", "small.yaml", "--run-dir", "run", "--quiet"}).status, 0);
  const Ended ended = run({"evaluate", "run", "--gate"});
  EXPECT_EQ(ended.status, 2);
  EXPECT_EQ(ended.out, "");
  EXPECT_THAT(ended.err, HasSubstr("--gate has nothing to hold the policy against"));
}

TEST_F(Output, JsonOfConfigNamesEveryKey) {
  const auto lines = lines_of(run({"config", "ppo", "--json"}).out);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].at("kind"), "algorithm");
  bool found = false;
  for (const auto& key : lines[0].at("keys")) {
    if (key.at("path") != "algorithm.gamma") continue;
    found = true;
    EXPECT_EQ(key.at("range"), "[0, 1]");
    EXPECT_EQ(key.at("default"), "0.99");
    EXPECT_NE(key.at("help"), "");
  }
  EXPECT_TRUE(found);
}

// ---- nobody reads, or nothing can be written

TEST_F(Output, EndsQuietlyWhenNobodyReads) {
  ASSERT_EQ(run({"train", "small.yaml", "--run-dir", "run", "--quiet"}).status, 0);
  const std::vector<std::vector<std::string>> commands{{"--help"},
                                                       {"train", "--help"},
                                                       {"config"},
                                                       {"config", "ppo", "--json"},
                                                       {"completion", "bash"},
                                                       {"evaluate", "run"},
                                                       {"evaluate", "run", "--json"}};
  for (const auto& command : commands) {
    Setting setting = here();
    setting.output = Setting::Output::closed_pipe;
    const Ended ended = tests::run(mobula(command), setting);
    EXPECT_EQ(ended.status, 141) << testing::PrintToString(command);
    EXPECT_EQ(ended.err, "") << testing::PrintToString(command);
  }
}

TEST_F(Output, TrainingWhoseReaderIsGoneStopsWithACheckpoint) {
  write("endless.yaml",
        "env: {name: cartpole}\nalgorithm: {n_envs: 4, n_steps: 32, n_epochs: 1}\nworkers: 0\n"
        "stop: {env_steps: 1000000000000}\n");
  Setting setting = here();
  setting.output = Setting::Output::closed_pipe;
  const Ended events = tests::run(mobula({"train", "endless.yaml", "--run-dir", "json", "--json"}), setting);
  EXPECT_EQ(events.status, 141) << events.err;
  EXPECT_TRUE(exists("json/config.yaml"));
  setting.output = Setting::Output::read;
  setting.errors_to_closed_pipe = true;
  EXPECT_EQ(tests::run(mobula({"train", "endless.yaml", "--run-dir", "lines"}), setting).status, 141);
  EXPECT_FALSE(exists("lines/result.json"));
  EXPECT_EQ(run({"train", "--resume", "lines", "--set", "stop.env_steps=128", "--quiet"}).status, 0);
}

TEST_F(Output, SaysThatTheDiskIsFull) {
  ASSERT_EQ(run({"train", "small.yaml", "--run-dir", "run", "--quiet"}).status, 0);
  Setting setting = here();
  setting.output = Setting::Output::full_disk;
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"config"}, {"--version"}, {"evaluate", "run", "--json"}}) {
    const Ended ended = tests::run(mobula(command), setting);
    EXPECT_EQ(ended.status, 1) << testing::PrintToString(command);
    EXPECT_EQ(ended.err, "mobula: cannot write to standard output: No space left on device\n");
  }
}

// ---- interrupts

TEST_F(Output, AnInterruptEndsEvaluation) {
  ASSERT_EQ(run({"train", "crossing.yaml", "--run-dir", "run", "--quiet"}).status, 0);
  Program program(mobula({"evaluate", "run", "--episodes", "1000000", "--workers", "1"}), here());
  program.send(SIGINT);
  EXPECT_EQ(program.wait().status, 130);
  EXPECT_EQ(program.out(), "");
}

TEST_F(Output, AnInterruptEndsWhatWaits) {
  Program head(mobula({"head", "--host", "127.0.0.1", "--port", "0", "--keys", "keys", "--cpus", "0"}), here());
  ASSERT_TRUE(head.wait_for("to use"));
  // Nobody listens there.
  Program status(mobula({"status", "--address", "127.0.0.1:1", "--keys", "keys", "--wait", "3000"}), here());
  Program node(mobula({"node", "--join", "127.0.0.1:1", "--keys", "keys", "--wait", "3000"}), here());
  ASSERT_TRUE(node.wait_for("cannot reach")) << "it has begun";
  for (Program* program : {&status, &node, &head}) program->send(SIGINT);
  EXPECT_EQ(status.wait().status, 130);
  EXPECT_EQ(node.wait().status, 0) << node.err();
  EXPECT_EQ(head.wait().status, 0) << head.err();
}

TEST_F(Output, AnInterruptEndsTheMicrobenchmark) {
  Program program(mobula({"microbenchmark", "--trials", "10000", "--workers", "1"}), here());
  program.send(SIGINT);
  EXPECT_EQ(program.wait().status, 130);
}

TEST_F(Output, EveryCommandHasHelpWithExamples) {
  for (const auto* command : {"train", "tune", "evaluate", "node", "head", "status", "config", "microbenchmark",
                              "completion", "why", "replay", "stop", "stack", "logs", "timeline", "submit", "jobs"}) {
    const Ended help = run({command, "--help"});
    EXPECT_EQ(help.status, 0) << command;
    EXPECT_EQ(help.err, "") << command;
    EXPECT_THAT(help.out, AllOf(HasSubstr("Examples:\n  "), HasSubstr("mobula " + std::string(command)))) << command;
    EXPECT_THAT(run({"--help"}).out, HasSubstr(command));
  }
  EXPECT_THAT(run({"--version"}).out, testing::MatchesRegex("mobula [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

}  // namespace
}  // namespace mobula
