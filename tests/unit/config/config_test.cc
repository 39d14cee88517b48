#include "runtime/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cstdio>
#include <fstream>
#include <limits>
#include <random>

#include "tests/unit/config/train_config.h"

namespace mobula::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Algorithm read_algorithm(const std::string& text) {
  Algorithm algorithm;
  read(Document::parse(text, "test.yaml"), "", algorithm);
  return algorithm;
}

TEST(Config, ReadsEveryKindOfField) {
  const auto a = read_algorithm(R"(
lr: 1e-2
clip: .25
epochs: +7
steps: 2e6
seed: 18446744073709551615
level: 255
normalise: false
policy: "lstm"
target_kl: 0.01
hidden: [32, 16, 8]
betas: [0.5, 0.25]
masks: [true, false]
tags:
  - red
  - green
schedule: {kind: linear, end: 1}
entropy: {kind: cosine}
constraints:
  - {metric: wait, at_most: 10}
  - metric: delay
)");
  Algorithm expected{.lr = 1e-2,
                     .clip = 0.25F,
                     .epochs = 7,
                     .steps = 2'000'000,
                     .seed = 18446744073709551615U,
                     .level = 255,
                     .normalise = false,
                     .policy = "lstm",
                     .target_kl = 0.01,
                     .hidden = {32, 16, 8},
                     .betas = {0.5, 0.25},
                     .masks = {true, false},
                     .tags = {"red", "green"},
                     .schedule = {"linear", 1},
                     .entropy = Schedule{"cosine", 0},
                     .constraints = {{"wait", 10}, {"delay", 1}}};
  EXPECT_EQ(a, expected);
}

TEST(Config, KeepsTheDefaultsOfWhatIsNotWritten) {
  EXPECT_EQ(read_algorithm("lr: 0.5"), (Algorithm{.lr = 0.5}));
}

TEST(Config, ChangesNothingWhenAReadFails) {
  Algorithm algorithm{.epochs = 3};
  const Algorithm before = algorithm;
  EXPECT_THROW(read(Document::parse("lr: 0.1\nepochs: 0", "t"), "", algorithm), ConfigError);
  EXPECT_EQ(algorithm, before);
}

// What a struct says of itself as a whole is told where the key that it names was written.
struct Rungs {
  double grace = 1, max = 9;
  void describe(Fields& f) {
    f("grace", grace);
    f("max", max);
  }
  std::string problem() const { return grace > max ? "grace: it is above max" : ""; }
};
struct Search {
  Rungs rungs;
  void describe(Fields& f) { f("rungs", rungs); }
};

