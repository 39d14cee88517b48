// Runs the cases of errors.txt: each a title, the text of a file, overrides, and the message that must come.
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "runtime/config/config.h"
#include "tests/support/paths.h"
#include "tests/unit/config/train_config.h"

namespace mobula::config {
namespace {

struct Case {
  int line = 0;
  std::string title;
  std::string text;
  std::vector<std::string> overrides;
  std::string message;
};

std::vector<Case> load_cases(const std::string& file) {
  std::ifstream in(file);
  std::vector<Case> cases;
  std::string line;
  for (int n = 1; std::getline(in, line); ++n) {
    if (line.starts_with("== ")) {
      cases.push_back({.line = n, .title = line.substr(3)});
    } else if (cases.empty()) {
      continue;
    } else if (line.starts_with("-- ")) {
      cases.back().overrides.push_back(line.substr(3));
    } else if (line.starts_with("=> ")) {
      cases.back().message = line.substr(3);
    } else if (cases.back().message.empty()) {
      cases.back().text += line + "\n";
    }
  }
  return cases;
}

std::string message_of(const Case& c) {
  try {
    auto document = Document::parse(c.text, "run.yaml");
    for (const auto& assignment : c.overrides) document.set(assignment);
    const std::vector<std::string> names = {"ppo", "dqn"};
    if (document.has("algorithm.name")) document.choose("algorithm.name", names);
    Algorithm algorithm;
    read(document, "algorithm", algorithm, {"name"});
    return "read without an error";
  } catch (const ConfigError& e) {
    return e.what();
  }
}

TEST(ConfigErrors, SayWhereWhatWasFoundAndWhatWasExpected) {
  const auto cases = load_cases(tests::source_dir() / "tests/unit/config/errors.txt");
  ASSERT_GE(cases.size(), 50U);
  for (const auto& c : cases) {
    EXPECT_EQ(message_of(c), c.message) << "errors.txt:" << c.line << ": " << c.title;
  }
}

}  // namespace
}  // namespace mobula::config
