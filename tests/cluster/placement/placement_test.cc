// Where work goes on a cluster of real nodes.
#include <gmock/gmock.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include "tests/cluster/placement/cluster.h"

namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

using Placement = ThreeNodes;

TEST_F(Placement, TasksAndActorsGoWhereTheirNamesLabelsAndStrategiesSay) {
  start_head({"--cpus", "2", "--label", "zone=a"});
  start_second({"--cpus", "2", "--label", "zone=a", "--label", "disk=ssd"});
  start_third({"--cpus", "2", "--label", "zone=b", "--label", "disk=hdd"});
  const std::string said = run_program({"placement"});
  EXPECT_THAT(said, HasSubstr("by name: second\n"));
  EXPECT_THAT(said, HasSubstr("by label: third\n"));
  EXPECT_THAT(said, HasSubstr("by another label: second\n"));
  EXPECT_THAT(said, HasSubstr("soft: 1\n"));
  EXPECT_THAT(said, HasSubstr("actor: third\n"));
  EXPECT_THAT(said, HasSubstr("nowhere: timed_out\n"));
  EXPECT_THAT(said, HasSubstr("third: its zone is b (\"c\" is asked for)"));
  EXPECT_THAT(said, HasSubstr("spread over 4\n"));
}

TEST_F(Placement, ARecordedLoadIsReplayedUnderOtherPolicies) {
  const std::string log = folder_ / "decisions.log", other = folder_ / "others.log";
  start_head({"--cpus", "2", "--decision-log", log});
  start_third({"--cpus", "2", "--decision-log", other});
  run_program({"placement_load"});
  // The leases of a program that has ended go back a moment later.
  const auto count = [&](const std::string& event) {
    std::size_t found = 0;
    for (const std::string& path : {log, other}) {
      std::ifstream lines(path);
      for (std::string line; std::getline(lines, line);) found += line.find(event) != std::string::npos;
    }
    return found;
  };
  const auto until = std::chrono::steady_clock::now() + 20s;
  while ((count(" lease n=") == 0 || count(" end n=") < count(" lease n=")) &&
         std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(20ms);
  }
  Child replay({MOBULA_PROGRAM, "replay", log, other, "--policy", "local_first"});
  EXPECT_EQ(replay.wait(30s), 0) << replay.output();
  EXPECT_THAT(replay.output(), HasSubstr("leases on 3 nodes"));
  EXPECT_THAT(replay.output(), HasSubstr("pack_then_spread"));
  EXPECT_THAT(replay.output(), HasSubstr("local_first"));
  EXPECT_THAT(replay.output(), testing::Not(HasSubstr("random")));

  std::ofstream(log, std::ios::app) << "nonsense\n";
  Child broken({MOBULA_PROGRAM, "replay", log});
  EXPECT_NE(broken.wait(30s), 0);
  EXPECT_THAT(broken.output(), HasSubstr("it begins with a time and an event: nonsense"));
}

}  // namespace
