#include "runtime/control/groups.h"

#include <gmock/gmock.h>

namespace mobula {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using wire::GroupStrategy;

const ProcessId creator{{0xd}, 1, 1};
const wire::GroupId id{creator, 1};

struct GroupsTest : testing::Test {
  std::vector<std::pair<NodeId, wire::Message>> to_nodes;
  std::vector<std::pair<ProcessId, wire::Message>> to_processes;
  int changes = 0;
  Groups groups{{[this](NodeId to, wire::Message&& m) { to_nodes.emplace_back(to, std::move(m)); },
                 [this](const ProcessId& to, wire::Message&& m) { to_processes.emplace_back(to, std::move(m)); },
                 [this] { ++changes; }}};
  std::vector<wire::NodeView> members{member(1, 2), member(2, 2), member(3, 2)};
  Time now{};

  static wire::NodeView member(std::uint64_t node, double cpus) {
    return {{node}, "host" + std::to_string(node), "", Resources::cpus(cpus), Resources::cpus(cpus), 0};
  }
  static wire::CreateGroup wanted(GroupStrategy strategy, int bundles, double cpus = 1, std::uint32_t number = 1) {
    return {{creator, number},
            "",
            strategy,
            std::vector<wire::Bundle>(static_cast<std::size_t>(bundles), {Resources::cpus(cpus), {}}),
            0};
  }
  template <class M>
  std::vector<std::pair<NodeId, M>> take() {
    std::vector<std::pair<NodeId, M>> found;
    for (const auto& [to, message] : to_nodes) {
      if (const auto* m = std::get_if<M>(&message)) found.emplace_back(to, *m);
    }
    std::erase_if(to_nodes, [](const auto& sent) { return std::holds_alternative<M>(sent.second); });
    return found;
  }
  std::vector<wire::GroupPlaced> told() {
    std::vector<wire::GroupPlaced> found;
    for (const auto& [to, message] : std::exchange(to_processes, {}))
      found.push_back(std::get<wire::GroupPlaced>(message));
    return found;
  }
  void answer(const std::pair<NodeId, wire::ReserveBundle>& asked, bool yes) {
    groups.on_reply(asked.first, {asked.second.id, asked.second.bundle, asked.second.attempt, yes, yes ? "" : "full"},
                    members, now);
  }
  void place_all() {
    for (const auto& asked : take<wire::ReserveBundle>()) answer(asked, true);
  }
};

TEST_F(GroupsTest, AreCommittedOnlyWhenAllNodesHaveReserved) {
  groups.create(wanted(GroupStrategy::strict_spread, 2), members, now);
  groups.watch({id, creator});
  const auto asked = take<wire::ReserveBundle>();
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_NE(asked[0].first, asked[1].first);
  answer(asked[0], true);
  EXPECT_TRUE(take<wire::CommitBundle>().empty());
  EXPECT_TRUE(told().empty());
  answer(asked[1], true);
  EXPECT_EQ(take<wire::CommitBundle>().size(), 2u);
  const auto placed = told();
  ASSERT_EQ(placed.size(), 1u);
  EXPECT_EQ(placed[0].nodes, (std::vector<NodeId>{asked[0].first, asked[1].first}));
  EXPECT_EQ(groups.views()[0].nodes, placed[0].nodes);
}

TEST_F(GroupsTest, OneRefusalGivesAllBackAndTheNextPlanAvoidsWhoRefused) {
  groups.create(wanted(GroupStrategy::strict_spread, 2), members, now);
  const auto asked = take<wire::ReserveBundle>();
  answer(asked[0], true);
  answer(asked[1], false);
  const auto back = take<wire::ReturnBundle>();
  ASSERT_EQ(back.size(), 1u);
  EXPECT_EQ(back[0].first, asked[0].first);
  EXPECT_TRUE(take<wire::CommitBundle>().empty());
  EXPECT_THAT(groups.waiting(now).at(0), HasSubstr("full"));
  now += milliseconds(300);
  groups.on_timer(members, now);
  const auto again = take<wire::ReserveBundle>();
  ASSERT_EQ(again.size(), 2u);
  for (const auto& [node, message] : again) EXPECT_NE(node, asked[1].first);
  EXPECT_GT(again[0].second.attempt, asked[0].second.attempt);
  // A late answer to the first attempt is none to the second.
  answer(asked[0], true);
  EXPECT_TRUE(take<wire::CommitBundle>().empty());
}

TEST_F(GroupsTest, OneIsReservedAtATime) {
  groups.create(wanted(GroupStrategy::pack, 1), members, now);
  groups.create(wanted(GroupStrategy::pack, 1, 1, 2), members, now);
  ASSERT_EQ(take<wire::ReserveBundle>().size(), 1u);
  EXPECT_EQ(groups.waiting(now).size(), 2u);
}

TEST_F(GroupsTest, WhatNoClusterOfTheseNodesCouldHoldIsRefused) {
  groups.create(wanted(GroupStrategy::strict_spread, 4), members, now);
  groups.watch({id, creator});
  const auto refused = told();
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].error.code, ErrorCode::infeasible);
  EXPECT_THAT(refused[0].error.message, HasSubstr("4 bundles shall be on nodes of their own, and there are 3"));
  EXPECT_FALSE(groups.views()[0].ended.empty()) << "requests inside of it learn it too";
}

