// What a person sees: the program on a terminal of 80 and of 140 columns.
#include <gmock/gmock.h>
#include <signal.h>

#include <fstream>

#include "tests/support/program.h"
#include "tests/support/screen.h"
#include "tests/unit/train/scratch.h"

namespace mobula {
namespace {

using testing::HasSubstr;
using tests::Program;
using tests::Screen;

class Terminal : public testing::TestWithParam<int> {
 protected:
  void write(const std::string& name, const std::string& text) { std::ofstream(scratch_ / name) << text; }
  tests::Setting here() const { return {.directory = scratch_.path(), .columns = GetParam(), .rows = 24}; }
  static std::vector<std::string> mobula(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), tests::mobula_program());
    return arguments;
  }
  Screen shown(const std::string& text) const {
    Screen screen(GetParam(), 24);
    screen.write(text);
    EXPECT_EQ(screen.wrapped(), 0) << screen.text();
    EXPECT_EQ(screen.unknown(), 0);
    return screen;
  }
  Scratch scratch_;
};
INSTANTIATE_TEST_SUITE_P(Columns, Terminal, testing::Values(80, 140), testing::PrintToStringParamName());

constexpr const char* kCrossing =
    "experiment: crossing\nenv: {name: intersection, episode_length: 600}\n"
    "algorithm: {n_envs: 2, n_steps: 64, n_epochs: 1}\nworkers: 0\nstop: {env_steps: 12800}\n"
    "fairness: {constraints: [{metric: mean_wait_gap, at_most: 100}]}\n"
    "evaluate: {episodes: 6, baselines: [fixed_time, max_pressure]}\n";

TEST_P(Terminal, TrainingIsFollowedInPlaceAndTheFinalTableIsWhole) {
  write("crossing.yaml", kCrossing);
  Program program(mobula({"train", "crossing.yaml", "--run-dir", "run"}), here());
  EXPECT_EQ(program.wait().status, 0) << program.out();
  const std::string& written = program.out();

  // At the moment before the block was last taken away.
  const auto last = written.rfind("\033[J");
  ASSERT_NE(last, std::string::npos);
  const std::string before = shown(written.substr(0, written.rfind("\033[", last - 1))).text();
  EXPECT_THAT(before, testing::ContainsRegex("\\[=+\\] 100 %   12,800 of 12,800 steps\n"));
  EXPECT_THAT(before, testing::ContainsRegex("return  -?[0-9.]+ \\[-?[0-9.]+, -?[0-9.]+\\]   over the last [0-9]+ "));
  EXPECT_THAT(before, HasSubstr("limit   mean_wait_gap"));
  EXPECT_THAT(before, testing::ContainsRegex("time    collect [0-9]+ %   "));
  EXPECT_THAT(before, HasSubstr("evaluated on held-out episodes: trained, fixed_time, max_pressure"));

  const Screen screen = shown(written);
  const std::string after = screen.text();
  EXPECT_THAT(after, testing::StartsWith("Training crossing with ppo"));
  EXPECT_THAT(after, HasSubstr("Trained 12800 steps"));
  EXPECT_THAT(after, testing::Not(HasSubstr("%   12,800"))) << "the block is gone";
  for (const auto* policy : {"\ntrained ", "\nfixed_time ", "\nmax_pressure "}) EXPECT_THAT(after, HasSubstr(policy));
  EXPECT_THAT(after, HasSubstr("verdict"));
  EXPECT_THAT(after, HasSubstr("Everything is in run\n"));
  // Only what is taken away for good is erased; a block that is drawn anew is written over. So nothing flickers.
  EXPECT_LE(screen.erased(), 4);
}

TEST_P(Terminal, AnInterruptLeavesAReadableScreen) {
  write("endless.yaml",
        "env: {name: cartpole}\nalgorithm: {n_envs: 4, n_steps: 32, n_epochs: 2}\nworkers: 1\n"
        "stop: {env_steps: 1000000000000}\n");
  Program program(mobula({"train", "endless.yaml", "--run-dir", "run"}), here());
  ASSERT_TRUE(program.wait_for("steps/s")) << program.out();
  program.type("\003");  // Ctrl-C
  EXPECT_EQ(program.wait().status, 130);
  const std::string text = shown(program.out()).text();
  EXPECT_THAT(text, HasSubstr("Interrupted: coming to an end. A second Ctrl-C stops at once.\n"));
  EXPECT_THAT(text,
              testing::ContainsRegex("\nStopped at [0-9]+ of 1000000000000 steps.*To go on: mobula(\n  )? train"));
}

