// The format that scripts read. How fast the figures are is not asserted here: they are recorded, with their floors, in
// docs/internals/performance.md.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

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

std::map<std::string, json> by_name(const json& document) {
  std::map<std::string, json> rows;
  for (const json& row : document.at("rows")) {
    rows[row.at("name")] = row;
    for (const char* key : {"per_second", "p50_us", "p99_us", "floor", "ratio", "sd", "n"}) {
      EXPECT_TRUE(row.contains(key)) << row;
    }
  }
  return rows;
}

// Every row there is, each with a hundredth of its work.
TEST(Microbenchmark, PrintsEveryRowBesideItsFloorAsJson) {
  const json document = json::parse(output_of("microbenchmark --quick --json"));
  EXPECT_GT(document.at("machine").at("cpus").get<int>(), 0);
  const std::map<std::string, json> rows = by_name(document);
  for (const auto& [name, row] : rows) {
    if (row.contains("missing")) {  // says why: no name spaces, for one
      EXPECT_THAT(name, testing::AnyOf("node_transfer", "node_transfer_trusted", "tcp_stream"));
      EXPECT_NE(row.at("missing"), "") << row;
      continue;
    }
    if (row.contains("unit")) {
      EXPECT_TRUE(row.at("amount").is_number()) << row;
      EXPECT_TRUE(row.at("per_second").is_null()) << row;
    } else {
      EXPECT_GT(row.at("per_second").get<double>(), 0) << row;
    }
    if (row.at("floor").is_null()) continue;
    EXPECT_TRUE(rows.contains(row.at("floor"))) << row;
    EXPECT_TRUE(row.at("ratio").is_number()) << row;
  }
  for (const char* latency : {"task_sync", "actor_sync"}) {
    const json& row = rows.at(latency);
    EXPECT_EQ(row.at("floor"), "zmq_ipc_rtt");
    const double floor = rows.at("zmq_ipc_rtt").at("p50_us").get<double>();
    EXPECT_DOUBLE_EQ(row.at("ratio").get<double>(), row.at("p50_us").get<double>() / floor);
    EXPECT_LE(row.at("p50_us").get<double>(), row.at("p99_us").get<double>());
  }
  EXPECT_EQ(rows.at("task_sync_idle_1ms").at("floor"), "zmq_ipc_rtt_idle_1ms");
  EXPECT_EQ(rows.at("actor_sync_busy").at("floor"), "zmq_ipc_rtt_busy");
  for (const char* rate : {"task_async", "actor_async"}) EXPECT_TRUE(rows.at(rate).at("p50_us").is_null());
  EXPECT_EQ(rows.at("put_100mb").at("floor"), "memcpy_touched");
  EXPECT_TRUE(rows.at("start_to_first_result").at("ratio").is_null());
  EXPECT_EQ(rows.at("worker_threads").at("amount"), 1);
  for (const char* floor : {"unix_socket_rtt", "zmq_ipc_rtt", "futex_rtt", "memcpy_touched", "relay_rtt"}) {
    EXPECT_TRUE(rows.at(floor).at("floor").is_null());
  }
  for (const char* of_ray : {"single client get calls", "multi client tasks async", "1:1 actor calls concurrent",
                             "n:n async-actor calls async", "placement group create/removal"}) {
    EXPECT_TRUE(rows.contains(of_ray)) << of_ray;
  }
}

TEST(Microbenchmark, MeasuresTheRowsChosenAndTheirFloors) {
  const json document = json::parse(output_of("microbenchmark --quick --only task_sync,lane_rtt --json"));
  std::vector<std::string> names;
  for (const auto& [name, row] : by_name(document)) names.push_back(name);
  EXPECT_THAT(names, testing::ElementsAre("lane_rtt", "task_sync", "zmq_ipc_rtt"));
}

TEST(Microbenchmark, PrintsATableForPeople) {
  const std::string table = output_of("microbenchmark --only task_sync --trials 2 --seconds 0.05 --workers 1");
  EXPECT_THAT(table, testing::HasSubstr("per second"));
  EXPECT_THAT(table, testing::ContainsRegex("task_sync( +[0-9.]+){4} +zmq_ipc_rtt +[0-9.]+\n"));
}

