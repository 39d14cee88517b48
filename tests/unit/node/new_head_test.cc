// What a node tells a head that takes the place of one that died.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "runtime/node/node.h"

namespace mobula {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

const NodeId here{0x1111}, head{0x2222}, other{0x3333}, dead{0x4444}, next_head{0x5555};
const ProcessId driver{here, 1, 1}, gone{here, 2, 1};
const wire::ActorName cache{"job 1", "cache"}, queue{"job 1", "queue"};

struct NewHead : testing::Test, NodeSink {
  std::vector<std::pair<ProcessId, wire::Message>> messages;
  std::unique_ptr<Node> node;
  Time now{};

  void send(const ProcessId& to, wire::Message&& message) override { messages.emplace_back(to, std::move(message)); }
  Result<std::uint32_t> open_program(const wire::Program&) override { return std::uint32_t{0}; }
  ProcessId start_worker(std::uint32_t) override { return {}; }
  void kill(const ProcessId&) override {}
  void free_object(const wire::ObjectLocation&) override {}
  void push_object(NodeId, const wire::ObjectLocation&, const wire::ObjectLocation&) override {}
  Result<bool> expect_object(const wire::ObjectLocation&) override { return true; }
  void expelled(const std::string&) override { FAIL(); }
  void peers(const std::vector<wire::NodeView>&) override {}

