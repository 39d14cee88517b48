#include "runtime/worker/worker.h"

#include <gtest/gtest.h>

#include "runtime/wire/codec.h"

namespace mobula {
namespace {

const NodeId node{0x1111};
const ProcessId self{node, 2, 1};
const ProcessId caller{node, 1, 1};
const ProcessId other{node, 5, 1};

struct WorkerTest : testing::Test, OwnerSink, WorkerSink {
  struct Reply {
    ProcessId to;
    wire::ReplyHeader header;
    Bytes payload;
    std::vector<RefId> contained;
  };
  std::vector<Reply> replies;
  std::vector<std::pair<ProcessId, wire::Message>> messages;
  std::vector<Error> deadlocks;
  int stops = 0, destroyed = 0, exits = 0;
  Time now{};
  Owner owner{self, {}, *this};
  Worker worker{self, "host", 77, owner, *this};

  SendStatus send_call(const ProcessId&, const wire::CallHeader&, std::span<const std::byte>,
                       std::span<const wire::Dependency>, CallTicket&) override {
    return SendStatus::accepted;
  }
  bool withdraw(const ProcessId&, const CallTicket&) override { return false; }
  void raise_stop(const ProcessId&, const CallTicket&, bool) override {}
  void send(const ProcessId& to, wire::Message&& message) override { messages.emplace_back(to, std::move(message)); }
  void ready(RefHandle) override {}
  std::string function_name(const FunctionId&) override { return "f"; }
  void reply(const ProcessId& to, const wire::ReplyHeader& header, std::span<const std::byte> payload,
             std::span<const RefId> contained) override {
    replies.push_back({to, header, Bytes(payload), {contained.begin(), contained.end()}});
  }
  void raise_stop(RunningCall&) override { ++stops; }
  void deadlock(RunningCall&, Error&& why) override { deadlocks.push_back(std::move(why)); }
  void destroy_actor() override { ++destroyed; }
  void exit() override { ++exits; }

