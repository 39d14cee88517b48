// Objects that lie on several nodes, and values that are kept for others.
#include <gmock/gmock.h>

#include "tests/unit/owner/owner_fixture.h"

namespace mobula {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const NodeId third{0x3333};
const ProcessId borrower{there, 7, 1};

struct OwnerCopies : OwnerFixture {
  static wire::ObjectLocation at(NodeId node, std::uint64_t offset) { return {node, offset, 100'000, 1}; }
  static wire::Value object_at(const wire::ObjectLocation& location) {
    wire::Value value;
    value.kind = wire::ValueKind::object;
    value.location = location;
    return value;
  }
  RefHandle put(std::uint32_t copies) { return owner.put(object_at(at(here, 1)), {}, copies); }
  void copied(RefHandle ref, const wire::ObjectLocation& location, bool passing = false) {
    owner.on_message(node_process(location.node), wire::AddCopy{owner.id(ref), location, passing}, now);
  }
  void node_dies(NodeId node) { owner.on_node_died(node, "no heartbeat", now); }
  wire::WantCopies wanted() {
    const auto sent = take<wire::WantCopies>();
    EXPECT_EQ(sent.size(), 1u);
    return sent.empty() ? wire::WantCopies{} : sent.back().second;
  }
};

TEST_F(OwnerCopies, TheNodeIsToldUntilThereAreEnough) {
  const RefHandle ref = put(3);
  EXPECT_EQ(wanted(), (wire::WantCopies{owner.id(ref), at(here, 1), 3, false, {here}}));
  EXPECT_EQ(owner.take_copies(ref), std::nullopt);
  copied(ref, at(there, 2));
  EXPECT_THAT(wanted().holders, ElementsAre(here, there));
  EXPECT_THAT(readied, IsEmpty());
  copied(ref, at(third, 3));
  EXPECT_EQ(wanted().copies, 0u) << "taken back: it lies on three";
  EXPECT_THAT(readied, ElementsAre(ref));
  EXPECT_EQ(owner.take_copies(ref)->value(), 3u);
  release(ref);
  EXPECT_EQ(take<wire::FreeObject>().size(), 3u);
  EXPECT_THAT(take<wire::WantCopies>(), IsEmpty());
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerCopies, AValueThatIsFreedMeanwhileIsNotCopiedFurther) {
  const RefHandle ref = put(2);
  const RefId name = owner.id(ref);
  take<wire::WantCopies>();
  release(ref);
  EXPECT_EQ(wanted(), (wire::WantCopies{name, {}, 0, false, {}}));
  take<wire::FreeObject>();
  owner.on_message(node_process(there), wire::AddCopy{name, at(there, 2)}, now);
  EXPECT_EQ(take<wire::FreeObject>().size(), 1u) << "it was on its way already";
}

TEST_F(OwnerCopies, ACopyThatDiesIsMadeAgainElsewhere) {
  const RefHandle ref = put(2);
  copied(ref, at(there, 2));
  take<wire::WantCopies>();
  node_dies(there);
  EXPECT_EQ(wanted(), (wire::WantCopies{owner.id(ref), at(here, 1), 2, false, {here}}));
  EXPECT_EQ(owner.take_copies(ref), std::nullopt);
  copied(ref, at(third, 3));
  EXPECT_EQ(owner.take_copies(ref)->value(), 2u);
  release(ref);
}

TEST_F(OwnerCopies, AResultWhoseFirstNodeDiesIsReadFromItsCopyAndNotMadeAgain) {
  const RefHandle ref = submit({.task_class = owner.task_class({.copies = 2})});
  EXPECT_THAT(take<wire::WantCopies>(), IsEmpty()) << "not there yet";
  grant(remote_worker);
  reply(calls.back(), wire::ReplyKind::value_object, wire::encode_location(at(there, 1)));
  EXPECT_EQ(wanted().holders, std::vector{there});
  copied(ref, at(third, 3));
  take<wire::WantCopies>();
  const std::size_t before = calls.size();
  node_dies(there);
  EXPECT_EQ(owner.view(ref).state, RefState::object);
  EXPECT_EQ(owner.view(ref).location, at(third, 3));
  EXPECT_EQ(wanted(), (wire::WantCopies{owner.id(ref), at(third, 3), 2, false, {third}}));
  EXPECT_EQ(calls.size(), before);
  release(ref);
  EXPECT_EQ(owner.counts().owned, 0u);
  EXPECT_EQ(owner.counts().tasks, 0u);
}

TEST_F(OwnerCopies, CopiesDoNotSeparateTasksThatCanShareALease) {
  submit();
  grant(worker_a);
  submit({.task_class = owner.task_class({.copies = 2})});
  EXPECT_EQ(calls.size(), 2u);
}

TEST_F(OwnerCopies, SmallValuesAreNotCopied) {
  wire::Value small;
  small.bytes = number_bytes(7);
  const RefHandle ref = owner.put(std::move(small), {}, 2);
  EXPECT_THAT(take<wire::WantCopies>(), IsEmpty());
  EXPECT_EQ(owner.take_copies(ref)->value(), 1u);
  release(ref);
}

TEST_F(OwnerCopies, WhoBorrowsAValueCanAskForItsCopies) {
  const RefHandle ref = put(2);
  owner.on_message(borrower, wire::AddBorrow{owner.id(ref)}, now);
  owner.on_message(borrower, wire::WatchCopies{owner.id(ref)}, now);
  EXPECT_THAT(take<wire::CopiesHeld>(), IsEmpty());
  copied(ref, at(third, 3));
  const auto told = take<wire::CopiesHeld>();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].first, borrower);
  EXPECT_EQ(told[0].second.copies, 2u);
  // And as a borrower itself.
  const RefHandle other = owner.borrow({borrower, 4, 1}, false);
  EXPECT_EQ(owner.take_copies(other), std::nullopt);
  EXPECT_EQ(owner.take_copies(other), std::nullopt);
  EXPECT_EQ(take<wire::WatchCopies>().size(), 1u) << "asked once";
  owner.on_message(borrower, wire::CopiesHeld{{borrower, 4, 1}, 5, {}}, now);
  EXPECT_THAT(readied, ElementsAre(other));
  EXPECT_EQ(owner.take_copies(other)->value(), 5u);
  dies(borrower);
  EXPECT_EQ(owner.take_copies(other)->error().code, ErrorCode::owner_died);
  release(other);
  release(ref);
}

TEST_F(OwnerCopies, AValueKeptForAnotherLivesUntilNobodyBorrowsIt) {
  owner.on_message(node_process(there), wire::KeepValue{5, borrower, object_at(at(there, 1)), 1, false, {}}, now);
  const auto kept = take<wire::ValueKept>();
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].first, borrower);
  EXPECT_EQ(kept[0].second.tag, 5u);
  EXPECT_EQ(kept[0].second.value.location, at(there, 1));
  const RefId name = kept[0].second.ref;
  owner.on_message(worker_a, wire::AddBorrow{name}, now);
  dies(borrower);
  owner.on_message(worker_a, wire::DropBorrow{name}, now);
  // The dead one may have handed it on with its last message.
  now += std::chrono::seconds(9);
  owner.on_timer(now);
  EXPECT_THAT(take<wire::FreeObject>(), IsEmpty());
  owner.on_message(worker_b, wire::AddBorrow{name}, now);
  EXPECT_TRUE(take<wire::BorrowAck>().back().second.known);
  now += std::chrono::seconds(2);
  owner.on_timer(now);
  EXPECT_THAT(take<wire::FreeObject>(), IsEmpty());
  owner.on_message(worker_b, wire::DropBorrow{name}, now);
  EXPECT_EQ(take<wire::FreeObject>().size(), 1u) << "who says so lets go at once";
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerCopies, AValueOnANodeThatEndsWithADriverIsKeptOnceItLiesElsewhere) {
  owner.on_message(node_process(there), wire::KeepValue{5, borrower, object_at(at(there, 1)), 1, true, {}}, now);
  EXPECT_THAT(take<wire::ValueKept>(), IsEmpty()) << "it would end with the asker";
  const wire::WantCopies want = wanted();
  EXPECT_TRUE(want.durable);
  EXPECT_EQ(want.copies, 1u);
  EXPECT_THAT(want.holders, IsEmpty());
  owner.on_message(node_process(third), wire::AddCopy{want.ref, at(third, 2)}, now);
  EXPECT_EQ(take<wire::ValueKept>().size(), 1u);
  owner.on_message(worker_a, wire::AddBorrow{want.ref}, now);
  take<wire::WantCopies>();
  node_dies(there);
  owner.on_message(worker_a, wire::Resolve{want.ref}, now);
  EXPECT_EQ(take<wire::Resolved>().back().second.value.location, at(third, 2));
  EXPECT_THAT(take<wire::WantCopies>(), IsEmpty()) << "one was asked for, and one is there";
  owner.on_message(worker_a, wire::DropBorrow{want.ref}, now);
}

