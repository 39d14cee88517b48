// What a run directory's records say, read by other means than those that wrote them.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "rl/train/files.h"
#include "tests/support/paths.h"

namespace mobula::rl {

/// A row of a CSV file by the names of its columns.
using Row = std::map<std::string, std::string>;

inline std::vector<std::string> split(const std::string& line, char at) {
  std::vector<std::string> parts;
  std::istringstream in(line);
  for (std::string part; std::getline(in, part, at);) parts.push_back(part);
  if (!line.empty() && line.back() == at) parts.emplace_back();
  return parts;
}

inline std::vector<Row> csv_rows(const std::filesystem::path& file) {
  std::istringstream in(read_file(file));
  std::string line;
  std::getline(in, line);
  const auto names = split(line, ',');
  std::vector<Row> rows;
  while (std::getline(in, line)) {
    const auto values = split(line, ',');
    EXPECT_EQ(values.size(), names.size()) << file << ": " << line;
    Row& row = rows.emplace_back();
    for (std::size_t i = 0; i < std::min(names.size(), values.size()); ++i) row[names[i]] = values[i];
  }
  return rows;
}

/// Rows of progress.csv without the columns that are times.
/// Columns, and curves of them, that differ from run to run.
inline bool is_of_time(std::string_view name) {
  return name.ends_with("_seconds") || name.ends_with("learner_floor_share");
}

inline std::vector<Row> without_times(std::vector<Row> rows) {
  for (auto& row : rows) {
    std::erase_if(row, [](const auto& cell) { return is_of_time(cell.first); });
  }
  return rows;
}

inline std::vector<nlohmann::json> events(const std::filesystem::path& file) {
  std::istringstream in(read_file(file));
  std::vector<nlohmann::json> all;
  for (std::string line; std::getline(in, line);) all.push_back(nlohmann::json::parse(line));
  return all;
}
inline std::vector<nlohmann::json> events_of_kind(const std::filesystem::path& file, const std::string& kind) {
  auto all = events(file);
  std::erase_if(all, [&](const auto& event) { return event.at("event") != kind; });
  return all;
}

/// tag -> (step, value)...; by TensorBoard's own reader where Python has it, see read_events.py.
inline std::map<std::string, std::vector<std::pair<std::int64_t, double>>> scalars(
    const std::filesystem::path& run_directory) {
  const std::string command = "python3 '" + (tests::source_dir() / "tests/unit/train/read_events.py").string() + "' '" +
                              run_directory.string() + "'";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (!pipe) throw std::runtime_error("popen");
  std::string text;
  char buffer[4096];
  for (std::size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, n);
  EXPECT_EQ(::pclose(pipe), 0) << command;
  const auto json = nlohmann::json::parse(text);
  testing::Test::RecordProperty("reader", json.at("reader").get<std::string>());
  std::printf("event files read with: %s\n", json.at("reader").get<std::string>().c_str());
  return json.at("scalars").get<std::map<std::string, std::vector<std::pair<std::int64_t, double>>>>();
}

}  // namespace mobula::rl
