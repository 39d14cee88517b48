// What the text cases of tests/scenarios/scheduler cannot say in a line.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "scheduler/policies/policy.h"

namespace mobula::scheduler {
namespace {

NodeView node(std::uint64_t id, double total, double available, std::uint32_t queued = 0) {
  return {{id}, "host" + std::to_string(id), "", Resources::cpus(total), Resources::cpus(available), queued};
}

// A driver that joins a cluster brings no cpus, and its rollout actors reserve none: they once all ran beside it.
TEST(Policies, WhatReservesNothingIsDealtOutByTheCpusOfTheOthers) {
  const View view{{1}, true, {node(4, 0, 0), node(3, 2, 0), node(1, 0, 0), node(2, 1, 1)}};
  std::map<NodeId, int> taken;
  for (std::uint64_t order = 1; order <= 9; ++order) {
    const Decision decision = decide(view, {.resources = {}, .order = order});
    EXPECT_EQ(decision.verdict, Verdict::redirect);
    ++taken[decision.node];
  }
  EXPECT_EQ(taken, (std::map<NodeId, int>{{{2}, 3}, {{3}, 6}}));
}

TEST(Policies, DoNotDependOnTheOrderOfTheMembers) {
  for (const Policy& policy : policies()) {
    for (std::uint64_t order = 0; order < 20; ++order) {
      View view{{1}, true, {node(1, 2, 0), node(2, 4, 3), node(3, 4, 3), node(4, 4, 1)}};
      const Request request{.resources = Resources::cpus(1), .order = order};
      const NodeId first = policy.decide(view, request).node;
      std::swap(view.nodes[1], view.nodes[3]);
      std::swap(view.nodes[0], view.nodes[2]);
      EXPECT_EQ(policy.decide(view, request).node, first) << policy.name;
    }
  }
}

TEST(Policies, OwnersWithOneViewDoNotAllRunToOneNode) {
  View view;
  for (std::uint64_t id = 1; id <= 50; ++id) view.nodes.push_back(node(id, 4, id <= 10 ? 0 : 4));
  std::set<NodeId> chosen;
  for (std::uint64_t owner = 1; owner <= 10; ++owner) {
    view.self = {owner};
    chosen.insert(decide(view, {.resources = Resources::cpus(1), .order = 1}).node);
  }
  EXPECT_GE(chosen.size(), 4u) << "of the eight best";
  for (const NodeId id : chosen) EXPECT_LE(id.value, 18u) << "one of the best fifth";
}

TEST(Policies, NeverChooseANodeWithoutRoomWhileAnotherHasIt) {
  for (const Policy& policy : policies()) {
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
      View view{{1}, true, {}};
      std::uint64_t state = seed;
      const auto draw = [&](std::uint64_t below) { return (state = hash_mix(state, below)) % below; };
      for (std::uint64_t id = 1; id <= 6; ++id) {
        const double total = 1 + static_cast<double>(draw(8));
        view.nodes.push_back(node(id, total, static_cast<double>(draw(static_cast<std::uint64_t>(total) + 1))));
      }
      const Request request{.resources = Resources::cpus(1 + static_cast<double>(draw(3))), .order = draw(100)};
      bool room = false;
      for (const NodeView& each : view.nodes) room |= each.available.covers(request.resources);
      const Decision decision = policy.decide(view, request);
      EXPECT_FALSE(decision.reason.empty());
      if (decision.verdict == Verdict::grant || decision.verdict == Verdict::redirect) {
        const NodeView& chosen = *view.find(decision.node);
        EXPECT_TRUE(chosen.total.covers(request.resources)) << policy.name << ", seed " << seed;
        EXPECT_EQ(chosen.available.covers(request.resources), room) << policy.name << ", seed " << seed;
      } else {
        EXPECT_FALSE(room) << policy.name << ", seed " << seed;
      }
    }
  }
}

TEST(Policies, AreFoundByTheirNames) {
  EXPECT_EQ(find_policy("spread")->name, "spread");
  EXPECT_EQ(policies().front().name, "pack_then_spread");
  EXPECT_EQ(find_policy("best"), nullptr);
}

}  // namespace
}  // namespace mobula::scheduler
