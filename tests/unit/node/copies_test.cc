// Copies that owners ask a node for: whom it asks to fetch them, and what follows from deaths and refusals.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "runtime/node/node.h"

namespace mobula {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

const NodeId self{1}, second{2}, third{3}, laptop{4};
const ProcessId driver{self, 1, 1};
const RefId ref{driver, 5, 1};
const wire::ObjectLocation original{self, 64, 100'000, 1};

struct NodeCopies : testing::Test, NodeSink {
  std::vector<std::pair<ProcessId, wire::Message>> messages;
  std::vector<wire::ObjectLocation> freed, kept;
  bool maker_lives = true;
  Time now{};
  std::unique_ptr<Node> node;

  void send(const ProcessId& to, wire::Message&& message) override { messages.emplace_back(to, std::move(message)); }
  Result<std::uint32_t> open_program(const wire::Program&) override { return std::uint32_t{0}; }
  ProcessId start_worker(std::uint32_t) override { return {}; }
  void kill(const ProcessId&) override {}
  void free_object(const wire::ObjectLocation& location) override { freed.push_back(location); }
  void push_object(NodeId, const wire::ObjectLocation&, const wire::ObjectLocation&) override {}
  Result<bool> expect_object(const wire::ObjectLocation&) override { return true; }
  bool keep_object(const wire::ObjectLocation& location) override {
    kept.push_back(location);
    return maker_lives;
  }
  void expelled(const std::string&) override {}
  void peers(const std::vector<wire::NodeView>&) override {}

  void make(NodeId head, bool passing = false) {
    NodeOptions options;
    options.name = "host";
    options.head = head;
    options.passing = passing;
    node = std::make_unique<Node>(self, options, *this);
    node->start(now);
    node->on_driver_attached(driver, now);
    messages.clear();
  }
  void members(const std::vector<NodeId>& ids) {
    wire::ClusterView view;
    for (const NodeId id : ids) {
      view.nodes.emplace_back().node = id;
      view.nodes.back().passing = id == laptop;
    }
    node->on_message(node_process(self), view, now);
  }
  void want(std::uint32_t copies, std::vector<NodeId> holders = {self}, bool durable = false) {
    node->on_message(driver, wire::WantCopies{ref, original, copies, durable, std::move(holders)}, now);
  }
  void fetched(NodeId by, ErrorCode code = ErrorCode::none) {
    wire::ObjectHere here{ref, original, {by, 1, original.bytes, 1}, {}};
    here.error.code = code;
    EXPECT_TRUE(node->on_message(node_process(by), here, now));
  }
  std::vector<wire::ValueKept> told() const {
    std::vector<wire::ValueKept> all;
    for (const auto& [to, message] : messages) {
      if (const auto* one = std::get_if<wire::ValueKept>(&message)) all.push_back(*one);
    }
    return all;
  }
  /// Who was asked to fetch it since the last time.
  std::vector<NodeId> asked() {
    std::vector<NodeId> nodes;
    for (const auto& [to, message] : messages) {
      if (std::holds_alternative<wire::PullObject>(message)) nodes.push_back(to.node);
    }
    messages.clear();
    std::sort(nodes.begin(), nodes.end());
    return nodes;
  }
  void later(Duration time) {
    now += time;
    node->on_timer(now);
  }
};

TEST_F(NodeCopies, SoManyOthersAreAskedAndNoneThatEndsWithADriver) {
  make(self);
  members({self, laptop, second, third});
  want(3);
  EXPECT_THAT(asked(), ElementsAre(second, third));
  want(4);
  EXPECT_THAT(asked(), IsEmpty()) << "there is no further place";
}

TEST_F(NodeCopies, WhatIsMissingIsMadeWhenANodeJoins) {
  make(self);
  members({self});
  want(2);
  EXPECT_THAT(asked(), IsEmpty());
  members({self, second, third});
  EXPECT_EQ(asked().size(), 1u);
  members({self, second, third, laptop});
  EXPECT_THAT(asked(), IsEmpty()) << "one is on its way";
}

TEST_F(NodeCopies, WhoDiesWhileFetchingIsReplaced) {
  make(self);
  members({self, second, third});
  want(2);
  const std::vector<NodeId> first = asked();
  ASSERT_EQ(first.size(), 1u);
  node->on_message(node_process(self), wire::NodeDied{first[0], "no heartbeat"}, now);
  EXPECT_THAT(asked(), ElementsAre(first[0] == second ? third : second));
}

TEST_F(NodeCopies, WhoHasNoRoomIsAskedAgainLater) {
  make(self);
  members({self, second});
  want(2);
  EXPECT_THAT(asked(), ElementsAre(second));
  fetched(second, ErrorCode::out_of_memory);
  EXPECT_THAT(asked(), IsEmpty());
  EXPECT_LE(node->next_timer(), now + seconds(1));
  later(milliseconds(500));
  EXPECT_THAT(asked(), IsEmpty());
  later(milliseconds(500));
  EXPECT_THAT(asked(), ElementsAre(second));
  fetched(second);
  later(seconds(5));
  EXPECT_THAT(asked(), IsEmpty());
  EXPECT_EQ(node->next_timer(), now + milliseconds(500)) << "only the heartbeat is left";
}

TEST_F(NodeCopies, AnOwnerLearnsThatTheObjectIsNotWhereItWasSaidToBe) {
  make(self);
  members({self, second});
  want(2);
  asked();
  fetched(second, ErrorCode::object_lost);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].first, driver);
  EXPECT_EQ(std::get<wire::ObjectLost>(messages[0].second).location, original);
}