TEST_F(OwnerCopies, WhatIsKeptForTheDeadIsFreed) {
  dies(stranger);
  owner.on_message(node_process(here), wire::KeepValue{5, stranger, object_at(at(here, 1)), 1, false, {}}, now);
  EXPECT_EQ(take<wire::FreeObject>().size(), 1u);
  EXPECT_THAT(take<wire::ValueKept>(), IsEmpty());
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerCopies, AValueThatIsGivenAwayComesBackAsABorrowedOne) {
  const std::uint64_t tag = owner.keep_value({.value = object_at(at(here, 1)), .copies = 2});
  const auto sent = take<wire::KeepValue>();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].first, node_process(here));
  EXPECT_EQ(sent[0].second.asker, driver);
  EXPECT_EQ(owner.take_kept(tag), std::nullopt);
  const RefId name{node_process(there), 8, 1};
  owner.on_message(node_process(there), wire::ValueKept{tag, name, object_at(at(here, 1))}, now);
  const RefHandle ref = owner.take_kept(tag)->value();
  EXPECT_FALSE(owner.owned(ref));
  EXPECT_EQ(owner.id(ref), name);
  EXPECT_EQ(owner.view(ref).location, at(here, 1));
  release(ref);
  EXPECT_EQ(take<wire::DropBorrow>().size(), 1u);
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerCopies, AHeadThatIsGoneKeepsNothingAndWhatItAnswersLaterIsGivenBack) {
  const std::uint64_t tag = owner.keep_value({.value = object_at(at(here, 1))});
  const std::uint64_t other = owner.keep_value({});
  const RefId name{node_process(there), 8, 1};
  owner.on_message(node_process(there), wire::ValueKept{other, name, {}}, now);
  wire::ValueKept gone;
  gone.value.kind = wire::ValueKind::error;
  gone.value.error.code = ErrorCode::unavailable;
  owner.on_message(node_process(here), gone, now);
  EXPECT_EQ(owner.take_kept(tag)->error().code, ErrorCode::unavailable);
  const auto kept = owner.take_kept(other);
  ASSERT_TRUE(kept->ok()) << "that was answered before";
  release(**kept);
  EXPECT_EQ(take<wire::DropBorrow>().size(), 1u);
  const RefId late{node_process(there), 9, 1};
  owner.on_message(node_process(there), wire::ValueKept{tag, late, object_at(at(here, 1))}, now);
  EXPECT_EQ(owner.take_kept(tag), std::nullopt);
  const auto dropped = take<wire::DropBorrow>();
  ASSERT_EQ(dropped.size(), 1u);
  EXPECT_EQ(dropped[0].first, node_process(there));
  EXPECT_EQ(dropped[0].second.ref, late);
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerCopies, AValueThatADeadHeadWasToKeepIsAnErrorAndAnswersThatComeLateAreLetGo) {
  wire::KeepValue wanted;
  wanted.value.bytes = number_bytes(5);
  const std::uint64_t tag = owner.keep_value(std::move(wanted));
  owner.on_message(node_process(here), wire::HeadChanged{there}, now);
  const auto kept = owner.take_kept(tag);
  ASSERT_TRUE(kept.has_value());
  ASSERT_FALSE(kept->ok());
  EXPECT_EQ(kept->error().code, ErrorCode::owner_died);
  wire::ValueKept late;
  late.tag = tag;
  late.ref = {node_process(there), 3, 1};
  late.value.bytes = number_bytes(5);
  owner.on_message(node_process(there), late, now);
  EXPECT_EQ(take<wire::DropBorrow>().size(), 1u);
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerCopies, ARefusedValueSaysWhy) {
  const std::uint64_t tag = owner.keep_value({});
  owner.on_message(node_process(there), wire::KeepValue{9, borrower, {}, 1, false, {{stranger, 3, 1}}}, now);
  const auto refused = take<wire::ValueKept>();
  ASSERT_EQ(refused.size(), 1u);
  wire::ValueKept answer = refused[0].second;
  answer.tag = tag;
  owner.on_message(node_process(there), answer, now);
  EXPECT_THAT(owner.take_kept(tag)->error().message, HasSubstr("a reference inside it has been freed"));
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

}  // namespace
}  // namespace mobula
