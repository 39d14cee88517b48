// The format that scripts read. How fast the figures are is not asserted here: they are recorded, with their floors, in
// docs/internals/performance.md.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/paths.h"

namespace {

using nlohmann::json;

std::string output_of(const std::string& arguments) {
  const std::string command = (mobula::tests::binary_dir() / "cli/mobula").string() + " " + arguments;
  FILE* pipe = popen(command.c_str(), "r");
  EXPECT_NE(pipe, nullptr);
  std::string text;
  std::array<char, 4096> buffer;
  while (const auto bytes = fread(buffer.data(), 1, buffer.size(), pipe)) text.append(buffer.data(), bytes);
  EXPECT_EQ(pclose(pipe), 0) << command;
  return text;
}

TEST(Microbenchmark, PrintsEveryRowBesideItsFloorAsJson) {
  const json document = json::parse(output_of("microbenchmark --rounds 1 --json"));
  EXPECT_GT(document.at("machine").at("cpus").get<int>(), 0);
  std::map<std::string, json> rows;
  for (const json& row : document.at("rows")) {
    rows[row.at("name")] = row;
    for (const char* key : {"per_second", "p50_us", "p99_us", "floor", "ratio"}) EXPECT_TRUE(row.contains(key)) << row;
    EXPECT_GT(row.at("per_second").get<double>(), 0) << row;
  }
  for (const char* latency : {"task_sync", "actor_sync"}) {
    const json& row = rows.at(latency);
    EXPECT_EQ(row.at("floor"), "zmq_ipc_rtt");
    const double floor = rows.at("zmq_ipc_rtt").at("p50_us").get<double>();
    EXPECT_DOUBLE_EQ(row.at("ratio").get<double>(), row.at("p50_us").get<double>() / floor);
    EXPECT_LE(row.at("p50_us").get<double>(), row.at("p99_us").get<double>());
  }
  for (const char* rate : {"task_async", "actor_async"}) EXPECT_TRUE(rows.at(rate).at("p50_us").is_null());
  EXPECT_EQ(rows.at("put_100mb").at("floor"), "memcpy_touched");
  EXPECT_TRUE(rows.at("start_to_first_result").at("ratio").is_null());
  for (const char* floor : {"unix_socket_rtt", "zmq_ipc_rtt", "futex_rtt", "memcpy_touched"}) {
    EXPECT_TRUE(rows.at(floor).at("floor").is_null());
  }
}

TEST(Microbenchmark, PrintsATableForPeople) {
  const std::string table = output_of("microbenchmark --rounds 1 --workers 1");
  EXPECT_THAT(table, testing::HasSubstr("per second"));
  EXPECT_THAT(table, testing::ContainsRegex("task_sync +[0-9.]+ +[0-9.]+ +[0-9.]+  zmq_ipc_rtt +[0-9.]+\n"));
}

}  // namespace
