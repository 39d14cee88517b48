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

// ---- a head that takes the place of another

struct NewHeadTest : testing::Test {
  struct AllSink final : ControlSink {
    std::vector<std::pair<NodeId, wire::Message>> to_nodes;
    std::vector<std::pair<ProcessId, wire::Message>> to_processes;
    void send(NodeId to, wire::Message&& message) override { to_nodes.emplace_back(to, std::move(message)); }
    void send(const ProcessId& to, wire::Message&& message) override {
      to_processes.emplace_back(to, std::move(message));
    }
    ActorId keep(const wire::CreateDetached&) override { return {}; }
    void node_died(NodeId, const std::string&) override {}
    void visitor_left(NodeId) override {}
  };
  AllSink sink;
  Control control{{.self = NodeId{1}, .may_grow = true, .settle = milliseconds(1000)}, sink};
  Time now{};
  const wire::ActorName name{"job 1", "cache"};
  const ProcessId driver{{2}, 1, 1}, late{{4}, 1, 1};
  const ActorId actor{driver, 7, 1};
  const wire::GroupId group{driver, 1};

  static wire::NodeView view_of(std::uint64_t id) {
    return {{id}, "host" + std::to_string(id), "", Resources::cpus(2), Resources::cpus(2), 0, {}, false};
  }
  void SetUp() override { join(1); }
  void join(std::uint64_t id) { control.on_message({id}, wire::JoinCluster{view_of(id)}, now); }
  wire::RejoinCluster news_of(std::uint64_t id, std::vector<std::uint64_t> members) {
    wire::RejoinCluster news;
    news.self = view_of(id);
    news.head = {9};
    for (const std::uint64_t member : members) news.members.push_back(view_of(member));
    return news;
  }
  void rejoin(const wire::RejoinCluster& news) { control.on_message(news.self.node, news, now); }
  void wait(milliseconds time) {
    const Time end = now + time;
    while (control.next_timer() <= end) control.on_timer(now = std::max(now, control.next_timer()));
    now = end;
  }
  template <class M>
  std::vector<M> to(NodeId node) {
    std::vector<M> found;
    for (const auto& [receiver, message] : sink.to_nodes) {
      if (receiver == node && std::holds_alternative<M>(message)) found.push_back(std::get<M>(message));
    }
    return found;
  }
  template <class M>
  std::vector<M> to(const ProcessId& process) {
    std::vector<M> found;
    for (const auto& [receiver, message] : sink.to_processes) {
      if (receiver == process && std::holds_alternative<M>(message)) found.push_back(std::get<M>(message));
    }
    return found;
  }
};

TEST_F(NewHeadTest, GivesNoNameAwayBeforeAllWhoMayHaveItAreBack) {
  join(4);
  control.on_message({4}, wire::ClaimName{5, name, {late, 3, 1}, "Cache", {}}, now);
  rejoin(news_of(3, {2}));
  EXPECT_TRUE(to<wire::NameReply>(late).empty());
  auto news = news_of(2, {3});
  news.names = {{1, name, actor, "Cache", {}}};
  rejoin(news);
  const auto replies = to<wire::NameReply>(late);
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(replies[0].actor, actor) << "it was another's all the time";
  EXPECT_EQ(replies[0].error.code, ErrorCode::invalid);
  EXPECT_EQ(to<wire::ClusterView>(NodeId{2}).back().nodes.size(), 4u);
  EXPECT_TRUE(to<wire::NodeDied>(NodeId{2}).empty());
}

TEST_F(NewHeadTest, WaitsForNobodyWhereNobodyReturns) {
  control.on_message({1}, wire::FindName{5, {{1}, 1, 1}, name}, now);
  wait(milliseconds(999));
  EXPECT_TRUE(sink.to_processes.empty());
  wait(milliseconds(1));
  EXPECT_EQ(to<wire::NameReply>(ProcessId{{1}, 1, 1}).size(), 1u);
}

TEST_F(NewHeadTest, MissesAMemberThatDiedWhileThereWasNoHead) {
  rejoin(news_of(3, {2}));
  EXPECT_TRUE(to<wire::ClusterView>(NodeId{3}).empty()) << "what it knows itself is more";
  for (int i = 0; i < 5; ++i) {
    wait(milliseconds(499));
    control.on_message({3}, wire::Heartbeat{{3}, Resources::cpus(2), 0, {}, {}}, now);
  }
  EXPECT_TRUE(to<wire::NodeDied>(NodeId{3}).empty());
  wait(milliseconds(5));
  const auto died = to<wire::NodeDied>(NodeId{3});
  ASSERT_EQ(died.size(), 1u);
  EXPECT_EQ(died[0].node, NodeId{2});
  EXPECT_EQ(died[0].name, "host2");
  EXPECT_EQ(to<wire::ClusterView>(NodeId{3}).back().nodes.size(), 2u);
  rejoin(news_of(2, {3}));
  EXPECT_FALSE(to<wire::JoinReply>(NodeId{2}).back().accepted) << "too late: it begins again as another node";
}

