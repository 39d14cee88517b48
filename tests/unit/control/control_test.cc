#include <gtest/gtest.h>

#include "runtime/control/control.h"

namespace mobula {
namespace {

using std::chrono::milliseconds;

struct Sink final : ControlSink {
  std::vector<std::pair<NodeId, wire::Message>> sent;
  void send(const ProcessId&, wire::Message&&) override {}
  ActorId keep(const wire::CreateDetached&) override { return {}; }
  std::vector<NodeId> dead, visitors_gone;
  void send(NodeId to, wire::Message&& message) override { sent.emplace_back(to, std::move(message)); }
  void node_died(NodeId node, const std::string&) override { dead.push_back(node); }
  void visitor_left(NodeId visitor) override { visitors_gone.push_back(visitor); }
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
  // Calls on_timer() whenever it wants to be called.
  void wait_until(Time end) {
    while (control.next_timer() <= end) control.on_timer(now = control.next_timer());
    now = end;
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
  wait_until(Time{} + milliseconds(2000));
  beat(3);
  wait_until(Time{} + milliseconds(2499));
  EXPECT_TRUE(sink.dead.empty());
  EXPECT_EQ(control.next_timer(), Time{} + milliseconds(2500));
  wait_until(Time{} + milliseconds(2500));
  EXPECT_EQ(sink.dead, std::vector{NodeId{2}});
  ASSERT_EQ(sink.take<wire::NodeDied>({3}).size(), 1u);
  EXPECT_EQ(sink.take<wire::NodeDied>({3}).front().reason, "no heartbeat for 2.5 s");
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
  wait_until(now + milliseconds(500));
  control.on_connected({2}, now);
  wait_until(now + milliseconds(2400));
  EXPECT_TRUE(sink.dead.empty()) << "it came back";
  beat(2);
  control.on_disconnected({2}, now);
  wait_until(now + milliseconds(999));
  EXPECT_TRUE(sink.dead.empty());
  wait_until(now + milliseconds(1));
  EXPECT_EQ(sink.dead, std::vector{NodeId{2}});
}

// A head that was stopped, or slept, took all others for dead before it read what they had said meanwhile.
TEST_F(ControlTest, AHeadThatStoodStillTakesNobodyForDead) {
  join(1);
  join(2);
  join(3);
  beat(2);
  beat(3);
  now += milliseconds(20'000);
  control.on_timer(now);
  EXPECT_TRUE(sink.dead.empty());
  beat(2);
  wait_until(now + milliseconds(2499));
  EXPECT_TRUE(sink.dead.empty()) << "they have as long as ever";
  wait_until(now + milliseconds(1));
  EXPECT_EQ(sink.dead, (std::vector{NodeId{2}, NodeId{3}}));
}

TEST_F(ControlTest, TheDeadMayNotReturnUnderTheirOldName) {
  join(1);
  join(2);
  wait_until(now + milliseconds(2500));
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

struct StatusTest : ControlTest {
  wire::StatusReply ask(std::uint64_t id) {
    EXPECT_TRUE(control.on_message(NodeId{id}, wire::StatusRequest{}, now));
    return sink.take<wire::StatusReply>(NodeId{id}).back();
  }
};

TEST_F(StatusTest, TellsAVisitorWhoIsThereAndWhatIsFree) {
  join(1);
  join(2);
  now += milliseconds(700);
  beat(2, 0.5);
  now += milliseconds(300);
  control.on_disconnected({2}, now);
  const wire::StatusReply status = ask(9);
  ASSERT_EQ(status.members.size(), 2u);
  EXPECT_TRUE(status.members[0].head);
  EXPECT_EQ(status.members[0].silent_for_ms, 0);
  EXPECT_FALSE(status.members[1].head);
  EXPECT_EQ(status.members[1].view.total, Resources::cpus(2));
  EXPECT_EQ(status.members[1].view.available, Resources::cpus(0.5));
  EXPECT_EQ(status.members[1].silent_for_ms, 300);
  EXPECT_FALSE(status.members[1].connected);
  EXPECT_TRUE(status.gone.empty());
}

TEST_F(StatusTest, AsksDoNotMakeAMember) {
  join(1);
  ask(9);
  EXPECT_EQ(control.members().size(), 1u);
  EXPECT_TRUE(sink.take<wire::ClusterView>({9}).empty());
  EXPECT_EQ(control.next_timer(), never) << "nobody waits for a visitor's heartbeat";
}

TEST_F(StatusTest, AVisitorThatHangsUpIsForgotten) {
  join(1);
  join(2);
  ask(9);
  ask(2);
  control.on_disconnected({9}, now);
  control.on_disconnected({9}, now);
  control.on_disconnected({2}, now);
  EXPECT_EQ(sink.visitors_gone, std::vector{NodeId{9}}) << "once, and never a member";
}

TEST_F(StatusTest, AVisitorThatJoinsIsAMember) {
  join(1);
  ask(9);
  join(9);
  control.on_disconnected({9}, now);
  EXPECT_TRUE(sink.visitors_gone.empty());
  EXPECT_EQ(ask(9).members.size(), 2u);
}

TEST_F(StatusTest, TheLatestDeadComeFirstAndALongLifeIsCutShort) {
  join(1);
  for (std::uint64_t id = 2; id < 32; ++id) {
    join(id);
    control.on_message(NodeId{id}, wire::LeaveCluster{NodeId{id}}, now);
    now += milliseconds(1000);
  }
  const wire::StatusReply status = ask(9);
  ASSERT_EQ(status.gone.size(), 20u);
  EXPECT_EQ(status.gone.front().node, NodeId{31});
  EXPECT_EQ(status.gone.front().reason, "it left");
  EXPECT_EQ(status.gone.front().gone_for_ms, 1000);
  EXPECT_EQ(status.gone.back().gone_for_ms, 20000);
}

}  // namespace
}  // namespace mobula