  template <class M>
  std::vector<std::pair<ProcessId, M>> take() {
    std::vector<std::pair<ProcessId, M>> found;
    for (const auto& [to, message] : messages) {
      if (const auto* m = std::get_if<M>(&message)) found.emplace_back(to, *m);
    }
    std::erase_if(messages, [](const auto& sent) { return std::holds_alternative<M>(sent.second); });
    return found;
  }
  wire::CallHeader task(std::uint32_t index = 1) {
    wire::CallHeader header;
    header.caller = caller;
    header.index = index;
    header.generation = header.attempt = header.depth = 1;
    header.lease = {node, 9};
    return header;
  }
  wire::CallHeader creation(std::uint32_t incarnation = 1) {
    wire::CallHeader header = task(50);
    header.kind = wire::CallKind::actor_create;
    header.actor_owner = caller;
    header.actor_index = 50;
    header.actor_generation = 1;
    header.incarnation = header.attempt = incarnation;
    return header;
  }
  wire::CallHeader actor_call(std::uint64_t sequence, const ProcessId& from = caller) {
    wire::CallHeader header = creation();
    header.kind = wire::CallKind::actor_call;
    header.caller = from;
    header.index = 60 + static_cast<std::uint32_t>(sequence);
    header.attempt = 1;
    header.sequence = sequence;
    return header;
  }
  RunningCall& current() { return *worker.active().back(); }
  void finish(std::vector<RefHandle> contained = {}) {
    worker.finish(current(), wire::ReplyKind::value_inline, {}, contained, now);
  }
  void become_actor() {
    ASSERT_TRUE(worker.accept(creation(), now));
    finish();
    replies.clear();
  }
  wire::ReplyKind last() { return replies.back().header.kind; }
};

TEST_F(WorkerTest, RunsOneCallAtATimeAndReplies) {
  EXPECT_TRUE(worker.ready());
  ASSERT_TRUE(worker.accept(task(), now));
  EXPECT_FALSE(worker.ready());
  EXPECT_TRUE(replies.empty());
  finish();
  EXPECT_TRUE(worker.ready());
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(replies[0].to, caller);
  EXPECT_EQ(replies[0].header.index, 1u);
  EXPECT_EQ(replies[0].header.attempt, 1u);
}

TEST_F(WorkerTest, TheReplyWaitsForBorrowsThatOutliveTheCall) {
  ASSERT_TRUE(worker.accept(task(), now));
  const RefHandle kept = owner.borrow({other, 3, 1}, false);
  finish();
  EXPECT_TRUE(replies.empty());
  EXPECT_FALSE(worker.ready());
  owner.on_message(other, wire::BorrowAck{{other, 3, 1}, true}, now);
  worker.after_owner_step(now);
  EXPECT_EQ(replies.size(), 1u);
  EXPECT_TRUE(worker.ready());
  owner.release(kept, now);
}

TEST_F(WorkerTest, RefsInsideAResultAreHeldUntilTheCallerHasThem) {
  ASSERT_TRUE(worker.accept(task(), now));
  wire::Value value;
  const RefHandle inner = owner.put(std::move(value));
  finish({inner});
  owner.release(inner, now);
  ASSERT_EQ(replies.size(), 1u);
  ASSERT_EQ(replies[0].contained.size(), 1u);
  EXPECT_EQ(owner.counts().owned, 1u);
  owner.on_message(caller, wire::ReleaseHeld{1, 1, 1}, now);
  EXPECT_EQ(owner.counts().owned, 0u);
}

TEST_F(WorkerTest, ACancelledCallIsStoppedAndAnsweredAsCancelled) {
  ASSERT_TRUE(worker.accept(task(), now));
  worker.on_message(caller, wire::CancelCall{1, 1, 1}, now);
  EXPECT_EQ(stops, 1);
  EXPECT_TRUE(current().stop);
  finish();
  EXPECT_EQ(last(), wire::ReplyKind::cancelled);
  const Error error = wire::decode_error(replies.back().payload.span());
  EXPECT_EQ(error.code, ErrorCode::cancelled);
  EXPECT_EQ(error.pid, 77);
  ASSERT_TRUE(worker.accept(task(2), now));
  EXPECT_FALSE(current().stop) << "the flag was the other call's";
}

// The flag lies in shared memory and is seen at once; a call that returned on it, before the message was read, once
// ended in its value, and a program that had cancelled it found no error.
TEST_F(WorkerTest, ACallThatSawItsFlagBeforeTheMessageIsCancelledToo) {
  ASSERT_TRUE(worker.accept(task(), now));
  worker.stop(current(), true, now);
  EXPECT_EQ(stops, 1);
  finish();
  EXPECT_EQ(last(), wire::ReplyKind::cancelled);
  worker.on_message(caller, wire::CancelCall{1, 1, 1}, now);
  EXPECT_EQ(stops, 1) << "it ended before";
  ASSERT_TRUE(worker.accept(task(2), now));
  EXPECT_FALSE(current().stop) << "the message was for the call before";
}

TEST_F(WorkerTest, AnObjectOfACancelledCallIsFreed) {
  ASSERT_TRUE(worker.accept(task(), now));
  worker.on_message(caller, wire::CancelCall{1, 1, 1}, now);
  worker.finish(current(), wire::ReplyKind::value_object, wire::encode_location({node, 4096, 100000, 1}).span(), {},
                now);
  EXPECT_EQ(take<wire::FreeObject>().size(), 1u);
}

TEST_F(WorkerTest, ObjectsThatADeadCallerLeftUnreadAreFreed) {
  for (std::uint32_t i = 1; i <= 3; ++i) {
    wire::CallHeader header = task(i);
    if (i == 3) header.caller = other;
    ASSERT_TRUE(worker.accept(header, now));
    worker.finish(current(), wire::ReplyKind::value_object, wire::encode_location({node, i * 4096, 100000, 1}).span(),
                  {}, now);
  }
  worker.on_process_died(caller, now);
  EXPECT_EQ(take<wire::FreeObject>().size(), 2u);
  worker.on_process_died(caller, now);
  EXPECT_TRUE(take<wire::FreeObject>().empty());
}

TEST_F(WorkerTest, ACancellationMayOvertakeItsCall) {
  worker.on_message(caller, wire::CancelCall{1, 1, 1}, now);
  EXPECT_EQ(stops, 0);
  EXPECT_FALSE(worker.accept(task(), now));
  EXPECT_EQ(last(), wire::ReplyKind::cancelled);
  EXPECT_TRUE(worker.ready());
}

TEST_F(WorkerTest, ChildrenOfACancelledCallAreCancelled) {
  ASSERT_TRUE(worker.accept(task(), now));
  const RefHandle child = owner.submit({.function = {1, 1}}, now);
  const auto requests = take<wire::LeaseRequest>();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].second.depth, 2u) << "nested deeper than the call";
  worker.on_message(caller, wire::CancelCall{1, 1, 1}, now);
  EXPECT_EQ(owner.view(child).state, RefState::error);
  owner.release(child, now);
  finish();
}