constexpr const char* kEndlessSweep =
    "experiment: search\nenv: {name: cartpole}\n"
    "algorithm: {n_envs: 4, n_steps: 32, n_epochs: {int: [1, 4]}, batch_size: 64, lr: {loguniform: [1.0e-5, 1.0e-2]},\n"
    "  hidden: {choice: [[64, 64], [32, 32]]}, lr_schedule: {choice: [linear]}, gae_lambda: {uniform: [0.8, 0.99]}}\n"
    "workers: 0\nstop: {env_steps: 1000000000000}\nevaluate: {episodes: 2}\n"
    "tune: {num_trials: 4, max_concurrent: 2, scheduler: {name: asha, grace: 128, max: 1000000000000, eta: 1000}}\n";

TEST_P(Terminal, AStudyIsFollowedInPlaceWithIntervals) {
  write("sweep.yaml", kEndlessSweep);
  Program program(mobula({"tune", "sweep.yaml", "--run-dir", "study"}), here());
  ASSERT_TRUE(program.wait_for("best by return, with 95 % intervals")) << program.out();
  ASSERT_TRUE(program.wait_for("] n=2")) << program.out();
  program.type("\003");
  EXPECT_EQ(program.wait().status, 130);
  const std::string text = shown(program.out()).text();
  EXPECT_THAT(text, HasSubstr("gae_lambda=")) << "parameters that do not fit are folded";
  EXPECT_THAT(text, HasSubstr("To go on: mobula tune --resume study"));
}

TEST_P(Terminal, ASecondInterruptEndsAStudyAtOnceAndItGoesOnLater) {
  write("sweep.yaml", kEndlessSweep);
  {
    Program program(mobula({"tune", "sweep.yaml", "--run-dir", "study"}), here());
    ASSERT_TRUE(program.wait_for("2 running")) << program.out();
    program.type("\003\003");
    EXPECT_EQ(program.wait().status, 130);
  }
  Program again(mobula({"tune", "--resume", "study"}), here());
  ASSERT_TRUE(again.wait_for("2 running")) << again.out();
  again.type("\003");
  EXPECT_EQ(again.wait().status, 130);
  EXPECT_THAT(shown(again.out()).text(), HasSubstr("To go on: mobula tune --resume study"));
}

TEST_P(Terminal, QuietDrawsNothing) {
  write("crossing.yaml", kCrossing);
  Program program(mobula({"train", "crossing.yaml", "--run-dir", "run", "--quiet"}), here());
  EXPECT_EQ(program.wait().status, 0) << program.out();
  EXPECT_THAT(program.out(), testing::Not(HasSubstr("\033")));
  EXPECT_THAT(shown(program.out()).text(), testing::StartsWith("Trained"));
}

TEST_P(Terminal, ADumbTerminalGetsPlainLines) {
  write("crossing.yaml", kCrossing);
  auto command = mobula({"train", "crossing.yaml", "--run-dir", "run"});
  command.insert(command.begin(), {"/usr/bin/env", "TERM=dumb"});
  Program program(command, here());
  EXPECT_EQ(program.wait().status, 0) << program.out();
  EXPECT_THAT(program.out(), testing::Not(HasSubstr("\033")));
  EXPECT_THAT(program.out(), HasSubstr("iteration 1 "));
}

TEST_P(Terminal, EvaluationTellsWhichPolicyPlays) {
  write("crossing.yaml", kCrossing);
  ASSERT_EQ(Program(mobula({"train", "crossing.yaml", "--run-dir", "run", "--quiet"}), here()).wait().status, 0);
  Program program(mobula({"evaluate", "run"}), here());
  EXPECT_EQ(program.wait().status, 0);
  EXPECT_THAT(program.out(), HasSubstr("evaluating trained (1 of 3), 6 held-out episodes"));
  EXPECT_THAT(shown(program.out()).text(), testing::Not(HasSubstr("evaluating")));
}

}  // namespace
}  // namespace mobula
