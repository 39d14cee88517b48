#include "scheduler/policies/place_group.h"

#include <gmock/gmock.h>

#include <map>
#include <set>

namespace mobula::scheduler {
namespace {

using testing::HasSubstr;
using wire::Bundle;
using wire::GroupStrategy;

NodeView node(std::uint64_t id, double total, double available, std::map<std::string, std::string> labels = {}) {
  return {{id}, "host" + std::to_string(id), "", Resources::cpus(total), Resources::cpus(available), 0, labels};
}
std::vector<Bundle> bundles(int count, double cpus = 1) {
  return std::vector<Bundle>(static_cast<std::size_t>(count), {Resources::cpus(cpus), {}});
}
std::size_t distinct(const std::vector<NodeId>& nodes) {
  return std::set<NodeId>(nodes.begin(), nodes.end()).size();
}

TEST(PlaceGroup, PackUsesFewNodesAndSpreadMany) {
  const std::vector<NodeView> nodes{node(1, 4, 4), node(2, 4, 4), node(3, 4, 4)};
  EXPECT_EQ(distinct(place_group(nodes, GroupStrategy::pack, bundles(4)).nodes), 1u);
  EXPECT_EQ(distinct(place_group(nodes, GroupStrategy::pack, bundles(5)).nodes), 2u);
  EXPECT_EQ(distinct(place_group(nodes, GroupStrategy::spread, bundles(4)).nodes), 3u);
}

TEST(PlaceGroup, SpreadGoesWhereThereIsRoomAlsoTwice) {
  const std::vector<NodeView> nodes{node(1, 4, 4), node(2, 4, 0)};
  EXPECT_EQ(distinct(place_group(nodes, GroupStrategy::spread, bundles(3)).nodes), 1u);
}

TEST(PlaceGroup, StrictPackTakesTheTightestNode) {
  const std::vector<NodeView> nodes{node(1, 8, 8), node(2, 4, 3), node(3, 2, 2)};
  EXPECT_EQ(place_group(nodes, GroupStrategy::strict_pack, bundles(3)).nodes, std::vector<NodeId>(3, NodeId{2}));
  const GroupPlan never = place_group(nodes, GroupStrategy::strict_pack, bundles(9));
  EXPECT_TRUE(never.never);
  EXPECT_EQ(never.reason, "all bundles together are cpu 9: no node has that much even when idle");
  EXPECT_FALSE(place_group({node(1, 8, 2)}, GroupStrategy::strict_pack, bundles(3)).never) << "later it will";
}

TEST(PlaceGroup, StrictSpreadNeedsAsManyNodes) {
  const std::vector<NodeView> nodes{node(1, 4, 4), node(2, 4, 4)};
  EXPECT_EQ(distinct(place_group(nodes, GroupStrategy::strict_spread, bundles(2)).nodes), 2u);
  EXPECT_TRUE(place_group(nodes, GroupStrategy::strict_spread, bundles(3)).never);
}

TEST(PlaceGroup, LargeBundlesFirst) {
  const std::vector<NodeView> nodes{node(1, 4, 4), node(2, 2, 2)};
  std::vector<Bundle> mixed = bundles(2);
  mixed.push_back({Resources::cpus(4), {}});
  const GroupPlan plan = place_group(nodes, GroupStrategy::spread, mixed);
  ASSERT_EQ(plan.nodes.size(), 3u) << plan.reason;
  EXPECT_EQ(plan.nodes[2], NodeId{1});
}

TEST(PlaceGroup, BundlesHaveLabelsOfTheirOwn) {
  const std::vector<NodeView> nodes{node(1, 4, 4, {{"zone", "a"}}), node(2, 4, 4, {{"zone", "b"}})};
  std::vector<Bundle> two = bundles(2);
  two[0].labels["zone"] = "b";
  two[1].labels["zone"] = "a";
  EXPECT_EQ(place_group(nodes, GroupStrategy::pack, two).nodes, (std::vector<NodeId>{{2}, {1}}));
  two[0].labels["zone"] = "c";
  const GroupPlan never = place_group(nodes, GroupStrategy::pack, two);
  EXPECT_TRUE(never.never);
  EXPECT_THAT(never.reason, HasSubstr("host1: its zone is a (\"c\" is asked for)"));
}

TEST(PlaceGroup, WhatIsPlacedStays) {
  const std::vector<NodeView> nodes{node(1, 4, 4), node(2, 4, 4), node(3, 4, 4)};
  const GroupPlan plan = place_group(nodes, GroupStrategy::strict_spread, bundles(3), {{2}, {}, {}});
  ASSERT_EQ(plan.nodes.size(), 3u);
  EXPECT_EQ(plan.nodes[0], NodeId{2});
  EXPECT_EQ(distinct(plan.nodes), 3u);
}

TEST(PlaceGroup, APlanNeverExceedsWhatThereIs) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    std::uint64_t state = seed;
    const auto draw = [&](std::uint64_t below) { return (state = hash_mix(state, below)) % below; };
    std::vector<NodeView> nodes;
    for (std::uint64_t id = 1; id <= 1 + draw(5); ++id) {
      const auto total = static_cast<double>(1 + draw(6));
      nodes.push_back(node(id, total, static_cast<double>(draw(static_cast<std::uint64_t>(total) + 1))));
    }
    std::vector<Bundle> wanted;
    for (std::uint64_t i = 0; i < 1 + draw(5); ++i)
      wanted.push_back({Resources::cpus(1 + static_cast<double>(draw(3))), {}});
    const auto strategy = static_cast<GroupStrategy>(draw(4));
    const GroupPlan plan = place_group(nodes, strategy, wanted);
    if (plan.nodes.empty()) {
      EXPECT_FALSE(plan.reason.empty());
      continue;
    }
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      for (NodeView& each : nodes) {
        if (each.node == plan.nodes[i]) each.available -= wanted[i].resources;
      }
    }
    for (const NodeView& each : nodes) EXPECT_GE(each.available.amount("cpu"), 0) << "seed " << seed;
    if (strategy == GroupStrategy::strict_spread) {
      EXPECT_EQ(distinct(plan.nodes), wanted.size());
    }
    if (strategy == GroupStrategy::strict_pack) {
      EXPECT_EQ(distinct(plan.nodes), 1u);
    }
  }
}

}  // namespace
}  // namespace mobula::scheduler
