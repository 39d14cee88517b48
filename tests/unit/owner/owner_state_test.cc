// The log and the checkpoints of actors that keep their state.
#include "tests/unit/owner/owner_fixture.h"

namespace mobula {
namespace {

struct OwnerState : OwnerFixture {
  RefHandle create(std::uint32_t every, Duration period = {}, std::int32_t call_retries = 0) {
    ActorSpec spec;
    spec.constructor = {1, 2};
    spec.options = {.max_restarts = -1,
                    .max_call_retries = call_retries,
                    .keeps_state = true,
                    .checkpoint_every = every,
                    .checkpoint_period = period};
    const RefHandle actor = owner.create_actor(std::move(spec), now);
    place(worker_a);
    value(calls.back(), 0);
    return actor;
  }
  void place(const ProcessId& worker) {
    const auto requests = take<wire::LeaseRequest>();
    ASSERT_EQ(requests.size(), 1u);
    grant(worker, requests[0].second.tag);
    begun.insert(tickets);
  }
  /// A call that was answered, in this place of the order in which calls ran.
  void answered(RefHandle actor, std::uint64_t number, std::uint64_t order) {
    TaskSpec spec;
    spec.function = {1, 3};
    spec.args = number_bytes(number);
    const RefHandle result = owner.call(actor, std::move(spec), now);
    begun.insert(tickets);
    reply_in_order(calls.back(), order);
    release(result);
  }
  void reply_in_order(const Sent& call, std::uint64_t order, std::uint64_t number = 0) {
    wire::ReplyHeader header;
    header.index = call.header.index;
    header.generation = call.header.generation;
    header.attempt = call.header.attempt;
    header.order = order;
    const Bytes payload = number_bytes(number);
    header.bytes = static_cast<std::uint32_t>(payload.size());
    owner.on_reply(call.to, header, payload.span(), {}, now);
  }
  static bool saves(const Sent& call) { return (call.header.flags & wire::call_saves) != 0; }
  static bool replays(const Sent& call) { return (call.header.flags & wire::call_replays) != 0; }
  std::vector<Sent> sent_since(std::size_t first) {
    return {calls.begin() + static_cast<std::ptrdiff_t>(first), calls.end()};
  }
};

TEST_F(OwnerState, AfterADeathTheConstructorRunsAndThenWhatWasAnsweredInOrder) {
  const RefHandle actor = create(100);
  EXPECT_EQ(calls[0].header.flags & wire::call_logged, wire::call_logged);
  for (std::uint64_t i = 1; i <= 3; ++i) answered(actor, 10 * i, i);
  const RefHandle in_flight = owner.call(actor, {.function = {1, 3}}, now);
  begun.insert(tickets);
  const std::size_t before = calls.size();
  dies(worker_a);
  EXPECT_EQ(error(in_flight).code, ErrorCode::actor_died);
  place(worker_b);
  ASSERT_EQ(calls.size(), before + 1);
  EXPECT_EQ(calls.back().header.sequence, 3u) << "the numbers go on";
  EXPECT_EQ(calls.back().header.deps, 0u) << "there is no checkpoint";
  const RefHandle later = owner.call(actor, {.function = {1, 3}}, now);
  value(calls.back(), 0);
  ASSERT_EQ(calls.size(), before + 4) << "the later call waits for the repeated ones";
  for (std::uint64_t i = 1; i <= 3; ++i) {
    const Sent& again = calls[before + i];
    EXPECT_TRUE(replays(again));
    EXPECT_EQ(again.args, number_bytes(10 * i));
    EXPECT_EQ(again.to, worker_b);
  }
  for (std::size_t i = 1; i <= 3; ++i) reply_in_order(Sent(calls[before + i]), 0);
  ASSERT_EQ(calls.size(), before + 5);
  EXPECT_FALSE(replays(calls.back()));
  reply_in_order(calls.back(), 4, 7);
  EXPECT_EQ(number(later), 7u);
  for (const RefHandle ref : {actor, in_flight, later}) release(ref);
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerState, ACheckpointCutsTheLogAndIsLoadedAfterADeath) {
  const RefHandle actor = create(2);
  answered(actor, 1, 1);
  EXPECT_FALSE(saves(calls.back()));
  answered(actor, 2, 2);
  ASSERT_TRUE(saves(calls.back()));
  EXPECT_EQ(calls.back().header.function, (FunctionId{1, 2})) << "the class that is saved";
  const Sent save = calls.back();
  answered(actor, 3, 3);  // while the state is on its way
  reply_in_order(save, 2, 77);
  dies(worker_a);
  place(worker_b);
  const Sent creation = calls.back();
  EXPECT_NE(creation.header.flags & wire::call_restores, 0);
  ASSERT_EQ(creation.deps.size(), 1u);
  EXPECT_EQ(creation.deps[0].second, number_bytes(77));
  value(creation, 0);
  EXPECT_TRUE(replays(calls.back()));
  EXPECT_EQ(calls.back().args, number_bytes(3)) << "the first two are in the checkpoint";
  release(actor);
}

TEST_F(OwnerState, ALargeCheckpointOfAnActorOnThisNodeGetsACopyOffIt) {
  const RefHandle actor = create(1);
  answered(actor, 1, 1);
  ASSERT_TRUE(saves(calls.back()));
  const wire::ObjectLocation state{here, 64, 100'000, 1};
  wire::ReplyHeader header;
  header.kind = wire::ReplyKind::value_object;
  header.index = calls.back().header.index;
  header.generation = calls.back().header.generation;
  header.attempt = calls.back().header.attempt;
  header.order = 1;
  const Bytes payload = wire::encode_location(state);
  header.bytes = static_cast<std::uint32_t>(payload.size());
  owner.on_reply(worker_a, header, payload.span(), {}, now);
  const auto wanted = take<wire::WantCopies>();
  ASSERT_EQ(wanted.size(), 1u);
  EXPECT_EQ(wanted[0].second.location, state);
  EXPECT_EQ(wanted[0].second.copies, 2u);
  owner.on_message(node_process(there), wire::AddCopy{wanted[0].second.ref, {there, 1, 100'000, 1}}, now);
  release(actor);
  EXPECT_EQ(take<wire::FreeObject>().size(), 2u);
}

TEST_F(OwnerState, TimeAloneBringsACheckpoint) {
  const RefHandle actor = create(0, milliseconds(50));
  answered(actor, 1, 1);
  now += milliseconds(49);
  owner.on_timer(now);
  EXPECT_FALSE(saves(calls.back()));
  EXPECT_LE(owner.next_timer(), Time{} + milliseconds(50));
  now += milliseconds(1);
  owner.on_timer(now);
  EXPECT_TRUE(saves(calls.back()));
  reply_in_order(calls.back(), 1, 5);
  const std::size_t before = calls.size();
  now += milliseconds(500);
  owner.on_timer(now);
  EXPECT_EQ(calls.size(), before) << "nothing was answered since";
  release(actor);
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerState, ACheckpointThatIsLostWithItsWorkerLeavesTheLog) {
  const RefHandle actor = create(1);
  answered(actor, 5, 1);
  ASSERT_TRUE(saves(calls.back()));
  dies(worker_a);
  place(worker_b);
  EXPECT_EQ(calls.back().header.flags & wire::call_restores, 0);
  value(calls.back(), 0);
  EXPECT_TRUE(replays(calls.back()));
  EXPECT_EQ(calls.back().args, number_bytes(5));
  // It dies again while it resumes: once more from the beginning.
  dies(worker_b);
  place(worker_a);
  value(calls.back(), 0);
  EXPECT_TRUE(replays(calls.back()));
  EXPECT_EQ(calls.back().args, number_bytes(5));
  release(actor);
  reply_in_order(calls.back(), 0);
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerState, ACallOfAnotherProcessIsLoggedBeforeItsCallerGoesOn) {
  const RefHandle actor = create(100);
  const ActorId name = as_actor(owner.id(actor));
  owner.on_message(stranger, wire::ActorLocate{name, 0}, now);
  const auto at = take<wire::ActorAt>();
  ASSERT_EQ(at.size(), 1u);
  EXPECT_TRUE(at[0].second.logged);
  wire::LogCall call;
  call.actor = name;
  call.incarnation = 1;
  call.order = 2;
  call.call = {stranger, 4, 1};
  call.attempt = 1;
  call.function = {1, 3};
  call.args = number_bytes(20);
  call.contained = {{worker_b, 8, 1}};
  owner.on_message(stranger, call, now);
  EXPECT_TRUE(take<wire::CallLogged>().empty()) << "the owner of the ref inside does not know of us yet";
  owner.on_message(worker_b, wire::BorrowAck{{worker_b, 8, 1}, true}, now);
  const auto logged = take<wire::CallLogged>();
  ASSERT_EQ(logged.size(), 1u);
  EXPECT_TRUE(logged[0].second.accepted);
  answered(actor, 10, 1);  // ran first, and came later
  dies(worker_a);
  place(worker_b);
  const std::size_t before = calls.size();
  value(calls.back(), 0);
  const auto again = sent_since(before);
  ASSERT_EQ(again.size(), 2u);
  EXPECT_EQ(again[0].args, number_bytes(10));
  EXPECT_EQ(again[1].args, number_bytes(20));
  // Of the life that has ended nothing is taken any more.
  call.order = 3;
  call.call.index = 5;
  owner.on_message(stranger, call, now);
  const auto refused = take<wire::CallLogged>();
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_FALSE(refused[0].second.accepted);
  owner.kill(actor, now);
  release(actor);
  EXPECT_EQ(take<wire::DropBorrow>().size(), 1u);
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerState, ACallWhoseEffectWasSavedButNotItsAnswerIsNotRepeated) {
  const RefHandle actor = create(1, {}, -1);
  const ActorId name = as_actor(owner.id(actor));
  answered(actor, 1, 1);
  const Sent save = calls.back();
  owner.on_message(worker_a, wire::CallsSaved{name, 1, {{stranger, 4, 1}, {stranger, 5, 1}}}, now);
  reply_in_order(save, 3, 9);
  // One of them told of its answer in time.
  wire::LogCall call;
  call.actor = name;
  call.incarnation = 1;
  call.order = 3;
  call.call = {stranger, 5, 1};
  owner.on_message(stranger, call, now);
  EXPECT_TRUE(take<wire::CallLogged>().at(0).second.accepted);
  dies(worker_a);
  owner.on_message(stranger, wire::ActorLocate{name, 1}, now);
  place(worker_b);
  value(calls.back(), 0);
  const auto at = take<wire::ActorAt>();
  ASSERT_EQ(at.size(), 1u);
  EXPECT_EQ(at[0].second.answered, (std::vector<RefId>{{stranger, 4, 1}}));
  release(actor);
}

TEST_F(OwnerState, ACallerHoldsTheAnswerBackUntilTheOwnerHasLoggedTheCall) {
  const ActorId name{stranger, 3, 1};
  const RefHandle actor = owner.adopt_actor(name);
  wire::ActorAt at{name, 2, worker_a, {here, 9}, 1, 0, false, true, {}};
  owner.on_message(stranger, at, now);
  const RefHandle result = owner.call(actor, {.function = {1, 3}}, now);
  begun.insert(tickets);
  const Sent first = calls.back();
  reply_in_order(first, 6, 42);
  EXPECT_EQ(owner.view(result).state, RefState::pending);
  const auto told = take<wire::LogCall>();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].first, stranger);
  EXPECT_EQ(told[0].second.order, 6u);
  EXPECT_EQ(told[0].second.incarnation, 2u);
  // Refused: that life has ended, and the call is made again in the next one.
  owner.on_message(stranger, wire::CallLogged{told[0].second.call, 1, false}, now);
  dies(worker_a);
  at.incarnation = 3;
  at.worker = worker_b;
  owner.on_message(stranger, at, now);
  EXPECT_EQ(calls.back().to, worker_b);
  EXPECT_EQ(calls.back().header.attempt, 2u);
  reply_in_order(calls.back(), 7, 43);
  owner.on_message(stranger, wire::CallLogged{told[0].second.call, 2, true}, now);
  EXPECT_EQ(number(result), 43u);
  // Its effect is in the state of the next life: it fails, and says so.
  const RefHandle lost = owner.call(actor, {.function = {1, 3}}, now);
  begun.insert(tickets);
  dies(worker_b);
  at.incarnation = 4;
  at.worker = worker_a;
  at.answered = {owner.id(lost)};
  owner.on_message(stranger, at, now);
  EXPECT_EQ(error(lost).code, ErrorCode::actor_died);
  EXPECT_EQ(error(lost).message,
            "the actor died with the result: the call ran, and what it did is in the actor's state");
  for (const RefHandle ref : {result, lost}) release(ref);
}

}  // namespace
}  // namespace mobula