  void SetUp() override {
    NodeOptions options;
    options.name = "host";
    options.resources = Resources::cpus(4);
    options.head = head;
    node = std::make_unique<Node>(here, options, *this);
    node->start(now);
    node->on_driver_attached(driver, now);
    node->on_driver_attached(gone, now);
  }
  void from_head(wire::Message&& message) { node->on_message(node_process(head), message, now); }
  void view(std::vector<wire::GroupView> groups = {}) {
    wire::ClusterView view;
    for (const NodeId id : {head, here, other, dead}) view.nodes.emplace_back().node = id;
    view.groups = std::move(groups);
    from_head(std::move(view));
  }
  void named(const ProcessId& owner, const wire::ActorName& name) {
    const ActorId actor{owner, 7, 1};
    node->on_message(owner, wire::ClaimName{1, name, actor, "Cache", {}}, now);
    from_head(wire::NameReply{1, name, actor, "Cache", {}, {}});
  }
  template <class M>
  std::vector<std::pair<ProcessId, M>> take() {
    std::vector<std::pair<ProcessId, M>> found;
    for (const auto& [to, message] : messages) {
      if (const auto* m = std::get_if<M>(&message)) found.emplace_back(to, *m);
    }
    return found;
  }
  wire::RejoinCluster told() {
    messages.clear();
    node->on_new_head(next_head, now);
    const auto all = take<wire::RejoinCluster>();
    EXPECT_EQ(all.size(), 1u);
    if (all.empty()) return {};
    EXPECT_EQ(all[0].first, node_process(next_head));
    return all[0].second;
  }
};

TEST_F(NewHead, LearnsWhoIsThereAndWhoIsDead) {
  view();
  from_head(wire::NodeDied{dead, "no heartbeat"});
  const wire::RejoinCluster told = this->told();
  EXPECT_EQ(told.self.node, here);
  EXPECT_EQ(told.self.total, Resources::cpus(4));
  EXPECT_EQ(told.head, head);
  ASSERT_EQ(told.members.size(), 1u);
  EXPECT_EQ(told.members[0].node, other);
  EXPECT_THAT(told.gone, ElementsAre(dead));
  EXPECT_EQ(take<wire::HeadChanged>().size(), 2u) << "to each process";
  EXPECT_EQ(take<wire::Heartbeat>().at(0).first, node_process(next_head));
}

TEST_F(NewHead, LearnsTheNamesOfProcessesThatLive) {
  view();
  named(driver, cache);
  named(gone, queue);
  node->on_message(driver, wire::ClaimName{2, {"job 1", "lost"}, {driver, 8, 1}, "Cache", {}}, now);
  node->on_process_exited(gone, {}, now);
  auto told = this->told();
  ASSERT_EQ(told.names.size(), 1u) << "not that of the dead, nor one that nobody said was given";
  EXPECT_EQ(told.names[0].name, cache);
  EXPECT_EQ(told.names[0].actor, (ActorId{driver, 7, 1}));
  EXPECT_EQ(told.names[0].type, "Cache");
  node->on_message(driver, wire::ReleaseName{cache, {driver, 7, 1}}, now);
  messages.clear();
  node->on_new_head(other, now);
  EXPECT_TRUE(take<wire::RejoinCluster>().at(0).second.names.empty());
}

TEST_F(NewHead, LearnsTheGroupsThatAreWantedAndTheBundlesThatLieHere) {
  const wire::GroupId kept{driver, 1}, removed{driver, 2}, ended{driver, 3};
  view();
  for (const wire::GroupId& id : {kept, removed, ended}) {
    node->on_message(driver, wire::CreateGroup{id, "", {}, {{Resources::cpus(1), {}}}, 0}, now);
    from_head(wire::ReserveBundle{id, 0, id.number, 1000, Resources::cpus(1)});
  }
  from_head(wire::CommitBundle{kept, 0, 1});
  view({{kept, {here}, ""}, {removed, {here}, ""}, {ended, {}, "it was removed"}});
  node->on_message(driver, wire::RemoveGroup{removed}, now);
  const wire::RejoinCluster told = this->told();
  ASSERT_EQ(told.groups.size(), 1u);
  EXPECT_EQ(told.groups[0].id, kept);
  ASSERT_EQ(told.bundles.size(), 3u);
  EXPECT_EQ(told.bundles[0], (wire::HeldBundle{kept, 0, 1, true}));
  EXPECT_EQ(told.bundles[1], (wire::HeldBundle{removed, 0, 2, false}));
  const auto again = take<wire::RemoveGroup>();
  ASSERT_EQ(again.size(), 1u) << "the head may have died before it heard of it";
  EXPECT_EQ(again[0].second.id, removed);
}

TEST_F(NewHead, IsJoinedByANodeThatTheOneBeforeHadNotAnswered) {
  const wire::GroupId group{driver, 1};
  node->on_message(driver, wire::CreateGroup{group, "", {}, {{Resources::cpus(1), {}}}, 0}, now);
  messages.clear();
  node->on_new_head(next_head, now);
  EXPECT_TRUE(take<wire::RejoinCluster>().empty());
  EXPECT_EQ(take<wire::JoinCluster>().at(0).first, node_process(next_head));
  EXPECT_EQ(take<wire::CreateGroup>().at(0).first, node_process(next_head)) << "it was asked for in vain before";
  EXPECT_EQ(take<wire::HeadChanged>().size(), 2u);
}

TEST_F(NewHead, LearnsTheBundlesOfANodeThatWasTakenInAndNotToldWhoTheOthersAre) {
  const wire::GroupId group{driver, 1};
  from_head(wire::JoinReply{true, {}});
  from_head(wire::ReserveBundle{group, 0, 3, 1000, Resources::cpus(1)});
  EXPECT_FALSE(node->joined());
  const wire::RejoinCluster told = this->told();
  EXPECT_THAT(told.bundles, ElementsAre(wire::HeldBundle{group, 0, 3, false}));
}

TEST_F(NewHead, IsWaitedForAMinuteByQuestionsAboutNames) {
  view();
  node->on_head_lost(now);
  node->on_timer(now += milliseconds(2500));
  node->on_message(driver, wire::FindName{5, driver, cache}, now);
  EXPECT_EQ(take<wire::FindName>().at(0).first, node_process(head)) << "it may come back";
  EXPECT_EQ(node->next_timer() > now, true);
  node->on_timer(now += milliseconds(59'999));
  EXPECT_TRUE(take<wire::NameReply>().empty());
  node->on_timer(now += milliseconds(1));
  const auto all = take<wire::NameReply>();
  ASSERT_EQ(all.size(), 2u) << "each process";
  EXPECT_EQ(all[0].second.tag, 0u) << "whatever it waits for";
  EXPECT_EQ(all[0].second.error.code, ErrorCode::unavailable);
  EXPECT_THAT(all[0].second.error.message, testing::HasSubstr("none for 60 s (there is no way to it)"));
  // From then on at once.
  messages.clear();
  node->on_message(driver, wire::FindName{6, driver, cache}, now);
  node->on_message(driver, wire::ClaimName{7, cache, {driver, 7, 1}, "Cache", {}}, now);
  wire::CreateDetached detached;
  detached.tag = 8;
  node->on_message(driver, detached, now);
  ASSERT_EQ(messages.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(messages[i].first, driver);
    EXPECT_EQ(take<wire::NameReply>().at(i).second.tag, 6 + i);
  }
  // Until there is one again.
  node->on_new_head(next_head, now);
  messages.clear();
  node->on_message(driver, wire::FindName{9, driver, cache}, now);
  EXPECT_EQ(take<wire::FindName>().at(0).first, node_process(next_head));
  node->on_timer(now += milliseconds(120'000));
  EXPECT_TRUE(take<wire::NameReply>().empty());
}

}  // namespace
}  // namespace mobula