TEST_F(WorkerTest, TellsNodeAndOwnerOfTheLeaseWhileItWaits) {
  ASSERT_TRUE(worker.accept(task(), now));
  worker.block(current());
  worker.block(current());
  auto told = take<wire::Blocked>();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].first, node_process(node));
  EXPECT_TRUE(told[0].second.blocked);
  EXPECT_EQ(take<wire::WorkerBlocked>().at(0).first, caller);
  worker.unblock(current());
  EXPECT_TRUE(take<wire::Blocked>().empty());
  worker.unblock(current());
  EXPECT_FALSE(take<wire::Blocked>().at(0).second.blocked);
  finish();
}

TEST_F(WorkerTest, AnActorCallRunsOncePerSequenceNumber) {
  become_actor();
  ASSERT_TRUE(worker.accept(actor_call(1), now));
  finish();
  EXPECT_FALSE(worker.accept(actor_call(1), now)) << "it came twice";
  EXPECT_EQ(replies.size(), 1u) << "and the first one answered";
  ASSERT_TRUE(worker.accept(actor_call(3), now)) << "a number may be left out: that call was withdrawn";
  finish();
  ASSERT_TRUE(worker.accept(actor_call(1, other), now)) << "each caller counts for itself";
  finish();
}

TEST_F(WorkerTest, CallsOfAnActorThatKeepsItsStateAreNumberedAsTheyRun) {
  wire::CallHeader create = creation();
  create.flags = wire::call_logged;
  create.sequence = 40;  // of an earlier life
  ASSERT_TRUE(worker.accept(create, now));
  finish();
  wire::CallHeader again = actor_call(1);
  again.flags = wire::call_replays;
  ASSERT_TRUE(worker.accept(again, now));
  finish();
  EXPECT_EQ(replies.back().header.order, 0u) << "it has its number from then";
  ASSERT_TRUE(worker.accept(actor_call(2), now));
  finish();
  EXPECT_EQ(replies.back().header.order, 41u);
  ASSERT_TRUE(worker.accept(actor_call(1, other), now));
  finish();
  EXPECT_EQ(replies.back().header.order, 42u);
  wire::CallHeader save = actor_call(3);
  save.flags = wire::call_saves;
  ASSERT_TRUE(worker.accept(save, now));
  finish();
  EXPECT_EQ(replies.back().header.order, 42u) << "the last call that is in the state";
  const auto told = take<wire::CallsSaved>();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].first, caller) << "its owner, which knows of its own calls";
  EXPECT_EQ(told[0].second.calls, std::vector<RefId>{actor_call(1, other).result()});
  // One that was stopped is nothing to repeat.
  ASSERT_TRUE(worker.accept(actor_call(4), now));
  worker.stop(current(), true, now);
  finish();
  EXPECT_EQ(last(), wire::ReplyKind::cancelled);
  EXPECT_EQ(replies.back().header.order, 0u);
}

