// Shell completion: what the program offers, and real shells that use its scripts.
#include <gmock/gmock.h>

#include <fstream>
#include <sstream>

#include "tests/support/program.h"
#include "tests/unit/train/scratch.h"

namespace mobula {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::IsSupersetOf;
using testing::Not;
using Words = std::vector<std::string>;

class Completion : public testing::Test {
 protected:
  Completion() {
    for (const auto* name : {"crossing.yaml", "notes.txt", "sub/deep.yml"}) {
      std::filesystem::create_directories((scratch_ / name).parent_path());
      std::ofstream(scratch_ / name) << "env: {name: intersection}\nalgorithm: {name: ppo}\n";
    }
    std::filesystem::create_directories(scratch_ / "runs/first");
  }
  static Words lines_of(const std::string& text) {
    Words lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }
  Words offered(Words words) const {
    words.insert(words.begin(), {tests::mobula_program(), "completion", "--words"});
    const auto ended = tests::run(std::move(words), {.directory = scratch_.path()});
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.err, "");
    return lines_of(ended.out);
  }
  /// What bash would put in place of the word under the cursor, which is at the end of the line.
  Words in_bash(const std::string& line) const {
    // Words as readline breaks them: at spaces and around '=' and ':'.
    const std::string script =
        "source <(\"$1\" completion bash) || exit 9\n"
        "COMP_LINE=$2; COMP_POINT=${#2}\n"
        "spaced=$(sed -E 's/([=:])/ \\1 /g' <<< \"$2\")\n"
        "read -ra COMP_WORDS <<< \"$spaced\"\n"
        "if [[ $2 == *' ' || $2 == *= ]]; then COMP_WORDS+=(''); fi\n"
        "if [[ $2 == *= ]]; then unset 'COMP_WORDS[-1]'; fi\n"
        "COMP_WORDS[0]=$1; COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n"
        "_mobula\n"
        "printf '%s\\n' \"${COMPREPLY[@]}\"\n";
    const auto ended =
        tests::run({"bash", "-c", script, "bash", tests::mobula_program(), line}, {.directory = scratch_.path()});
    EXPECT_EQ(ended.status, 0) << ended.err;
    return lines_of(ended.out);
  }
  static bool installed(const std::string& shell) {
    return tests::run({"sh", "-c", "command -v " + shell}, {}).status == 0;
  }
  Scratch scratch_;
};

TEST_F(Completion, OffersCommandsAndOptions) {
  EXPECT_THAT(offered({""}), IsSupersetOf({"train", "tune", "evaluate", "node", "head", "status", "config",
                                           "microbenchmark", "completion"}));
  EXPECT_THAT(offered({"tr"}), ElementsAre("train"));
  EXPECT_THAT(offered({"train", "--"}),
              IsSupersetOf({"--set", "--run-dir", "--resume", "--quiet", "--json", "--help"}));
  EXPECT_THAT(offered({"train", "--s"}), ElementsAre("--set"));
  EXPECT_THAT(offered({"evaluate", "run", "--g"}), ElementsAre("--gate"));
  EXPECT_THAT(offered({"nonsense", ""}), ElementsAre());
}

TEST_F(Completion, OffersFilesAndFolders) {
  EXPECT_THAT(offered({"train", ""}), ElementsAre("crossing.yaml", "runs/", "sub/")) << "no notes.txt";
  EXPECT_THAT(offered({"tune", "sub/"}), ElementsAre("sub/deep.yml"));
  EXPECT_THAT(offered({"submit", "not"}), ElementsAre("notes.txt"));
  EXPECT_THAT(offered({"evaluate", "ru"}), ElementsAre("runs/"));
  EXPECT_THAT(offered({"train", "--resume", "runs/f"}), ElementsAre("runs/first/"));
  EXPECT_THAT(offered({"train", "--resume=ru"}), ElementsAre("--resume=runs/"));
  EXPECT_THAT(offered({"train", "nowhere/x"}), ElementsAre());
}

TEST_F(Completion, OffersTheKeysOfTheNamedFile) {
  EXPECT_THAT(offered({"train", "crossing.yaml", "--set", "env."}),
              AllOf(Contains("env.main_demand="), Not(Contains("env.wave_speed="))));
  EXPECT_THAT(offered({"train", "--set", "algorithm.n_e"}), ElementsAre("algorithm.n_envs=", "algorithm.n_epochs="));
  EXPECT_THAT(offered({"train", "--set", "algorithm.lr_schedule="}),
              ElementsAre("algorithm.lr_schedule=constant", "algorithm.lr_schedule=linear"));
  EXPECT_THAT(offered({"train", "--set", "algorithm.normalize_reward=t"}),
              ElementsAre("algorithm.normalize_reward=true"));
  EXPECT_THAT(offered({"train", "--set", "env.name=inter"}), ElementsAre("env.name=intersection"));
  EXPECT_THAT(offered({"train", "--set", "tune."}), ElementsAre()) << "a key of mobula tune";
  EXPECT_THAT(offered({"tune", "--set", "tune.num"}), ElementsAre("tune.num_trials="));
}