TEST(Config, TellsWhatAStructSaysAtTheKeyThatItNames) {
  const auto message = [](Document document) -> std::string {
    Search search;
    try {
      read(document, "search", search);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  };
  auto document = Document::parse("search:\n  rungs:\n    max: 3\n    grace: 4\n", "f.yaml");
  EXPECT_EQ(message(document), "f.yaml:4:12: search.rungs.grace: it is above max");
  document.set("search.rungs.grace=5");
  EXPECT_EQ(message(document), "--set search.rungs.grace=5: search.rungs.grace: it is above max");
  // Where that key is at its default, the section is what there is to point at.
  EXPECT_EQ(message(Document::parse("search:\n  rungs: {max: 0.5}\n", "f.yaml")),
            "f.yaml:2:10: search.rungs: grace: it is above max");
}

TEST(Config, ReadsASectionThatDependsOnItsNameInTwoSteps) {
  const auto document = Document::parse("env: {name: intersection, kind: linear}\nworkers: 2", "t.yaml");
  const std::vector<std::string> names = {"cartpole", "intersection"};
  EXPECT_EQ(document.choose("env.name", names), "intersection");
  Schedule env;
  read(document, "env", env, {"name"});
  EXPECT_EQ(env.kind, "linear");
  EXPECT_TRUE(document.has("workers"));
  EXPECT_FALSE(document.has("env.end"));
  EXPECT_THAT(document.keys(""), ElementsAre("env", "workers"));
  EXPECT_THAT(document.keys("evaluate"), ElementsAre());
  EXPECT_EQ(document.text("workers"), "2");
  EXPECT_EQ(document.text("seed"), std::nullopt);
}

TEST(Config, AbsentAndEmptySectionsKeepTheirDefaults) {
  Schedule schedule{"linear", 2};
  const auto document = Document::parse("a: 1\nempty:\n", "t.yaml");
  read(document, "absent", schedule);
  read(document, "empty", schedule);
  EXPECT_EQ(schedule, (Schedule{"linear", 2}));
}

TEST(Config, AliasesStandForTheirAnchors) {
  const auto a = read_algorithm("schedule: &s {kind: linear, end: 2}\nentropy: *s\n");
  EXPECT_EQ(a.entropy, a.schedule);
}

TEST(Config, OverridesReplaceAddAndRemoveValues) {
  auto document = Document::parse("algorithm: {lr: 1, hidden: [1, 2], target_kl: 3}", "t.yaml");
  document.set("algorithm.lr=3e-4");
  document.set("algorithm.hidden.1=9");
  document.set("algorithm.target_kl=~");
  document.set("algorithm.schedule.kind=cosine");
  document.set("algorithm.constraints=[{metric: wait}]");
  document.set("stop.env_steps=100");
  Algorithm a;
  read(document, "algorithm", a);
  EXPECT_EQ(a, (Algorithm{.lr = 3e-4, .hidden = {1, 9}, .schedule = {"cosine", 0}, .constraints = {{"wait", 1}}}));
  EXPECT_EQ(document.text("stop.env_steps"), "100");
}

TEST(Config, AFailedOverrideLeavesTheDocumentAsItWas) {
  auto document = Document::parse("a: {b: 1}", "t.yaml");
  EXPECT_THROW(document.set("a.c.=2"), ConfigError);
  EXPECT_THROW(document.set("a.b.c=2"), ConfigError);
  EXPECT_THAT(document.keys("a"), ElementsAre("b"));
}

TEST(Config, DumpReadsBackToEqualValues) {
  Algorithm a{.lr = 0.1,
              .clip = 0.1F,
              .epochs = 1,
              .steps = std::numeric_limits<std::int64_t>::max(),
              .seed = std::numeric_limits<std::uint64_t>::max(),
              .target_kl = 1e-300,
              .hidden = {},
              .masks = {false, true},
              .tags = {"green"},
              .entropy = Schedule{"linear", 1e23},
              .constraints = {{"it's \"odd\": #1, [x]\n\ttab \x01", 0.1 + 0.2}, {"true", 5e-324}, {"0x1", 1}, {"", 2}}};
  EXPECT_EQ(read_algorithm(dump(a)), a) << dump(a);

  const auto document =
      Document::parse(dump(a, {.section = "algorithm", .also = {{"name", "ppo"}}}) + "workers: 2\n", "d");
  Algorithm again;
  read(document, "algorithm", again, {"name"});
  EXPECT_EQ(again, a);
  EXPECT_EQ(document.text("algorithm.name"), "ppo");
}

TEST(Config, DumpsLookAsAPersonWouldWriteThem) {
  EXPECT_EQ(dump(Algorithm{.constraints = {{"wait", 10}}}), R"(lr: 3e-04
clip: 0.2
epochs: 10
steps: 1000000
seed: 1
level: 3
normalise: true
policy: mlp
target_kl: ~
hidden: [64, 64]
betas: [0.9, 0.999]
masks: []
tags: []
schedule:
  kind: constant
  end: 0
entropy: ~
constraints: [{metric: wait, at_most: 10}]
)");
}

struct One {
  double value = 0;
  void describe(Fields& f) { f("value", value); }
};

struct OneFloat {
  float value = 0;
  void describe(Fields& f) { f("value", value); }
};

TEST(Config, EveryFiniteNumberSurvivesDumpAndReadBitForBit) {
  std::mt19937_64 bits(7);
  for (int i = 0; i < 20'000; ++i) {
    const One before{std::bit_cast<double>(bits())};
    if (!std::isfinite(before.value)) continue;
    One after;
    read(Document::parse(dump(before), "d"), "", after);
    ASSERT_EQ(std::bit_cast<std::uint64_t>(after.value), std::bit_cast<std::uint64_t>(before.value)) << dump(before);
    const OneFloat narrow{std::bit_cast<float>(static_cast<std::uint32_t>(bits()))};
    if (!std::isfinite(narrow.value)) continue;
    OneFloat narrow_after;
    read(Document::parse(dump(narrow), "d"), "", narrow_after);
    ASSERT_EQ(std::bit_cast<std::uint32_t>(narrow_after.value), std::bit_cast<std::uint32_t>(narrow.value))
        << dump(narrow);
  }
}

TEST(Config, ListsEveryKeyWithDefaultRangeUnitAndSentence) {
  const auto keys = describe_keys<Algorithm>();
  std::vector<std::string> paths;
  for (const auto& key : keys) paths.push_back(key.path);
  EXPECT_THAT(paths, ElementsAre("lr", "clip", "epochs", "steps", "seed", "level", "normalise", "policy", "target_kl",
                                 "hidden", "betas", "masks", "tags", "schedule.kind", "schedule.end", "entropy.kind",
                                 "entropy.end", "constraints[].metric", "constraints[].at_most"));
  EXPECT_EQ(keys[0], (Key{"lr", "number", "3e-04", "(0, 1]", "1/step", "Learning rate of Adam.", false}));
  EXPECT_EQ(keys[8], (Key{"target_kl", "number", "~", "> 0", "", "Stops an update early; ~ never does.", false}));
  EXPECT_EQ(keys[9], (Key{"hidden", "list of integers", "[64, 64]", "[1, 4096]", "", "Units of each layer.", false}));
  EXPECT_EQ(keys[17], (Key{"constraints[].metric", "text", "", "", "", "Which metric is bounded.", true}));
}

TEST(Config, HelpIsAlignedText) {
  EXPECT_EQ(format_keys(describe_keys(Schedule{.end = 2})),
            R"(  kind  = constant  (text, one of constant, linear, cosine)
        How the rate falls.
  end   = 2  (number, >= 0)
        Value at the end.
)");
}

TEST(Config, LoadsAFileAndNamesItInErrors) {
  const std::string path =
      testing::TempDir() + "mobula_config_test_" + std::to_string(std::random_device{}()) + ".yaml";
  std::ofstream(path) << "lr: fast\n";
  Algorithm a;
  try {
    read(Document::load(path), "", a);
    ADD_FAILURE() << "read";
  } catch (const ConfigError& e) {
    EXPECT_THAT(e.what(), HasSubstr(path + ":1:5: lr: found 'fast'; expected a number in (0, 1] (1/step)"));
  }
  std::remove(path.c_str());
}

TEST(Config, SaysWhyAFileCannotBeRead) {
  try {
    Document::load("/nonexistent/run.yaml");
    ADD_FAILURE() << "loaded";
  } catch (const ConfigError& e) {
    EXPECT_STREQ(e.what(), "cannot read the configuration file '/nonexistent/run.yaml': No such file or directory");
  }
  try {
    Document::load("/");
    ADD_FAILURE() << "loaded";
  } catch (const ConfigError& e) {
    EXPECT_STREQ(e.what(), "cannot read the configuration file '/': it is a directory; name a YAML file");
  }
}

TEST(Config, RefusesAliasesThatMultiplyWithoutEnd) {
  std::string bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + last;
    for (int k = 0; k < 9; ++k) bomb += ", " + last;
    bomb += "]\n";
  }
  EXPECT_THROW(Document::parse(bomb, "bomb.yaml"), ConfigError);
}

TEST(Nearest, FindsTheNameThatWasMeantAndNoneWhenNoneIsNear) {
  const std::vector<std::string> names = {"lr", "clip_range", "entropy_coefficient", "hidden"};
  EXPECT_EQ(nearest("clip_rnage", names), "clip_range");
  EXPECT_EQ(nearest("ClipRange", names), "clip_range");
  EXPECT_EQ(nearest("entropy_coeficient", names), "entropy_coefficient");
  EXPECT_EQ(nearest("l", names), "lr");
  EXPECT_EQ(nearest("workers", names), std::nullopt);
  EXPECT_EQ(nearest("", names), std::nullopt);
}

}  // namespace
}  // namespace mobula::config