TEST_F(WorkerTest, CallsOfAnotherIncarnationAreRefusedUnstarted) {
  wire::CallHeader call = actor_call(1);
  EXPECT_FALSE(worker.accept(call, now)) << "no actor lives here";
  EXPECT_EQ(last(), wire::ReplyKind::not_started);
  become_actor();
  call.incarnation = 2;
  EXPECT_FALSE(worker.accept(call, now));
  EXPECT_EQ(last(), wire::ReplyKind::not_started);
}

TEST_F(WorkerTest, AConstructorThatFailsLeavesNoActor) {
  ASSERT_TRUE(worker.accept(creation(), now));
  worker.finish(current(), wire::ReplyKind::error, wire::encode_error({}).span(), {}, now);
  EXPECT_FALSE(worker.has_actor());
}

TEST_F(WorkerTest, EndingTheActorGivesTheLeaseBack) {
  become_actor();
  worker.on_message(caller, wire::EndActor{creation().actor(), 2, {node, 9}}, now);
  EXPECT_EQ(destroyed, 0) << "another incarnation was meant";
  worker.on_message(caller, wire::EndActor{creation().actor(), 1, {node, 9}}, now);
  EXPECT_EQ(destroyed, 1);
  ASSERT_EQ(take<wire::LeaseReleased>().size(), 1u);
  EXPECT_TRUE(worker.accept(task(), now)) << "the process serves again";
  finish();
}

TEST_F(WorkerTest, ALeaseWhoseOwnerDiedIsGivenUpAfterTheRunningCall) {
  ASSERT_TRUE(worker.accept(task(), now));
  worker.on_message(node_process(node), wire::LeaseRevoke{{node, 9}, caller}, now);
  EXPECT_EQ(stops, 1);
  EXPECT_TRUE(take<wire::LeaseReleased>().empty());
  finish();
  EXPECT_EQ(take<wire::LeaseReleased>().size(), 1u);
  EXPECT_FALSE(worker.accept(task(2), now)) << "what was queued of it is dropped";
}

TEST_F(WorkerTest, AnActorWhoseOwnerDiedEnds) {
  become_actor();
  worker.on_message(node_process(node), wire::LeaseRevoke{{node, 9}, caller}, now);
  EXPECT_EQ(destroyed, 1);
  EXPECT_EQ(take<wire::LeaseReleased>().size(), 1u);
}

TEST_F(WorkerTest, TheDeathOfTheCallerStopsTheCall) {
  ASSERT_TRUE(worker.accept(task(), now));
  worker.on_process_died(other, now);
  EXPECT_EQ(stops, 0);
  worker.on_process_died(caller, now);
  EXPECT_EQ(stops, 1);
  finish();
}

TEST_F(WorkerTest, RetiresOnlyWhenNobodyNeedsWhatItOwns) {
  const RefHandle ref = owner.put({});
  worker.on_message(node_process(node), wire::Retire{}, now);
  EXPECT_EQ(exits, 0);
  EXPECT_EQ(take<wire::StayAlive>().size(), 1u);
  owner.release(ref, now);
  worker.on_message(node_process(node), wire::Retire{}, now);
  EXPECT_EQ(exits, 1);
  EXPECT_FALSE(worker.ready());
  EXPECT_FALSE(worker.accept(task(), now)) << "a call that crossed it";
  EXPECT_EQ(last(), wire::ReplyKind::not_started);
}

TEST_F(WorkerTest, AnActorsHomeDoesNotRetire) {
  become_actor();
  worker.on_message(node_process(node), wire::Retire{}, now);
  EXPECT_EQ(exits, 0);
}

// ---- several calls at once

TEST_F(WorkerTest, AnActorRunsAsManyCallsAsItAllows) {
  ASSERT_TRUE(worker.accept(creation(), now));
  worker.set_manners({.max_concurrency = 2, .groups = {}});
  finish();
  replies.clear();
  RunningCall* first = worker.accept(actor_call(1), now);
  EXPECT_TRUE(worker.ready());
  RunningCall* second = worker.accept(actor_call(2), now);
  EXPECT_FALSE(worker.ready());
  worker.finish(*second, wire::ReplyKind::value_inline, {}, {}, now);
  worker.finish(*first, wire::ReplyKind::value_inline, {}, {}, now);
  ASSERT_EQ(replies.size(), 2u);
  EXPECT_EQ(replies[0].header.index, 62u);
  EXPECT_TRUE(worker.ready());
}