TEST_F(NewHeadTest, WhomOneMemberWasToldDeadIsDeadToAll) {
  auto news = news_of(3, {2});
  news.gone = {{5}};
  rejoin(news);
  rejoin(news_of(2, {3, 5}));
  const auto died = to<wire::NodeDied>(NodeId{2});
  ASSERT_EQ(died.size(), 1u) << "it still took it for a member";
  EXPECT_EQ(died[0].node, NodeId{5});
  join(9);
  EXPECT_FALSE(to<wire::JoinReply>(NodeId{9}).back().accepted) << "the head before";
}

TEST_F(NewHeadTest, LeavesBundlesWhereTheyAreAndTakesTheRestBack) {
  auto news = news_of(2, {3, 4});
  const std::vector<wire::Bundle> three(3, {Resources::cpus(1), {}});
  news.groups = {{group, "three", wire::GroupStrategy::spread, three, 0}};
  news.bundles = {{group, 0, 17, true}, {{driver, 8}, 0, 4, true}};
  rejoin(news);
  auto failed = news_of(4, {2, 3});
  failed.bundles = {{group, 1, 15, false}};
  rejoin(failed);
  EXPECT_TRUE(to<wire::ReturnBundle>(NodeId{4}).empty()) << "not all are back";
  auto other = news_of(3, {2, 4});
  other.bundles = {{group, 1, 18, false}};
  rejoin(other);
  const auto orphan = to<wire::ReturnBundle>(NodeId{2});
  ASSERT_EQ(orphan.size(), 1u) << "of a group that nobody wants any more";
  EXPECT_EQ(orphan[0].id.number, 8u);
  EXPECT_EQ(to<wire::ReturnBundle>(NodeId{4}).size(), 1u) << "of an attempt that failed";
  EXPECT_TRUE(to<wire::ReturnBundle>(NodeId{3}).empty());
  EXPECT_EQ(to<wire::CommitBundle>(NodeId{3}).size(), 1u) << "the others may have been told that it is ready";
  std::vector<wire::ReserveBundle> asked;
  for (const std::uint64_t node : {1, 2, 3, 4}) {
    for (const auto& one : to<wire::ReserveBundle>(NodeId{node})) asked.push_back(one);
  }
  ASSERT_EQ(asked.size(), 1u) << "only what is lacking";
  EXPECT_EQ(asked[0].bundle, 2u);
  EXPECT_GT(asked[0].attempt, 18u) << "no node may take it for an older one";
  const auto nodes = to<wire::ClusterView>(NodeId{2}).back().groups.at(0).nodes;
  EXPECT_EQ(nodes.at(0), NodeId{2});
  EXPECT_EQ(nodes.at(1), NodeId{3});
}

// A head that found a bundle and died before it could tell the node so, but not before it had told who waits.
TEST_F(NewHeadTest, KeepsABundleOfAnOlderAttemptWhereTheStrategyAllowsIt) {
  auto news = news_of(2, {3, 4});
  const wire::GroupId apart{driver, 9};
  const std::vector<wire::Bundle> two(2, {Resources::cpus(1), {}});
  news.groups = {{group, "two", wire::GroupStrategy::strict_pack, two, 0},
                 {apart, "apart", wire::GroupStrategy::strict_spread, two, 0}};
  news.bundles = {{group, 0, 3, false}, {group, 1, 5, true}, {apart, 0, 4, false}, {apart, 1, 6, true}};
  rejoin(news);
  rejoin(news_of(3, {2, 4}));
  rejoin(news_of(4, {2, 3}));
  const auto committed = to<wire::CommitBundle>(NodeId{2});
  ASSERT_EQ(committed.size(), 1u);
  EXPECT_EQ(committed[0].id, group);
  const auto back = to<wire::ReturnBundle>(NodeId{2});
  ASSERT_EQ(back.size(), 1u) << "two of its bundles would lie on one node";
  EXPECT_EQ(back[0].id, apart);
}

}  // namespace
}  // namespace mobula