TEST_F(GroupsTest, WaitForOthersToGiveBack) {
  groups.create(wanted(GroupStrategy::pack, 3, 2), members, now);
  place_all();
  groups.create(wanted(GroupStrategy::pack, 1, 1, 2), members, now);
  EXPECT_TRUE(take<wire::ReserveBundle>().empty()) << "all is reserved, whatever leases hold";
  groups.remove(id, "it was removed", members, now);
  EXPECT_EQ(take<wire::ReturnBundle>().size(), 3u);
  EXPECT_EQ(take<wire::ReserveBundle>().size(), 1u);
}

TEST_F(GroupsTest, ALostNodeIsReplacedAndTheRestStays) {
  groups.create(wanted(GroupStrategy::strict_spread, 2), members, now);
  const auto asked = take<wire::ReserveBundle>();
  for (const auto& each : asked) answer(each, true);
  take<wire::CommitBundle>();
  std::erase_if(members, [&](const auto& node) { return node.node == asked[1].first; });
  groups.node_died(asked[1].first, members, now);
  EXPECT_EQ(groups.views()[0].nodes[1], NodeId{});
  const auto again = take<wire::ReserveBundle>();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].second.bundle, 1u);
  EXPECT_NE(again[0].first, asked[0].first);
  EXPECT_NE(again[0].first, asked[1].first);
  answer(again[0], true);
  EXPECT_EQ(groups.views()[0].nodes, (std::vector<NodeId>{asked[0].first, again[0].first}));
}

TEST_F(GroupsTest, ANodeThatDiesWhileItIsAskedIsARefusal) {
  groups.create(wanted(GroupStrategy::strict_spread, 2), members, now);
  const auto asked = take<wire::ReserveBundle>();
  answer(asked[0], true);
  std::erase_if(members, [&](const auto& node) { return node.node == asked[1].first; });
  groups.node_died(asked[1].first, members, now);
  EXPECT_EQ(take<wire::ReturnBundle>().size(), 1u);
  place_all();
  EXPECT_EQ(groups.waiting(now).size(), 0u);
}

TEST_F(GroupsTest, EndWithTheProcessThatMadeThem) {
  groups.create(wanted(GroupStrategy::pack, 2), members, now);
  place_all();
  groups.process_died(creator, members, now);
  EXPECT_EQ(take<wire::ReturnBundle>().size(), 2u);
  EXPECT_THAT(groups.views()[0].ended, HasSubstr("the process that made it ended"));
}

TEST_F(GroupsTest, RemovalWhileReservingTakesBackWhatWasAsked) {
  groups.create(wanted(GroupStrategy::pack, 2), members, now);
  groups.watch({id, creator});
  const auto asked = take<wire::ReserveBundle>();
  groups.remove(id, "it was removed", members, now);
  EXPECT_EQ(take<wire::ReturnBundle>().size(), 2u);
  answer(asked[0], true);
  EXPECT_TRUE(take<wire::CommitBundle>().empty());
  const auto gone = told();
  ASSERT_EQ(gone.size(), 1u);
  EXPECT_EQ(gone[0].error.code, ErrorCode::unavailable);
}

}  // namespace
}  // namespace mobula