TEST_F(WorkerTest, GroupsHaveRoomOfTheirOwn) {
  ASSERT_TRUE(worker.accept(creation(), now));
  worker.set_manners({.max_concurrency = 1, .groups = {{7, 1}}});
  finish();
  wire::CallHeader grouped = actor_call(1), later = actor_call(3);
  grouped.group = later.group = 7;
  ASSERT_TRUE(worker.accept(grouped, now));
  EXPECT_FALSE(worker.room(later));
  EXPECT_TRUE(worker.room(actor_call(2)));
  RunningCall* plain = worker.accept(actor_call(4), now);  // passes the one that waits for its group
  ASSERT_NE(plain, nullptr);
  finish();
  finish();
  EXPECT_TRUE(worker.room(later));
  EXPECT_TRUE(worker.accept(later, now)) << "not taken for one that has come before";
  wire::CallHeader unknown = actor_call(9);
  unknown.group = 8;
  EXPECT_FALSE(worker.accept(unknown, now));
  EXPECT_EQ(last(), wire::ReplyKind::error);
}

TEST_F(WorkerTest, AnActorLendsItsCpuOnlyWhileAllItsCallsWait) {
  ASSERT_TRUE(worker.accept(creation(), now));
  worker.set_manners({.max_concurrency = 2, .groups = {}});
  finish();
  RunningCall* first = worker.accept(actor_call(1), now);
  RunningCall* second = worker.accept(actor_call(2), now);
  worker.block(*first);
  EXPECT_TRUE(take<wire::Blocked>().empty());
  worker.block(*second);
  EXPECT_EQ(take<wire::Blocked>().size(), 1u);
  worker.unblock(*first);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_FALSE(take<wire::Blocked>()[0].second.blocked);
}

TEST_F(WorkerTest, ARecycledWorkerSaysSoBeforeItsReplyAndEndsOnceItIsFree) {
  ASSERT_TRUE(worker.accept(task(), now));
  wire::Value stored;
  const RefHandle kept = owner.put(std::move(stored));
  worker.recycle(current());
  finish();
  const auto told = take<wire::Recycle>();
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].first, caller);
  EXPECT_EQ(told[1].first, node_process(node));
  EXPECT_FALSE(worker.ready());
  EXPECT_FALSE(worker.accept(task(2), now));
  EXPECT_EQ(last(), wire::ReplyKind::not_started);
  EXPECT_EQ(exits, 0);  // somebody may still need what it owns
  owner.release(kept, now);
  worker.after_owner_step(now);
  EXPECT_EQ(exits, 1);
}

TEST_F(WorkerTest, AnActorThatExitsAnswersFirstAndRefusesTheRest) {
  ASSERT_TRUE(worker.accept(creation(), now));
  worker.set_manners({.max_concurrency = 2, .groups = {}});
  finish();
  RunningCall* first = worker.accept(actor_call(1), now);
  RunningCall* second = worker.accept(actor_call(2), now);
  worker.exit_actor(*first);
  worker.finish(*first, wire::ReplyKind::value_inline, {}, {}, now);
  EXPECT_FALSE(worker.accept(actor_call(3), now));
  EXPECT_EQ(last(), wire::ReplyKind::not_started);
  EXPECT_EQ(destroyed, 0);
  worker.finish(*second, wire::ReplyKind::value_inline, {}, {}, now);
  EXPECT_EQ(destroyed, 1);
  EXPECT_EQ(take<wire::ActorExited>().size(), 1u);
  EXPECT_EQ(take<wire::LeaseReleased>().size(), 1u);
}