TEST(Microbenchmark, PrintsThePromisesForTheDocs) {
  const std::string text = output_of("microbenchmark --quick --only get_10k --markdown");
  EXPECT_THAT(text, testing::ContainsRegex("get of 10,000 values, us . `get_10k` . at most 20000 . [0-9.]+ . yes"));
  EXPECT_THAT(text, testing::HasSubstr("`task_map` | at least 5000000 | - | not measured |"));
}

TEST(MicrobenchmarkOfLearning, PrintsEveryRowBesideItsFloorAsJson) {
  const std::map<std::string, json> rows = by_name(json::parse(output_of("microbenchmark rl --quick --json")));
  for (const char* row : {"cartpole_solved", "pendulum_300k", "ppo_sample_pass", "forward_b1", "vecenv_cartpole",
                          "vecenv_pendulum", "vecenv_acrobot", "sampling_processes", "weights_broadcast", "sac_updates",
                          "dqn_updates", "determinism_price", "free_running", "start_native", "start_torch", "sgemm"}) {
    ASSERT_TRUE(rows.contains(row)) << row;
  }
  for (const auto& [name, row] : rows) {
    if (row.contains("missing")) {  // built without LibTorch, or its module is not built
      EXPECT_THAT(name, testing::AnyOf("start_torch", "load_libtorch"));
      EXPECT_NE(row.at("missing"), "") << row;
      continue;
    }
    if (!row.at("floor").is_null()) {
      EXPECT_TRUE(rows.contains(row.at("floor"))) << row;
      EXPECT_GT(row.at("ratio").get<double>(), 0) << row;
    }
    EXPECT_GT(row.at(row.contains("unit") ? "amount" : "per_second").get<double>(), 0) << row;
  }
  for (const char* of_products :
       {"cartpole_solved", "pendulum_300k", "ppo_sample_pass", "sac_updates", "dqn_updates"}) {
    EXPECT_EQ(rows.at(of_products).at("floor"), "sgemm");
  }
  // A policy of 64x64 forward is 2 x (4 x 64 + 64 x 64 + 64 x 2) operations; a latency's ratio is how many times as
  // long as the floor takes for them.
  const double operations = 2.0 * (4 * 64 + 64 * 64 + 64 * 2);
  const double floor_us = 1e6 * operations / rows.at("sgemm").at("per_second").get<double>();
  const json& forward = rows.at("forward_b1");
  EXPECT_NEAR(forward.at("ratio").get<double>(), forward.at("p50_us").get<double>() / floor_us,
              1e-6 * forward.at("ratio").get<double>());
  EXPECT_THAT(rows.at("cartpole_solved").at("note"), testing::HasSubstr("of 1 seeds"));
}

TEST(MicrobenchmarkOfLearning, TellsOfPeersThatAreNotThere) {
  ::setenv("MOBULA_PEERS_PYTHON", "python3", 1);
  const json rows =
      json::parse(output_of("microbenchmark rl --quick --only vecenv_cartpole --peers --json")).at("rows");
  ::unsetenv("MOBULA_PEERS_PYTHON");
  ASSERT_EQ(rows.at(0).at("name"), "vecenv_cartpole");
  const json& peer = rows.at(0).at("peers").at(0);
  EXPECT_EQ(peer.at("peer"), "envpool");
  if (peer.contains("missing")) {
    EXPECT_THAT(peer.at("missing"), testing::HasSubstr("envpool"));
    EXPECT_TRUE(peer.at("times_as_fast").is_null());
  } else {
    EXPECT_GT(peer.at("times_as_fast").get<double>(), 0);
  }
}

TEST(MicrobenchmarkOfLearning, PrintsThePromisesForTheDocs) {
  const std::string text = output_of("microbenchmark rl --quick --only vecenv_pendulum --markdown");
  EXPECT_THAT(text, testing::HasSubstr("| `vecenv_pendulum` | at least 18400000 |"));
  EXPECT_THAT(text, testing::HasSubstr("| `start_native` | at most 100000 | - | not measured |"));
}

TEST(Microbenchmark, ListsItsRows) {
  const std::string list = output_of("microbenchmark --list");
  EXPECT_THAT(list, testing::ContainsRegex("task_sync_idle_1ms +mobula +zmq_ipc_rtt_idle_1ms +the same after"));
}

}  // namespace
