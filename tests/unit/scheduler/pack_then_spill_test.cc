#include <gtest/gtest.h>

#include <map>

#include "scheduler/policies/pack_then_spill.h"

namespace mobula::scheduler {
namespace {

NodeView node(std::uint64_t id, double total, double available, std::uint32_t queued = 0) {
  return {{id}, "host" + std::to_string(id), "", Resources::cpus(total), Resources::cpus(available), queued};
}

TEST(PackThenSpill, StaysWhereThereIsRoom) {
  const View view{{1}, true, {node(1, 2, 1), node(2, 64, 64)}};
  const Decision decision = pack_then_spill(view, {Resources::cpus(1)});
  EXPECT_EQ(decision.verdict, Verdict::grant);
  EXPECT_FALSE(decision.reason.empty());
}

TEST(PackThenSpill, GoesToTheFreestWhenFull) {
  const View view{{1}, true, {node(1, 2, 0), node(2, 4, 1), node(3, 4, 3), node(4, 64, 64, 7)}};
  const Decision decision = pack_then_spill(view, {Resources::cpus(1)});
  EXPECT_EQ(decision.verdict, Verdict::redirect);
  EXPECT_EQ(decision.node, NodeId{3}) << "the fourth has a queue already";
  EXPECT_EQ(decision.reason, "n0001 is full, host3 has room");
}

TEST(PackThenSpill, WaitsWhenAllAreFull) {
  const View view{{1}, true, {node(1, 2, 0), node(2, 4, 0)}};
  EXPECT_EQ(pack_then_spill(view, {Resources::cpus(1)}).verdict, Verdict::queue);
}

TEST(PackThenSpill, WhoWasSentHereIsNotSentOn) {
  const View view{{1}, true, {node(1, 2, 0), node(2, 4, 4)}};
  EXPECT_EQ(pack_then_spill(view, {Resources::cpus(1), false}).verdict, Verdict::queue);
}

TEST(PackThenSpill, ANodeWithoutCpusSendsAllWorkAway) {
  const View busy{{1}, true, {node(1, 0, 0), node(2, 4, 0, 3), node(3, 4, 0, 1)}};
  const Decision decision = pack_then_spill(busy, {Resources::cpus(1)});
  EXPECT_EQ(decision.verdict, Verdict::redirect);
  EXPECT_EQ(decision.node, NodeId{3}) << "the shorter queue";
}

// A driver that joins a cluster brings no cpus, and its rollout actors reserve none: they once all ran beside it.
TEST(PackThenSpill, WhatReservesNothingIsDealtOutByTheCpusOfTheOthers) {
  const View view{{1}, true, {node(4, 0, 0), node(3, 2, 0), node(1, 0, 0), node(2, 1, 1)}};
  std::map<NodeId, int> taken;
  for (std::uint64_t order = 1; order <= 9; ++order) {
    const Decision decision = pack_then_spill(view, {.resources = {}, .order = order});
    EXPECT_EQ(decision.verdict, Verdict::redirect);
    ++taken[decision.node];
  }
  EXPECT_EQ(taken, (std::map<NodeId, int>{{{2}, 3}, {{3}, 6}}));
}

TEST(PackThenSpill, WhatReservesNothingStaysWhereThereAreCpusOrNowhereElse) {
  EXPECT_EQ(pack_then_spill({{1}, true, {node(1, 2, 0), node(2, 4, 4)}}, {}).verdict, Verdict::grant);
  EXPECT_EQ(pack_then_spill({{1}, true, {node(1, 0, 0), node(2, 0, 0)}}, {}).verdict, Verdict::grant);
  const Request sent_here{.resources = {}, .may_redirect = false};
  EXPECT_EQ(pack_then_spill({{1}, true, {node(1, 0, 0), node(2, 4, 4)}}, sent_here).verdict, Verdict::grant);
}

TEST(PackThenSpill, WhatNobodyEverHasIsRefusedWithFigures) {
  const View view{{1}, true, {node(1, 2, 2), node(2, 4, 4)}};
  const Decision decision = pack_then_spill(view, {Resources::cpus(8)});
  EXPECT_EQ(decision.verdict, Verdict::infeasible);
  EXPECT_EQ(decision.reason,
            "cpu 8 is asked for, but none of the 2 node(s) has that much even when idle; this one has cpu 2");
}

TEST(PackThenSpill, RefusesNothingBeforeTheMembersAreKnown) {
  const View view{{1}, false, {node(1, 0, 0)}};
  EXPECT_EQ(pack_then_spill(view, {Resources::cpus(8)}).verdict, Verdict::queue);
}

TEST(PackThenSpill, DoesNotDependOnTheOrderOfTheMembers) {
  View view{{1}, true, {node(1, 2, 0), node(2, 4, 3), node(3, 4, 3)}};
  const NodeId first = pack_then_spill(view, {Resources::cpus(1)}).node;
  std::swap(view.nodes[1], view.nodes[2]);
  EXPECT_EQ(pack_then_spill(view, {Resources::cpus(1)}).node, first);
}

}  // namespace
}  // namespace mobula::scheduler