TEST_F(WorkerTest, ItemsAreNumberedAndThoseOfAnEarlierAttemptAreNotSent) {
  wire::CallHeader header = task();
  header.first_item = 2;
  ASSERT_TRUE(worker.accept(header, now));
  for (int i = 0; i < 4; ++i) worker.item(current(), wire::ReplyKind::item_inline, {}, {});
  ASSERT_EQ(replies.size(), 2u);
  EXPECT_EQ(replies[0].header.item, 2u);
  EXPECT_EQ(current().consumed, 2u);
  worker.on_message(caller, wire::StreamConsumed{1, 1, 1, 3}, now);
  EXPECT_EQ(current().consumed, 3u);
  finish();
  EXPECT_EQ(replies.back().header.item, 4u);
}

TEST_F(WorkerTest, ACancellationMayLeaveTheChildrenAlone) {
  ASSERT_TRUE(worker.accept(task(), now));
  const RefHandle child = owner.submit({.function = {1, 1}}, now);
  worker.on_message(caller, wire::CancelCall{1, 1, 1, false}, now);
  EXPECT_EQ(stops, 1);
  EXPECT_EQ(owner.view(child).state, RefState::pending);
  finish();
  EXPECT_EQ(last(), wire::ReplyKind::cancelled);
  owner.release(child, now);
}

// ---- waits

TEST_F(WorkerTest, ALastingWaitIsFollowedAndOneThatComesBackEnds) {
  become_actor();
  ASSERT_TRUE(worker.accept(actor_call(1), now));
  const RefHandle ref = owner.borrow({other, 3, 1}, false);
  worker.wait_begins(current(), ref, true, now);
  now += std::chrono::milliseconds(999);
  worker.on_timer(now);
  EXPECT_TRUE(take<wire::WaitProbe>().empty());
  now += std::chrono::milliseconds(1);
  worker.on_timer(now);
  const auto sent = take<wire::WaitProbe>();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].first, other);
  wire::WaitProbe probe = sent[0].second;
  EXPECT_EQ(probe.stage, wire::WaitStage::at_owner);
  EXPECT_EQ(probe.ref, (RefId{other, 3, 1}));
  // The other process waits for a call that queues here, behind the one that waits.
  probe.stage = wire::WaitStage::at_worker;
  probe.hops.push_back({{caller, 1, 1}, {node, 9, 1}, "g"});
  probe.ref = {other, 8, 1};
  worker.on_message(other, probe, now);
  ASSERT_EQ(deadlocks.size(), 1u);
  EXPECT_EQ(deadlocks[0].code, ErrorCode::would_deadlock);
  worker.on_message(other, probe, now);
  EXPECT_EQ(deadlocks.size(), 1u) << "it gave way already";
  owner.release(ref, now);
}

TEST_F(WorkerTest, OnlyTheGreatestOfACycleGivesWay) {
  become_actor();
  ASSERT_TRUE(worker.accept(actor_call(1), now));
  const RefHandle ref = owner.borrow({other, 3, 1}, false);
  worker.wait_begins(current(), ref, true, now);
  now += std::chrono::seconds(1);
  worker.on_timer(now);
  wire::WaitProbe probe = take<wire::WaitProbe>().at(0).second;
  probe.stage = wire::WaitStage::at_worker;
  probe.hops.push_back({{{node, 1000, 1}, 1, 1}, {node, 9, 1}, "g"});  // a greater name
  probe.ref = {other, 8, 1};
  worker.on_message(other, probe, now);
  EXPECT_TRUE(deadlocks.empty());
  owner.release(ref, now);
}

TEST_F(WorkerTest, AProbeOfAWaitThatHasEndedIsNoDeadlock) {
  become_actor();
  ASSERT_TRUE(worker.accept(actor_call(1), now));
  const RefHandle ref = owner.borrow({other, 3, 1}, false);
  worker.wait_begins(current(), ref, true, now);
  now += std::chrono::seconds(1);
  worker.on_timer(now);
  wire::WaitProbe probe = take<wire::WaitProbe>().at(0).second;
  worker.wait_ends(current());
  worker.wait_begins(current(), ref, true, now);  // another wait, perhaps for something else
  probe.stage = wire::WaitStage::at_worker;
  probe.ref = {other, 8, 1};
  worker.on_message(other, probe, now);
  EXPECT_TRUE(deadlocks.empty());
  owner.release(ref, now);
}

