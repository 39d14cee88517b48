// A cluster of three nodes on two machines (network name spaces): the head, named first, and second on one of them,
// third on the other. Each node tells its workers its name in $WHERE.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/cluster/nodes/child.h"
#include "tests/cluster/nodes/namespaces.h"

class ThreeNodes : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // The options besides addresses, keys and names, such as {"--cpus", "2"}. Returns once it is a member.
  void start_head(std::vector<std::string> options);
  void start_second(std::vector<std::string> options);
  void start_third(std::vector<std::string> options);
  // The test's program on the first machine.
  std::unique_ptr<Child> start_program(std::vector<std::string> arguments);
  // Runs it to its end; its output. A status other than 0 is a failure.
  std::string run_program(std::vector<std::string> arguments);

  std::string address() const { return machines_.address(0) + ":6390"; }
  std::string keys() const { return folder_ / "keys"; }

  TwoMachines machines_;
  std::filesystem::path folder_;
  std::unique_ptr<Child> head_, second_, third_;

 private:
  std::unique_ptr<Child> start(int machine, const std::string& name, std::vector<std::string> command,
                               const std::vector<std::string>& options);
};
