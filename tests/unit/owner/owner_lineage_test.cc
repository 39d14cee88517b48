// Results that were lost with their node, and the calls that make them again.
#include <gmock/gmock.h>

#include "tests/unit/owner/owner_fixture.h"

namespace mobula {
namespace {

using testing::HasSubstr;

struct OwnerLineage : OwnerFixture {
  static wire::ObjectLocation at(NodeId node, std::uint64_t offset) { return {node, offset, 100'000, 1}; }
  /// A task whose result lies there, in an object at this offset.
  // The tag is that of the requests for its kind of tasks.
  RefHandle made_there(std::uint64_t offset, TaskSpec spec = {}, std::uint64_t tag = 0) {
    const RefHandle ref = submit(std::move(spec));
    grant(remote_worker, tag);
    gives(calls.back(), at(there, offset));
    return ref;
  }
  void gives(const Sent& call, const wire::ObjectLocation& location) {
    reply(call, wire::ReplyKind::value_object, wire::encode_location(location));
  }
  void node_dies(NodeId node) { owner.on_node_died(node, "no heartbeat", now); }
  TaskClass without_retries() { return owner.task_class({.max_retries = 0}); }
};

TEST_F(OwnerLineage, ALostResultIsMadeAgainAndWhoWaitsGetsIt) {
  const RefHandle ref = made_there(1);
  const Sent first = calls.back();
  node_dies(there);
  EXPECT_EQ(owner.view(ref).state, RefState::pending);
  grant(worker_a);
  EXPECT_EQ(calls.back().header.attempt, 2u);
  EXPECT_EQ(calls.back().header.function, first.header.function);
  owner.watch(ref);
  gives(calls.back(), at(here, 7));
  EXPECT_EQ(owner.view(ref).location, at(here, 7));
  EXPECT_EQ(readied, std::vector{ref});
  release(ref);
  EXPECT_EQ(take<wire::FreeObject>().size(), 1u);
  wait_out();
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerLineage, AChainOfFreedObjectsIsMadeAgainFromItsBeginning) {
  const RefHandle first = made_there(1);
  const RefHandle second = made_there(2, {.deps = {first}});
  const RefHandle third = made_there(3, {.deps = {second}});
  release(first);
  release(second);
  EXPECT_EQ(take<wire::FreeObject>().size(), 2u) << "lineage does not keep objects";
  const std::size_t before = calls.size();
  node_dies(there);
  grant(worker_a);
  ASSERT_EQ(calls.size(), before + 1) << "only the first one can run";
  gives(calls.back(), at(here, 4));
  ASSERT_EQ(calls.size(), before + 2);
  ASSERT_EQ(calls.back().deps.size(), 1u);
  EXPECT_EQ(calls.back().deps[0].second, wire::encode_location(at(here, 4)));
  gives(calls.back(), at(here, 5));
  EXPECT_EQ(take<wire::FreeObject>().size(), 1u) << "the first one is needed no more";
  gives(calls.back(), at(here, 6));
  EXPECT_EQ(owner.view(third).location, at(here, 6));
  release(third);
  wait_out();
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerLineage, APutArgumentStaysAsLongAsItsLineage) {
  wire::Value value;
  value.kind = wire::ValueKind::object;
  value.location = at(here, 9);
  const RefHandle stored = owner.put(std::move(value));
  const RefHandle ref = made_there(1, {.deps = {stored}});
  release(stored);
  EXPECT_TRUE(take<wire::FreeObject>().empty());
  node_dies(there);
  grant(worker_a);
  ASSERT_EQ(calls.back().deps.size(), 1u);
  gives(calls.back(), at(here, 2));
  EXPECT_EQ(take<wire::FreeObject>().size(), 1u) << "what lies here cannot be lost, so nothing is kept for it";
  release(ref);
  wait_out();
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerLineage, WhatCannotBeMadeAgainSaysWhyAndNamesTheNode) {
  const RefHandle no_retries = made_there(1, {.task_class = without_retries()}, 1);
  node_dies(there);
  EXPECT_EQ(error(no_retries).code, ErrorCode::object_lost);
  EXPECT_EQ(error(no_retries).node, to_string(there));
  EXPECT_THAT(error(no_retries).message, HasSubstr("it is no result of a task with retries"));
  release(no_retries);
}

TEST_F(OwnerLineage, RetriesAreUsedUpByDeathsOfNodes) {
  const NodeId third_node{0x3333};
  TaskSpec spec;
  spec.task_class = owner.task_class({.max_retries = 1});
  const RefHandle ref = submit(std::move(spec));
  grant(remote_worker);
  gives(calls.back(), at(there, 1));
  node_dies(there);
  grant({third_node, 2, 1});
  gives(calls.back(), at(third_node, 1));
  node_dies(third_node);
  EXPECT_EQ(error(ref).code, ErrorCode::object_lost);
  EXPECT_THAT(error(ref).message, HasSubstr("the retries of square are used up"));
  release(ref);
}

TEST_F(OwnerLineage, ACopyIsUsedBeforeAnythingRunsAgain) {
  const NodeId third_node{0x3333};
  const RefHandle ref = made_there(1);
  owner.on_message(node_process(third_node), wire::AddCopy{owner.id(ref), at(third_node, 8)}, now);
  const std::size_t before = calls.size();
  node_dies(there);
  EXPECT_EQ(owner.view(ref).location, at(third_node, 8));
  EXPECT_EQ(calls.size(), before);
  EXPECT_TRUE(take<wire::LeaseRequest>().size() <= 1);
  release(ref);
}

TEST_F(OwnerLineage, ATaskWhoseArgumentWasLostOnItsWayWaitsUntilItIsThereAgain) {
  const RefHandle object = made_there(1);
  const RefHandle reader = submit({.deps = {object}});
  grant(worker_a);
  const Sent reading = calls.back();
  begun.insert(tickets);
  node_dies(there);
  item_number = 0;  // of its arguments
  reply(reading, wire::ReplyKind::argument_lost, wire::encode_location(at(there, 1)));
  ASSERT_EQ(calls.back().header.index, owner.id(object).index) << "the object is made again";
  gives(calls.back(), at(here, 3));
  EXPECT_EQ(calls.back().header.index, owner.id(reader).index);
  EXPECT_EQ(calls.back().deps[0].second, wire::encode_location(at(here, 3)));
  value(calls.back(), 5);
  EXPECT_EQ(number(reader), 5u);
  for (const RefHandle ref : {object, reader}) release(ref);
  EXPECT_EQ(owner.counts().owned, 0u);
  EXPECT_EQ(owner.counts().tasks, 0u);
}

TEST_F(OwnerLineage, ABorrowerAsksTheOwnerWhenTheBytesAreGone) {
  const RefHandle ref = owner.borrow({stranger, 4, 1}, false);
  owner.watch(ref);
  wire::Value value;
  value.kind = wire::ValueKind::object;
  value.location = at(there, 1);
  owner.on_message(stranger, wire::Resolved{{stranger, 4, 1}, value}, now);
  node_dies(there);
  EXPECT_EQ(owner.view(ref).state, RefState::pending);
  const auto asked = take<wire::ObjectLost>();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].first, stranger);
  value.location = at(here, 2);
  owner.on_message(stranger, wire::Resolved{{stranger, 4, 1}, value}, now);
  EXPECT_EQ(owner.view(ref).location, at(here, 2));
  release(ref);
}

TEST_F(OwnerLineage, AnOwnerThatIsToldOfALossMakesTheObjectAgainAndAnswers) {
  const RefHandle ref = made_there(1);
  owner.on_message(stranger, wire::AddBorrow{owner.id(ref)}, now);
  owner.on_message(stranger, wire::ObjectLost{owner.id(ref), at(there, 1)}, now);
  EXPECT_EQ(owner.view(ref).state, RefState::pending);
  EXPECT_TRUE(take<wire::Resolved>().empty());
  grant(worker_a);
  gives(calls.back(), at(here, 3));
  const auto told = take<wire::Resolved>();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].second.value.location, at(here, 3));
  // A late one who means the old place is told of the new one.
  owner.on_message(stranger, wire::ObjectLost{owner.id(ref), at(there, 1)}, now);
  EXPECT_EQ(take<wire::Resolved>().at(0).second.value.location, at(here, 3));
  owner.on_message(stranger, wire::DropBorrow{owner.id(ref)}, now);
  release(ref);
}