struct WorkerWaits : WorkerTest {
  /// A call of an actor that waits for so many of two refs, and the probes of its first round.
  std::vector<wire::WaitProbe> wait_for(std::size_t needed) {
    become_actor();
    EXPECT_TRUE(worker.accept(actor_call(1), now));
    refs = {owner.borrow({other, 3, 1}, false), owner.borrow({other, 4, 1}, false)};
    worker.wait_begins(current(), refs, needed, true, now);
    return round();
  }
  std::vector<wire::WaitProbe> round() {
    now += std::chrono::seconds(1);
    worker.on_timer(now);
    std::vector<wire::WaitProbe> probes;
    for (const auto& [to, probe] : take<wire::WaitProbe>()) probes.push_back(probe);
    return probes;
  }
  void comes_back(wire::WaitProbe probe) {
    probe.stage = wire::WaitStage::at_worker;
    probe.hops.push_back({{caller, 1, 1}, {node, 9, 1}, "g"});
    probe.ref = {other, 8, 1};
    worker.on_message(other, probe, now);
  }
  ~WorkerWaits() override {
    for (const RefHandle ref : refs) owner.release(ref, now);
  }
  std::vector<RefHandle> refs;
};

TEST_F(WorkerWaits, OneThatNeverComesIsEnoughWhereAllAreNeeded) {
  const auto probes = wait_for(2);
  ASSERT_EQ(probes.size(), 2u);
  EXPECT_EQ(probes[0].ref, (RefId{other, 3, 1}));
  EXPECT_EQ(probes[1].ref, (RefId{other, 4, 1}));
  comes_back(probes[1]);
  EXPECT_EQ(deadlocks.size(), 1u);
}

TEST_F(WorkerWaits, WhereOneOfSeveralDoesAllHaveToBeStuckAtOneTime) {
  auto probes = wait_for(1);
  ASSERT_EQ(probes.size(), 2u);
  comes_back(probes[0]);
  comes_back(probes[0]);
  EXPECT_TRUE(deadlocks.empty()) << "the other one may come";
  probes = round();
  comes_back(probes[1]);
  EXPECT_TRUE(deadlocks.empty()) << "that the first one is stuck was true a second ago";
  comes_back(probes[0]);
  EXPECT_EQ(deadlocks.size(), 1u);
}

TEST_F(WorkerWaits, ACallThatCanDoWithoutSomeIsNoStepOfAnotherOnesChain) {
  wait_for(1);
  wire::WaitProbe probe;
  probe.stage = wire::WaitStage::at_worker;
  probe.origin = {other, 5, 1};
  probe.origin_process = other;
  probe.hops.push_back({{other, 5, 1}, other, "h"});
  probe.ref = {other, 8, 1};  // queues here behind the call that waits
  worker.on_message(other, probe, now);
  EXPECT_TRUE(take<wire::WaitProbe>().empty());
}

TEST_F(WorkerWaits, AStreamWhoseItemIsOnItsWayIsNoReasonToWaitForEver) {
  wait_for(2);
  wire::WaitProbe probe;
  probe.stage = wire::WaitStage::at_worker;
  probe.origin = {other, 5, 1};
  probe.origin_process = other;
  probe.hops.push_back({{other, 5, 1}, other, "h"});
  probe.ref = current().header.result();
  current().items = 3;
  probe.items = 2;
  worker.on_message(other, probe, now);
  EXPECT_TRUE(take<wire::WaitProbe>().empty());
  probe.items = 3;
  worker.on_message(other, probe, now);
  EXPECT_EQ(take<wire::WaitProbe>().size(), 2u);
}

}  // namespace
}  // namespace mobula
