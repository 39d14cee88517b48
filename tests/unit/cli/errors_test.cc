// Runs the cases of errors.txt against the program itself: each ends with status 2 and one line on standard error, and
// leaves the folder as it was.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/paths.h"
#include "tests/support/program.h"
#include "tests/unit/train/scratch.h"

namespace mobula {
namespace {

struct Case {
  int line = 0;
  std::string title;
  std::vector<std::string> arguments;
  std::map<std::string, std::string> files;
  std::string message;
};

/// Words as a shell would see them; '...' keeps spaces.
std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  bool quoted = false, open = false;
  for (const char c : text) {
    if (c == '\'') {
      quoted = !quoted;
      if (!open) words.emplace_back();
      open = true;
    } else if (c == ' ' && !quoted) {
      open = false;
    } else {
      if (!open) words.emplace_back();
      open = true;
      words.back() += c;
    }
  }
  return words;
}

/// \xHH stands for a byte that a text file cannot show; "\x5B*20000" for so many of them.
std::string bytes_of(const std::string& line) {
  std::string bytes;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line.compare(i, 2, "\\x") != 0) {
      bytes += line[i];
      continue;
    }
    const char byte = static_cast<char>(std::stoi(line.substr(i + 2, 2), nullptr, 16));
    i += 3;
    std::size_t times = 1, digits = 0;
    if (line.compare(i + 1, 1, "*") == 0) {
      times = std::stoul(line.substr(i + 2), &digits);
      i += 1 + digits;
    }
    bytes.append(times, byte);
  }
  return bytes;
}

std::vector<Case> load_cases(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::vector<Case> cases;
  std::string line, open;
  for (int n = 1; std::getline(in, line); ++n) {
    if (line.starts_with("== ")) {
      cases.push_back({.line = n, .title = line.substr(3)});
      open.clear();
    } else if (cases.empty()) {
      continue;
    } else if (line.starts_with("$ ")) {
      cases.back().arguments = words_of(line.substr(2));
    } else if (line.starts_with("<< ")) {
      open = line.substr(3);
      cases.back().files[open];
    } else if (line.starts_with("=> ")) {
      cases.back().message = line.substr(3);
      open.clear();
    } else if (!open.empty()) {
      cases.back().files[open] += bytes_of(line) + "\n";
    }
  }
  return cases;
}

/// Every path below the folder with its size.
std::map<std::string, std::uintmax_t> listing(const std::filesystem::path& folder) {
  std::map<std::string, std::uintmax_t> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    found[entry.path().string()] = entry.is_regular_file() ? entry.file_size() : 0;
  }
  return found;
}

/// Whether the text is the pattern, in which each "[...]" stands for any text.
bool matches(std::string_view text, std::string_view pattern) {
  constexpr std::string_view any = "[...]";
  const auto gap = pattern.find(any);
  if (gap == std::string_view::npos) return text == pattern;
  if (!text.starts_with(pattern.substr(0, gap))) return false;
  const std::string_view rest = pattern.substr(gap + any.size());
  for (std::size_t at = gap; at <= text.size(); ++at) {
    if (matches(text.substr(at), rest)) return true;
  }
  return false;
}

TEST(CommandErrors, SayWhereWhatWasFoundAndWhatWasExpectedAndWriteNothing) {
  const auto cases = load_cases(tests::source_dir() / "tests/unit/cli/errors.txt");
  ASSERT_GE(cases.size(), 40U);
  std::set<std::string> commands;
  for (const auto& c : cases) {
    SCOPED_TRACE("errors.txt:" + std::to_string(c.line) + ": " + c.title);
    const Scratch scratch;
    for (const auto& [name, text] : c.files) {
      std::filesystem::create_directories((scratch / name).parent_path());
      if (!name.ends_with('/')) std::ofstream(scratch / name, std::ios::binary) << text;
    }
    const auto before = listing(scratch.path());
    auto command = c.arguments;
    if (!command.empty()) commands.insert(command.front());
    command.insert(command.begin(), tests::mobula_program());
    const auto ended = tests::run(std::move(command), {.directory = scratch.path()});
    EXPECT_TRUE(matches(ended.err, c.message + "\n")) << ended.err << "and not\n" << c.message;
    EXPECT_EQ(ended.status, 2);
    EXPECT_EQ(ended.out, "");
    EXPECT_EQ(listing(scratch.path()), before) << "it wrote something";
  }
  for (const auto* command : {"train", "tune", "evaluate", "config", "status", "head", "node", "stop", "stack", "logs",
                              "timeline", "submit", "jobs", "completion"}) {
    EXPECT_TRUE(commands.contains(command)) << "no case of mobula " << command;
  }
}

}  // namespace
}  // namespace mobula