TEST_F(OwnerLineage, OfSeveralResultsOnlyTheLostOneIsReplaced) {
  std::vector<RefHandle> more;
  TaskSpec spec;
  spec.function = {1, 1};
  spec.results = 2;
  const RefHandle small = owner.submit(std::move(spec), now, &more);
  grant(remote_worker);
  std::vector<std::byte> payload;
  const Bytes number = number_bytes(5);
  const Bytes place = wire::encode_location(at(there, 1));
  wire::append_part(payload, {false, 0, number});
  wire::append_part(payload, {true, 0, place});
  reply(calls.back(), wire::ReplyKind::values, Bytes(payload));
  release(small);
  node_dies(there);
  EXPECT_EQ(owner.view(more[0]).state, RefState::pending);
  grant(worker_a);
  payload.clear();
  const Bytes again = wire::encode_location(at(here, 2));
  wire::append_part(payload, {false, 0, number});
  wire::append_part(payload, {true, 0, again});
  reply(calls.back(), wire::ReplyKind::values, Bytes(payload));
  EXPECT_EQ(owner.view(more[0]).location, at(here, 2));
  release(more[0]);
  wait_out();
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

struct OwnerSmallLineage : OwnerLineage {
  Owner small{driver, {.node_name = "host", .pipeline_depth = 4, .lineage_bytes = 4096}, *this};
};

TEST_F(OwnerSmallLineage, TheOldestGoesFirstAndItsLossSaysSo) {
  std::vector<RefHandle> refs;
  for (std::uint64_t i = 1; i <= 40; ++i) {
    TaskSpec spec;
    spec.function = {1, 1};
    refs.push_back(small.submit(std::move(spec), now));
    if (i == 1) {
      small.on_message(node_process(there), wire::LeaseGrant{0, {there, 1}, remote_worker}, now);
    }
    wire::ReplyHeader header;
    header.kind = wire::ReplyKind::value_object;
    header.index = calls.back().header.index;
    header.generation = calls.back().header.generation;
    header.attempt = 1;
    const Bytes place = wire::encode_location(at(there, i));
    header.bytes = static_cast<std::uint32_t>(place.size());
    small.on_reply(remote_worker, header, place.span(), {}, now);
  }
  EXPECT_LT(small.counts().tasks, 20u) << "bounded";
  small.on_node_died(there, "no heartbeat", now);
  const RefView oldest = small.view(refs.front());
  ASSERT_EQ(oldest.state, RefState::error);
  EXPECT_EQ(oldest.error->code, ErrorCode::object_lost);
  EXPECT_THAT(oldest.error->message, HasSubstr("its lineage was evicted"));
  EXPECT_EQ(small.view(refs.back()).state, RefState::pending);
  for (const RefHandle ref : refs) small.release(ref, now);
}

}  // namespace
}  // namespace mobula
