#include <gtest/gtest.h>

#include <unordered_set>

#include "runtime/base/ids.h"

namespace mobula {
namespace {

TEST(Ids, EmptyOnesAreFalse) {
  EXPECT_FALSE(NodeId{});
  EXPECT_FALSE(ProcessId{});
  EXPECT_FALSE(RefId{});
  EXPECT_FALSE(LeaseId{});
  EXPECT_TRUE(node_process(NodeId{5}));
}

TEST(Ids, ArePrintedShort) {
  const ProcessId process{{0xabcd5f3a}, 3, 1};
  EXPECT_EQ(to_string(process), "n5f3a/3.1");
  EXPECT_EQ(to_string(node_process(process.node)), "n5f3a");
  EXPECT_EQ(to_string(RefId{process, 17, 2}), "n5f3a/3.1#17.2");
  EXPECT_EQ(to_string(ActorId{process, 17, 2}), "actor n5f3a/3.1#17.2");
  EXPECT_EQ(to_string(LeaseId{process.node, 12}), "lease n5f3a:12");
}

TEST(Ids, HashesOfNeighboursDiffer) {
  std::unordered_set<std::size_t> seen;
  for (std::uint32_t slot = 1; slot <= 10; ++slot) {
    for (std::uint32_t index = 0; index < 1000; ++index) {
      seen.insert(std::hash<RefId>()(RefId{{{7}, slot, 1}, index, 1}));
    }
  }
  EXPECT_EQ(seen.size(), 10000u);
}

}  // namespace
}  // namespace mobula