TEST_F(NodeCopies, AWishEndsWithItsOwnerOrWhenItIsTakenBack) {
  make(self);
  members({self});
  want(2);
  want(0);
  members({self, second});
  EXPECT_THAT(asked(), IsEmpty());
  want(3);
  asked();
  node->on_process_exited(driver, {}, now);
  messages.clear();
  members({self, second, third});
  EXPECT_THAT(asked(), IsEmpty());
}

TEST_F(NodeCopies, ACopyOnANodeThatEndsWithADriverIsNoneForAValueThatOutlivesIt) {
  make(self);
  members({self, laptop, second});
  want(1, {laptop}, true);
  EXPECT_EQ(asked().size(), 1u);
  want(1, {laptop, second}, true);
  EXPECT_THAT(asked(), IsEmpty());
}

TEST_F(NodeCopies, AValueForTheHeadBelongsToTheNodeFromNowOn) {
  make(second, true);
  wire::KeepValue keep;
  keep.asker = driver;
  keep.value.kind = wire::ValueKind::object;
  keep.value.location = original;
  node->on_message(driver, keep, now);
  EXPECT_THAT(kept, ElementsAre(original));
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].first, node_process(second));
  EXPECT_TRUE(std::get<wire::KeepValue>(messages[0].second).passing);
  node->on_process_exited(driver, {}, now);
  EXPECT_THAT(freed, IsEmpty()) << "it is the head's";
  maker_lives = false;
  messages.clear();
  node->on_message(driver, keep, now);
  EXPECT_THAT(messages, IsEmpty());
}

// Who stored a detached value waited for ever when the head died before it had answered.
TEST_F(NodeCopies, WhoWaitsForAHeadThatIsGoneIsToldSo) {
  make(second, true);
  wire::KeepValue keep;
  keep.tag = 7;
  keep.asker = driver;
  keep.value.kind = wire::ValueKind::object;
  keep.value.location = original;
  node->on_message(driver, keep, now);
  messages.clear();
  node->on_head_lost(now);
  node->on_timer(now += milliseconds(2499));
  node->on_head_lost(now);
  EXPECT_THAT(told(), IsEmpty()) << "it may come back";
  node->on_timer(now += milliseconds(1));
  ASSERT_EQ(told().size(), 1u);
  EXPECT_EQ(told()[0].tag, 0u) << "all of them";
  EXPECT_EQ(told()[0].value.error.code, ErrorCode::unavailable);
  EXPECT_THAT(freed, IsEmpty()) << "it may have it";
  // From then on at once.
  messages.clear();
  node->on_message(driver, keep, now);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(told().at(0).tag, 7u);
  EXPECT_THAT(freed, ElementsAre(original));
  // Until it is there again.
  node->on_head_found(now);
  messages.clear();
  node->on_message(driver, keep, now);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].first, node_process(second));
  messages.clear();
  node->on_head_lost(now);
  node->on_head_found(now += milliseconds(2000));
  node->on_timer(now += milliseconds(2000));
  EXPECT_THAT(told(), IsEmpty());
  node->on_message(node_process(self), wire::NodeDied{second, "another one is at its address"}, now);
  EXPECT_EQ(told().size(), 1u);
}

}  // namespace
}  // namespace mobula
