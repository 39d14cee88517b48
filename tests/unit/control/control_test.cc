#include <gtest/gtest.h>

#include "runtime/control/control.h"

namespace mobula {
namespace {

using std::chrono::milliseconds;

struct Sink final : ControlSink {
  std::vector<std::pair<NodeId, wire::Message>> sent;
  std::vector<NodeId> dead;
  void send(const ProcessId&, wire::Message&&) override {}
  ActorId keep(const wire::CreateDetached&) override { return {}; }
  void send(NodeId to, wire::Message&& message) override { sent.emplace_back(to, std::move(message)); }
  void node_died(NodeId node, const std::string&) override { dead.push_back(node); }
  template <class M>
  std::vector<M> take(NodeId to) {
    std::vector<M> found;
    for (const auto& [receiver, message] : sent) {
      if (receiver == to && std::holds_alternative<M>(message)) found.push_back(std::get<M>(message));
    }
    return found;
  }
};

struct ControlTest : testing::Test {
  Sink sink;
  Control control{{.self = NodeId{1}}, sink};
  Time now{};

  void join(std::uint64_t id) {
    wire::JoinCluster message;
    message.self.node = NodeId{id};
    message.self.total = message.self.available = Resources::cpus(2);
    control.on_message(NodeId{id}, message, now);
  }
  void beat(std::uint64_t id, double available = 2) {
    control.on_message(NodeId{id}, wire::Heartbeat{{id}, Resources::cpus(available), 0}, now);
  }
};

TEST_F(ControlTest, EveryMemberLearnsOfANewOne) {
  join(1);
  join(2);
  ASSERT_EQ(sink.take<wire::JoinReply>({2}).size(), 1u);
  EXPECT_TRUE(sink.take<wire::JoinReply>({2}).front().accepted);
  EXPECT_EQ(sink.take<wire::ClusterView>({1}).back().nodes.size(), 2u);
  EXPECT_EQ(sink.take<wire::ClusterView>({2}).back().nodes.size(), 2u);
}

TEST_F(ControlTest, SilenceIsDeathAndEverybodyIsTold) {
  join(1);
  join(2);
  join(3);
  now += milliseconds(4000);
  beat(3);
  EXPECT_EQ(control.next_timer(), Time{} + milliseconds(5000));
  now = control.next_timer();
  control.on_timer(now);
  EXPECT_EQ(sink.dead, std::vector{NodeId{2}});
  ASSERT_EQ(sink.take<wire::NodeDied>({3}).size(), 1u);
  EXPECT_EQ(sink.take<wire::NodeDied>({3}).front().reason, "no heartbeat for 5.0 s");
  EXPECT_EQ(sink.take<wire::NodeDied>({2}).size(), 1u) << "it may live after all, and must know";
  EXPECT_EQ(control.members().size(), 2u);
}

TEST_F(ControlTest, TheHeadsOwnNodeIsNeverDead) {
  join(1);
  EXPECT_EQ(control.next_timer(), never);
  now += milliseconds(60000);
  control.on_timer(now);
  EXPECT_TRUE(sink.dead.empty());
}

TEST_F(ControlTest, AClosedConnectionShortensTheWait) {
  join(1);
  join(2);
  now += milliseconds(200);
  control.on_disconnected({2}, now);
  EXPECT_EQ(control.next_timer(), now + milliseconds(1000));
  control.on_connected({2}, now + milliseconds(500));
  EXPECT_EQ(control.next_timer(), now + milliseconds(5500)) << "it came back";
  control.on_disconnected({2}, now + milliseconds(600));
  control.on_timer(now + milliseconds(1600));
  EXPECT_EQ(sink.dead, std::vector{NodeId{2}});
}

TEST_F(ControlTest, TheDeadMayNotReturnUnderTheirOldName) {
  join(1);
  join(2);
  now += milliseconds(5000);
  control.on_timer(now);
  sink.sent.clear();
  beat(2);
  ASSERT_EQ(sink.take<wire::NodeDied>({2}).size(), 1u);
  join(2);
  ASSERT_EQ(sink.take<wire::JoinReply>({2}).size(), 1u);
  EXPECT_FALSE(sink.take<wire::JoinReply>({2}).front().accepted);
  EXPECT_EQ(control.members().size(), 1u);
}

TEST_F(ControlTest, ChangesOfLoadAreToldInBatches) {
  join(1);
  join(2);
  sink.sent.clear();
  for (int i = 1; i <= 10; ++i) {
    now += milliseconds(5);
    beat(2, i % 2);
    if (now >= control.next_timer()) control.on_timer(now);
  }
  EXPECT_TRUE(sink.take<wire::ClusterView>({1}).empty());
  now = Time{} + milliseconds(100);
  control.on_timer(now);
  ASSERT_EQ(sink.take<wire::ClusterView>({1}).size(), 1u);
  EXPECT_EQ(sink.take<wire::ClusterView>({1}).front().nodes[1].available, Resources::cpus(0));
}

TEST_F(ControlTest, LeavingIsADeathWithoutWaiting) {
  join(1);
  join(2);
  control.on_message({2}, wire::LeaveCluster{{2}}, now);
  ASSERT_EQ(sink.take<wire::NodeDied>({1}).size(), 1u);
  EXPECT_EQ(sink.take<wire::NodeDied>({1}).front().reason, "it left");
  control.on_message({1}, wire::LeaveCluster{{3}}, now);  // of nobody
  EXPECT_EQ(control.members().size(), 1u);
}

TEST_F(ControlTest, OtherMessagesAreNotForIt) {
  EXPECT_FALSE(control.on_message({2}, wire::ReclaimIdle{}, now));
}

}  // namespace
}  // namespace mobula