TEST_F(Completion, OffersNamesAfterConfigAndWordsThatAnOptionTakes) {
  EXPECT_THAT(offered({"config", ""}), IsSupersetOf({"ppo", "intersection", "fairness", "tune", "stop"}));
  EXPECT_THAT(offered({"config", "inter"}), ElementsAre("intersection"));
  EXPECT_THAT(offered({"evaluate", "run", "--render", ""}), ElementsAre("svg", "text"));
  EXPECT_THAT(offered({"head", "--log-level", "w"}), ElementsAre("warning"));
  EXPECT_THAT(offered({"completion", ""}), ElementsAre("bash", "fish", "zsh"));
  EXPECT_THAT(offered({"stop", "--"}), ElementsAre("--all", "--grace", "--help", "--json"));
}

TEST_F(Completion, WorksInBash) {
  EXPECT_THAT(in_bash("mobula tr"), ElementsAre("train"));
  EXPECT_THAT(in_bash("mobula train cr"), ElementsAre("crossing.yaml"));
  EXPECT_THAT(in_bash("mobula train crossing.yaml --set algorithm.lr_s"), ElementsAre("algorithm.lr_schedule="));
  // bash keeps what stands before the equals sign.
  EXPECT_THAT(in_bash("mobula train crossing.yaml --set algorithm.lr_schedule=lin"), ElementsAre("linear"));
  EXPECT_THAT(in_bash("mobula config inter"), ElementsAre("intersection"));
  EXPECT_THAT(in_bash("mobula train --resume=runs/fi"), ElementsAre("runs/first/"));
}

// With the keys that a person presses, so that words are broken by readline itself.
TEST_F(Completion, WorksInAnInteractiveBash) {
  tests::Program bash({"bash", "--norc", "--noprofile", "-i"},
                      {.directory = scratch_.path(), .environment = {{"PS1", "ready> "}}, .columns = 120});
  ASSERT_TRUE(bash.wait_for("ready> ")) << bash.out();
  bash.type("mobula() { \"" + tests::mobula_program() +
            "\" \"$@\"; }; source <(mobula completion bash); echo so\"urc\"ed\n");
  ASSERT_TRUE(bash.wait_for("sourced\r\n")) << bash.out();
  bash.type("echo mobula\n");  // the line below begins with the word itself
  bash.type(
      "mobula train cross\t--set algorithm.lr_sch\tlin\t\x01"
      "echo \n");
  // As typed there is a space behind it, where the cursor stood.
  EXPECT_TRUE(bash.wait_for("mobula train crossing.yaml --set algorithm.lr_schedule=linear\r\n")) << bash.out();
  bash.type("exit\n");
  bash.wait();
}

TEST_F(Completion, WorksInAnInteractiveZsh) {
  if (!installed("zsh")) GTEST_SKIP() << "zsh is not installed here";
  tests::Program zsh({"zsh", "-f", "-i"},
                     {.directory = scratch_.path(), .environment = {{"PS1", "ready> "}}, .columns = 120});
  ASSERT_TRUE(zsh.wait_for("ready> ")) << zsh.out();
  zsh.type("mobula() { \"" + tests::mobula_program() +
           "\" \"$@\"; }; autoload -U compinit; compinit -u -D; source <(mobula completion zsh); echo so\"urc\"ed\n");
  ASSERT_TRUE(zsh.wait_for("sourced\r\n")) << zsh.out();
  zsh.type(
      "mobula train cross\t--set algorithm.lr_sch\tlin\t\x01"
      "echo \n");
  EXPECT_TRUE(zsh.wait_for("\nmobula train crossing.yaml --set algorithm.lr_schedule=linear\r\n")) << zsh.out();
  zsh.type("exit\n");
  zsh.wait();
}

TEST_F(Completion, WorksInFish) {
  if (!installed("fish")) GTEST_SKIP() << "fish is not installed here";
  // What fish itself finds for a line.
  const auto in_fish = [&](const std::string& line) {
    const auto ended = tests::run({"fish", "--no-config", "-c",
                                   "function mobula; " + tests::mobula_program() +
                                       " $argv; end; mobula completion fish | source; complete -C '" + line + "'"},
                                  {.directory = scratch_.path(), .environment = {{"HOME", scratch_.path().string()}}});
    EXPECT_EQ(ended.err, "");
    return lines_of(ended.out);
  };
  EXPECT_THAT(in_fish("mobula tr"), ElementsAre("train"));
  EXPECT_THAT(in_fish("mobula train cr"), ElementsAre("crossing.yaml"));
  EXPECT_THAT(in_fish("mobula train --resume=runs/fi"), ElementsAre("--resume=runs/first/"));
  EXPECT_THAT(in_fish("mobula train crossing.yaml --set algorithm.lr_schedule=lin"),
              ElementsAre("algorithm.lr_schedule=linear"));
}

TEST_F(Completion, ScriptsAreGoodForTheirShells) {
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    const auto script = tests::run({tests::mobula_program(), "completion", shell}, {});
    ASSERT_EQ(script.status, 0);
    EXPECT_THAT(script.out, testing::HasSubstr("completion --words"));
    EXPECT_THAT(script.out, Not(testing::HasSubstr("PROGRAM")));
    const std::string path = scratch_ / ("script." + shell);
    std::ofstream(path) << script.out;
    if (!installed(shell)) continue;
    const auto checked = tests::run({shell, "-n", path}, {});
    EXPECT_EQ(checked.status, 0) << shell << ": " << checked.err;
  }
}

}  // namespace
}  // namespace mobula
