#include "tests/unit/owner/owner_fixture.h"

namespace mobula {
namespace {

struct OwnerRefs : OwnerFixture {
  RefHandle put(std::uint64_t value, std::vector<RefHandle> contained = {}) {
    wire::Value known;
    known.bytes = number_bytes(value);
    return owner.put(std::move(known), std::move(contained));
  }
};

TEST_F(OwnerRefs, APutValueIsKnownAtOnceAndFreedWithItsLastHandle) {
  const RefHandle ref = put(5);
  EXPECT_EQ(number(ref), 5u);
  owner.retain(ref);
  release(ref);
  EXPECT_EQ(number(ref), 5u);
  release(ref);
  EXPECT_EQ(owner.counts(), Owner::Counts{});
  EXPECT_TRUE(owner.idle());
}

TEST_F(OwnerRefs, AnObjectIsFreedAtItsNodeWithAllItsCopies) {
  wire::Value known;
  known.kind = wire::ValueKind::object;
  known.location = {here, 4096, 100000, 1};
  const RefHandle ref = owner.put(std::move(known));
  owner.on_message(node_process(there), wire::AddCopy{owner.id(ref), {there, 8192, 100000, 1}}, now);
  const RefId name = owner.id(ref);
  release(ref);
  auto freed = take<wire::FreeObject>();
  ASSERT_EQ(freed.size(), 2u);
  EXPECT_EQ(freed[0].first, node_process(here));
  EXPECT_EQ(freed[1].first, node_process(there));
  // A copy that was made while the original went.
  owner.on_message(node_process(there), wire::AddCopy{name, {there, 8192, 100000, 2}}, now);
  freed = take<wire::FreeObject>();
  ASSERT_EQ(freed.size(), 1u);
  EXPECT_EQ(freed[0].second.location.generation, 2u);
}

TEST_F(OwnerRefs, RefsInsideAValueLiveAsLongAsIt) {
  const RefHandle inner = put(1);
  const RefHandle outer = put(2, {inner});
  release(inner);
  EXPECT_EQ(owner.counts().owned, 2u);
  ASSERT_EQ(owner.contained(outer).size(), 1u);
  release(outer);
  EXPECT_EQ(owner.counts().owned, 0u);
}

TEST_F(OwnerRefs, AListOfAHundredThousandRefsIsFreedWithoutRecursion) {
  RefHandle ref = put(0);
  for (int i = 0; i < 100000; ++i) {
    const RefHandle outer = put(1, {ref});
    release(ref);
    ref = outer;
  }
  release(ref);
  EXPECT_EQ(owner.counts().owned, 0u);
}

TEST_F(OwnerRefs, ABorrowerKeepsAValueAlive) {
  const RefHandle ref = put(5);
  const RefId name = owner.id(ref);
  owner.on_message(stranger, wire::AddBorrow{name}, now);
  ASSERT_EQ(take<wire::BorrowAck>().size(), 1u);
  release(ref);
  EXPECT_EQ(owner.counts().owned, 1u);
  owner.on_message(stranger, wire::Resolve{name}, now);
  const auto resolved = take<wire::Resolved>();
  ASSERT_EQ(resolved.size(), 1u);
  EXPECT_EQ(resolved[0].second.value.bytes, number_bytes(5));
  owner.on_message(stranger, wire::DropBorrow{name}, now);
  EXPECT_EQ(owner.counts().owned, 0u);
}

TEST_F(OwnerRefs, ABorrowerThatDiesLetsGo) {
  const RefHandle ref = put(5);
  owner.on_message(stranger, wire::AddBorrow{owner.id(ref)}, now);
  release(ref);
  dies(stranger);
  EXPECT_EQ(owner.counts().owned, 0u);
}

TEST_F(OwnerRefs, AForgedRefIsAnsweredNotBelieved) {
  owner.on_message(stranger, wire::AddBorrow{{driver, 1234, 9}}, now);
  const auto acks = take<wire::BorrowAck>();
  ASSERT_EQ(acks.size(), 1u);
  EXPECT_FALSE(acks[0].second.known);
  owner.on_message(stranger, wire::Resolve{{driver, 1234, 9}}, now);
  EXPECT_EQ(take<wire::Resolved>().at(0).second.value.error.code, ErrorCode::object_lost);
  owner.on_message(stranger, wire::DropBorrow{{driver, 1234, 9}}, now);
  owner.on_message(stranger, wire::CancelRef{{driver, 1234, 9}, true}, now);
}

TEST_F(OwnerRefs, ABorrowedRefIsAskedForWhenSomebodyWaits) {
  const RefId name{stranger, 5, 1};
  const RefHandle cover = put(1);
  const RefHandle ref = owner.borrow(name, false, cover);
  ASSERT_EQ(take<wire::AddBorrow>().size(), 1u);
  EXPECT_TRUE(take<wire::Resolve>().empty());
  owner.watch(ref);
  owner.watch(ref);
  ASSERT_EQ(take<wire::Resolve>().size(), 1u) << "once";
  wire::Value value;
  value.bytes = number_bytes(8);
  owner.on_message(stranger, wire::Resolved{name, value}, now);
  EXPECT_EQ(readied, std::vector{ref});
  EXPECT_EQ(number(ref), 8u);
  release(cover);
  EXPECT_EQ(owner.counts().owned, 1u) << "what covers it stays until the owner knows of us";
  owner.on_message(stranger, wire::BorrowAck{name, true}, now);
  EXPECT_EQ(owner.counts().owned, 0u);
  release(ref);
  ASSERT_EQ(take<wire::DropBorrow>().size(), 1u);
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerRefs, DroppedBeforeTheAcknowledgementItIsStillGivenBack) {
  const RefId name{stranger, 5, 1};
  const RefHandle ref = owner.borrow(name, false);
  release(ref);
  EXPECT_TRUE(take<wire::DropBorrow>().empty());
  owner.on_message(stranger, wire::BorrowAck{name, true}, now);
  EXPECT_EQ(take<wire::DropBorrow>().size(), 1u);
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerRefs, BorrowedAndDroppedWithinACallTheOwnerNeverHears) {
  owner.set_context(2, 1);
  const RefHandle ref = owner.borrow({stranger, 5, 1}, false);
  release(ref);
  EXPECT_EQ(owner.settle_borrows(), 0u);
  EXPECT_TRUE(messages.empty());
}

TEST_F(OwnerRefs, WhatOutlivesTheCallIsRegisteredBeforeTheReply) {
  owner.set_context(2, 1);
  const RefId name{stranger, 5, 1};
  const RefHandle ref = owner.borrow(name, false);
  const std::uint64_t token = owner.settle_borrows();
  EXPECT_NE(token, 0u);
  ASSERT_EQ(take<wire::AddBorrow>().size(), 1u);
  EXPECT_FALSE(owner.borrows_settled(token));
  owner.on_message(stranger, wire::BorrowAck{name, true}, now);
  EXPECT_TRUE(owner.borrows_settled(token));
  release(ref);
}

TEST_F(OwnerRefs, ADeadOwnerSettlesToo) {
  owner.set_context(2, 1);
  const RefHandle ref = owner.borrow({stranger, 5, 1}, false);
  const std::uint64_t token = owner.settle_borrows();
  EXPECT_NE(token, 0u);
  dies(stranger);
  EXPECT_TRUE(owner.borrows_settled(token));
  EXPECT_EQ(error(ref).code, ErrorCode::owner_died);
  release(ref);
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerRefs, AResultsInnerRefsAreHeldByTheProducerUntilRegistered) {
  const RefHandle ref = submit();
  grant(worker_a);
  const RefId inner{worker_a, 5, 1};
  reply(calls[0], wire::ReplyKind::value_inline, number_bytes(1), {inner});
  ASSERT_EQ(take<wire::AddBorrow>().size(), 1u);
  EXPECT_TRUE(take<wire::ReleaseHeld>().empty());
  owner.on_message(worker_a, wire::BorrowAck{inner, true}, now);
  ASSERT_EQ(take<wire::ReleaseHeld>().size(), 1u);
  const RefHandle mine = owner.borrow(inner, false, ref);
  release(ref);
  EXPECT_EQ(owner.counts().borrowed, 1u) << "decoded from the value, it lives on its own";
  release(mine);
  EXPECT_EQ(take<wire::DropBorrow>().size(), 1u);
  wait_out();
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerRefs, TheProducerHoldsUntilToldOrTheCallerDies) {
  const RefHandle first = put(1);
  const RefHandle second = put(2);
  owner.hold_for(stranger, 1, 1, 1, 0, std::vector{first});
  owner.hold_for(stranger, 2, 1, 1, 0, std::vector{second});
  release(first);
  release(second);
  EXPECT_EQ(owner.counts().owned, 2u);
  EXPECT_FALSE(owner.idle());
  owner.on_message(stranger, wire::ReleaseHeld{1, 1, 1}, now);
  EXPECT_EQ(owner.counts().owned, 1u);
  dies(stranger);
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerRefs, AnObjectOfAnotherNodeIsBroughtHere) {
  const RefHandle ref = submit();
  grant(remote_worker);
  const wire::ObjectLocation far{there, 4096, 100000, 1};
  reply(calls[0], wire::ReplyKind::value_object, wire::encode_location(far));
  EXPECT_EQ(owner.view(ref).location, far);
  EXPECT_TRUE(owner.localize(ref));
  EXPECT_TRUE(owner.localize(ref));
  ASSERT_EQ(take<wire::PullObject>().size(), 1u);
  const wire::ObjectLocation near{here, 8192, 100000, 3};
  owner.on_message(node_process(here), wire::ObjectHere{owner.id(ref), far, near, {}}, now);
  EXPECT_EQ(readied, std::vector{ref});
  EXPECT_EQ(owner.view(ref).location, near);
  EXPECT_FALSE(owner.localize(ref));
  // The other node dies: the copy is the object now.
  owner.on_message(node_process(here), wire::AddCopy{owner.id(ref), near}, now);
  owner.on_node_died(there, "no heartbeat", now);
  EXPECT_EQ(owner.view(ref).location, near);
  release(ref);
  const auto freed = take<wire::FreeObject>();
  ASSERT_EQ(freed.size(), 1u);
  EXPECT_EQ(freed[0].second.location, near);
}

TEST_F(OwnerRefs, AnObjectForWhichThereIsNoRoomHereIsNotLost) {
  const RefHandle ref = submit();
  grant(remote_worker);
  const wire::ObjectLocation far{there, 4096, 100000, 1};
  reply(calls[0], wire::ReplyKind::value_object, wire::encode_location(far));
  owner.localize(ref);
  Error full;
  full.code = ErrorCode::disk_full;
  full.message = "no room";
  owner.on_message(node_process(here), wire::ObjectHere{owner.id(ref), far, {}, full}, now);
  EXPECT_EQ(readied, std::vector{ref});
  EXPECT_EQ(owner.view(ref).state, RefState::object);
  ASSERT_NE(owner.view(ref).error, nullptr);
  EXPECT_EQ(owner.view(ref).error->code, ErrorCode::disk_full);
  // Whoever asks later may get it.
  EXPECT_TRUE(owner.localize(ref));
  EXPECT_EQ(owner.view(ref).error, nullptr);
  EXPECT_EQ(take<wire::PullObject>().size(), 2u);
  release(ref);
  EXPECT_EQ(take<wire::FreeObject>().size(), 1u);
}

// Its waiter was forgotten once: the copy was found, but nobody asked for it.
TEST_F(OwnerRefs, AnObjectThatIsOnItsWayComesFromTheCopyWhenItsNodeDies) {
  const RefHandle ref = submit();
  grant(remote_worker);
  const wire::ObjectLocation far{there, 4096, 100000, 1}, copy{NodeId{0x3333}, 8192, 100000, 3};
  reply(calls[0], wire::ReplyKind::value_object, wire::encode_location(far));
  owner.on_message(node_process(copy.node), wire::AddCopy{owner.id(ref), copy}, now);
  owner.localize(ref);
  take<wire::PullObject>();
  owner.on_node_died(there, "no heartbeat", now);
  const auto pulls = take<wire::PullObject>();
  ASSERT_EQ(pulls.size(), 1u);
  EXPECT_EQ(pulls[0].second.location, copy);
  Error lost;
  lost.code = ErrorCode::object_lost;
  owner.on_message(node_process(here), wire::ObjectHere{owner.id(ref), far, {}, lost}, now);
  EXPECT_TRUE(readied.empty()) << "the answer to the first question";
  const wire::ObjectLocation near{here, 12288, 100000, 3};
  owner.on_message(node_process(here), wire::ObjectHere{owner.id(ref), copy, near, {}}, now);
  EXPECT_EQ(readied, std::vector{ref});
  EXPECT_EQ(owner.view(ref).location, near);
  release(ref);
}

TEST_F(OwnerRefs, AnObjectThatCannotBeReadIsFreedWhereItLay) {
  TaskSpec spec;
  spec.task_class = owner.task_class({.max_retries = 0});
  const RefHandle ref = submit(std::move(spec));
  grant(remote_worker, 1);
  const wire::ObjectLocation far{there, 4096, 100000, 1};
  reply(calls[0], wire::ReplyKind::value_object, wire::encode_location(far));
  owner.localize(ref);
  Error damaged;
  damaged.code = ErrorCode::object_lost;
  damaged.message = "the checksum is wrong";
  owner.on_message(node_process(here), wire::ObjectHere{owner.id(ref), far, {}, damaged}, now);
  EXPECT_EQ(error(ref).code, ErrorCode::object_lost);
  const auto freed = take<wire::FreeObject>();
  ASSERT_EQ(freed.size(), 1u);
  EXPECT_EQ(freed[0].second.location, far);
  release(ref);
  EXPECT_TRUE(take<wire::FreeObject>().empty());
}

TEST_F(OwnerRefs, AnObjectWithoutCopiesIsLostWithItsNode) {
  TaskSpec spec;
  spec.task_class = owner.task_class({.max_retries = 0});
  const RefHandle ref = submit(std::move(spec));
  grant(remote_worker, 1);
  reply(calls[0], wire::ReplyKind::value_object, wire::encode_location({there, 4096, 100000, 1}));
  owner.localize(ref);
  owner.on_node_died(there, "no heartbeat for 5.0 s", now);
  EXPECT_EQ(error(ref).code, ErrorCode::object_lost);
  EXPECT_EQ(
      error(ref).message,
      "the object's bytes lay on a node that died: node n2222 was declared dead (no heartbeat for 5.0 s); it cannot "
      "be made again: it is no result of a task with retries");
  EXPECT_EQ(readied, std::vector{ref});
  release(ref);
}

// A worker waited for the acknowledgement once, and took no further call.
TEST_F(OwnerRefs, ARefThatComesAfterItsOwnerDiedIsLostAtOnce) {
  owner.on_process_died(stranger, {}, now);
  const RefHandle ref = owner.borrow({stranger, 5, 1}, false);
  EXPECT_TRUE(take<wire::AddBorrow>().empty()) << "nobody would answer";
  EXPECT_EQ(error(ref).code, ErrorCode::owner_died);
  release(ref);
  const ProcessId next{stranger.node, stranger.slot, stranger.generation + 1};
  const RefHandle other = owner.borrow({next, 5, 1}, false);
  EXPECT_EQ(take<wire::AddBorrow>().size(), 1u) << "another process in its place lives";
  owner.on_message(next, wire::BorrowAck{{next, 5, 1}, true}, now);
  release(other);
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerRefs, DecodingARefOfOursGivesTheSameEntry) {
  const RefHandle ref = put(4);
  EXPECT_EQ(owner.borrow(owner.id(ref), false), ref);
  release(ref);
  release(ref);
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

}  // namespace
}  // namespace mobula
