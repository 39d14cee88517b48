#include "scheduler/policies/what_would_fit.h"

#include <gtest/gtest.h>

namespace mobula::scheduler {
namespace {

NodeView node(std::uint64_t id, const std::string& name, double cpus, double gpus) {
  NodeView view;
  view.node = {id};
  view.name = name;
  view.total = Resources::cpus(cpus);
  view.total.set("gpu", static_cast<std::int64_t>(gpus * Resources::unit));
  return view;
}
Resources wanted(double cpus, double gpus) {
  Resources out = Resources::cpus(cpus);
  out.set("gpu", static_cast<std::int64_t>(gpus * Resources::unit));
  return out;
}

TEST(WhatWouldFit, NamesTheClosestNodeAndWhatItLacks) {
  const View view{{1}, true, {node(1, "small", 2, 0), node(2, "big", 8, 1)}};
  EXPECT_EQ(what_would_fit(view, wanted(4, 2), true),
            "cpu 4, gpu 2 is asked for, but none of the 2 nodes has that much even when idle; big comes closest with "
            "cpu 8, gpu 1, so gpu 1 more is missing; start a node with at least cpu 4, gpu 2 (mobula node), or ask for "
            "less");
}

TEST(WhatWouldFit, SaysWhatToDoWhereNobodyCanJoin) {
  const View view{{1}, true, {node(1, "host", 2, 0)}};
  EXPECT_EQ(
      what_would_fit(view, wanted(1, 0.25), false),
      "cpu 1, gpu 0.25 is asked for, but host has only cpu 2, so gpu 0.25 more is missing; start the runtime with "
      "more (StartOptions), or ask for less");
}

TEST(WhatWouldFit, AClusterWithoutNodesSaysSo) {
  EXPECT_EQ(what_would_fit({{1}, true, {}}, wanted(1, 0), true), "cpu 1 is asked for, and there is no node");
}

}  // namespace
}  // namespace mobula::scheduler
