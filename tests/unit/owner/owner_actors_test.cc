#include "tests/unit/owner/owner_fixture.h"

namespace mobula {
namespace {

struct OwnerActors : OwnerFixture {
  RefHandle create(ActorOptions options = {}) {
    ActorSpec spec;
    spec.constructor = {1, 2};
    spec.options = std::move(options);
    return owner.create_actor(std::move(spec), now);
  }
  RefHandle call(RefHandle actor, std::vector<RefHandle> deps = {}) {
    TaskSpec spec;
    spec.function = {1, 3};
    spec.deps = std::move(deps);
    return owner.call(actor, std::move(spec), now);
  }
  LeaseId grant_actor(const ProcessId& worker) {
    const auto requests = take<wire::LeaseRequest>();
    EXPECT_EQ(requests.size(), 1u);
    EXPECT_TRUE(requests.at(0).second.dedicated);
    return grant(worker, requests.at(0).second.tag);
  }
  /// Created and alive on worker_a; the constructor was calls[0].
  RefHandle living(ActorOptions options = {}) {
    const RefHandle actor = create(std::move(options));
    lease = grant_actor(worker_a);
    begun.insert(tickets);
    value(calls.back(), 0);
    return actor;
  }
  LeaseId lease;
};

TEST_F(OwnerActors, CallsWaitForTheConstructorAndKeepTheirOrder) {
  const RefHandle actor = create();
  const RefHandle first = call(actor);
  const RefHandle second = call(actor);
  grant_actor(worker_a);
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].header.kind, wire::CallKind::actor_create);
  EXPECT_EQ(calls[0].header.incarnation, 1u);
  value(calls[0], 0);
  ASSERT_EQ(calls.size(), 3u);
  EXPECT_EQ(calls[1].header.index, owner.id(first).index);
  EXPECT_LT(calls[1].header.sequence, calls[2].header.sequence);
  EXPECT_EQ(calls[1].header.actor(), as_actor(owner.id(actor)));
  value(calls[1], 1);
  value(calls[2], 2);
  EXPECT_EQ(number(second), 2u);
  for (const RefHandle ref : {actor, first, second}) release(ref);
  EXPECT_EQ(take<wire::EndActor>().size(), 1u);
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerActors, ACallWhoseArgumentIsNotThereHoldsBackLaterOnes) {
  const RefHandle actor = living();
  const RefHandle argument = submit();
  const RefHandle first = call(actor, {argument});
  const RefHandle second = call(actor);
  EXPECT_EQ(calls.size(), 1u);
  grant(worker_b);
  value(calls[1], 7);
  ASSERT_EQ(calls.size(), 4u);
  EXPECT_EQ(calls[2].header.index, owner.id(first).index);
  EXPECT_EQ(calls[3].header.index, owner.id(second).index);
  for (const RefHandle ref : {actor, argument, first, second}) release(ref);
}

TEST_F(OwnerActors, DroppingTheHandleEndsTheActorAfterItsCalls) {
  const RefHandle actor = living();
  const RefHandle result = call(actor);
  release(actor);
  EXPECT_TRUE(take<wire::EndActor>().empty()) << "a call is in flight";
  value(calls[1], 1);
  const auto ends = take<wire::EndActor>();
  ASSERT_EQ(ends.size(), 1u);
  EXPECT_EQ(ends[0].first, worker_a);
  EXPECT_EQ(ends[0].second.lease, lease);
  release(result);
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerActors, DroppedBeforeItWasCreatedItEndsAsSoonAsItIs) {
  const RefHandle actor = create();
  const auto request = take<wire::LeaseRequest>();
  release(actor);
  ASSERT_EQ(take<wire::LeaseCancel>().size(), 1u);
  EXPECT_EQ(owner.counts(), Owner::Counts{});
  const LeaseId late = grant(worker_a, request.at(0).second.tag);
  ASSERT_EQ(take<wire::LeaseReturn>().size(), 1u) << "the grant crossed the cancellation";
  (void)late;

  const RefHandle second = create();
  grant_actor(worker_a);
  release(second);
  EXPECT_TRUE(take<wire::EndActor>().empty()) << "its constructor runs";
  value(calls[0], 0);
  EXPECT_EQ(take<wire::EndActor>().size(), 1u);
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerActors, ACallInFlightAtTheDeathFailsAndSaysWhatDied) {
  const RefHandle actor = living();
  const RefHandle in_flight = call(actor);
  begun.insert(tickets);
  dies(worker_a);
  const Error end = error(in_flight);
  EXPECT_EQ(end.code, ErrorCode::actor_died);
  EXPECT_EQ(end.signal, 9);
  EXPECT_EQ(end.message, "the actor died with the call in flight: it may have run, fully or in part");
  ASSERT_EQ(end.causes.size(), 1u);
  EXPECT_EQ(end.causes[0].message, "the actor's worker died: process 77 was killed by SIGKILL");
  const RefHandle later = call(actor);
  EXPECT_EQ(error(later).message, "the actor is gone, so the call was not run");
  for (const RefHandle ref : {actor, in_flight, later}) release(ref);
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerActors, ARestartRunsTheConstructorAgainAndServesWhatWaited) {
  const RefHandle actor = living({.max_restarts = 1});
  const RefHandle in_flight = call(actor);
  begun.insert(tickets);
  const RefHandle queued = call(actor);  // sent, but not begun
  dies(worker_a);
  EXPECT_EQ(error(in_flight).code, ErrorCode::actor_died);
  EXPECT_EQ(owner.view(queued).state, RefState::pending);
  grant_actor(worker_b);
  const Sent creation = calls.back();
  EXPECT_EQ(creation.header.kind, wire::CallKind::actor_create);
  EXPECT_EQ(creation.header.incarnation, 2u);
  begun.insert(tickets);
  value(creation, 0);
  EXPECT_EQ(calls.back().to, worker_b);
  EXPECT_EQ(calls.back().header.index, owner.id(queued).index);
  EXPECT_EQ(calls.back().header.incarnation, 2u);
  dies(worker_b);
  EXPECT_EQ(error(queued).code, ErrorCode::actor_died) << "no restart is left";
  for (const RefHandle ref : {actor, in_flight, queued}) release(ref);
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerActors, CallsWithRetriesRunAgainInTheNextIncarnationInOrder) {
  const RefHandle actor = living({.max_restarts = 1, .max_call_retries = 1});
  const RefHandle first = call(actor);
  const RefHandle second = call(actor);
  begun.insert({tickets - 1, tickets});
  dies(worker_a);
  grant_actor(worker_b);
  value(calls.back(), 0);
  const std::size_t last = calls.size() - 1;
  EXPECT_EQ(calls[last - 1].header.index, owner.id(first).index);
  EXPECT_EQ(calls[last].header.index, owner.id(second).index);
  EXPECT_EQ(calls[last].header.attempt, 2u);
  for (const RefHandle ref : {actor, first, second}) release(ref);
}

TEST_F(OwnerActors, AConstructorThatThrowsIsTheReasonOfAllCalls) {
  const RefHandle actor = create({.max_restarts = 5});
  const RefHandle result = call(actor);
  grant_actor(worker_a);
  fails(calls[0], "no such file");
  EXPECT_EQ(error(result).code, ErrorCode::actor_died);
  EXPECT_EQ(error(result).causes.at(0).message, "the actor's constructor failed");
  EXPECT_EQ(error(result).causes.at(0).causes.at(0).message, "no such file");
  EXPECT_EQ(take<wire::LeaseReturn>().size(), 1u) << "the worker is fine";
  release(actor);
  release(result);
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerActors, KillingIsFinal) {
  const RefHandle actor = living({.max_restarts = -1});
  const RefHandle in_flight = call(actor);
  owner.kill(actor, now);
  ASSERT_EQ(take<wire::LeaseKill>().size(), 1u);
  EXPECT_EQ(error(in_flight).code, ErrorCode::actor_died);
  dies(worker_a);
  EXPECT_TRUE(take<wire::LeaseRequest>().empty());
  release(actor);
  release(in_flight);
}

TEST_F(OwnerActors, OthersAreToldWhereItLivesAndAgainAfterARestart) {
  const RefHandle actor = living({.max_restarts = 1});
  const ActorId name = as_actor(owner.id(actor));
  owner.on_message(stranger, wire::ActorLocate{name, 0}, now);
  auto at = take<wire::ActorAt>();
  ASSERT_EQ(at.size(), 1u);
  EXPECT_EQ(at[0].second.worker, worker_a);
  EXPECT_EQ(at[0].second.incarnation, 1u);
  owner.on_message(stranger, wire::ActorLocate{name, 1}, now);
  EXPECT_TRUE(take<wire::ActorAt>().empty()) << "that one is known, the next is asked for";
  dies(worker_a);
  grant_actor(worker_b);
  value(calls.back(), 0);
  at = take<wire::ActorAt>();
  ASSERT_EQ(at.size(), 1u);
  EXPECT_EQ(at[0].second.worker, worker_b);
  owner.kill(actor, now);
  owner.on_message(stranger, wire::ActorLocate{name, 2}, now);
  EXPECT_EQ(take<wire::ActorGone>().size(), 1u);
  release(actor);
  owner.on_message(stranger, wire::ActorLocate{name, 2}, now);
  EXPECT_EQ(take<wire::ActorGone>().size(), 1u) << "also when nothing of it is left";
}

TEST_F(OwnerActors, ABorrowedHandleAsksOnceAndCallsDirectly) {
  const ActorId name{stranger, 5, 1};
  const RefHandle actor = owner.borrow(name.ref(), true);
  const RefHandle first = call(actor);
  const RefHandle second = call(actor);
  ASSERT_EQ(take<wire::ActorLocate>().size(), 1u);
  EXPECT_TRUE(calls.empty());
  owner.on_message(stranger, wire::ActorAt{name, 3, worker_b, {here, 50}, 0}, now);
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[0].to, worker_b);
  EXPECT_EQ(calls[0].header.incarnation, 3u);
  value(calls[0], 1);
  begun.insert(2);
  dies(worker_b);
  EXPECT_EQ(error(second).code, ErrorCode::actor_died);
  const RefHandle third = call(actor);
  const auto asked = take<wire::ActorLocate>();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].second.known_incarnation, 3u);
  Error gone;
  gone.code = ErrorCode::actor_died;
  owner.on_message(stranger, wire::ActorGone{name, gone}, now);
  EXPECT_EQ(error(third).code, ErrorCode::actor_died);
  for (const RefHandle ref : {actor, first, second, third}) release(ref);
}

// A process dropped its handle and borrowed the actor again. Calls numbered from 1 again would look like duplicates to
// the actor's worker, which knows callers and not handles, and be dropped without an answer.
TEST_F(OwnerActors, ANewHandleOfTheSameActorDoesNotRepeatSequenceNumbers) {
  const ActorId name{stranger, 5, 1};
  std::uint64_t last = 0;
  for (int round = 0; round < 3; ++round) {
    const RefHandle actor = owner.borrow(name.ref(), true);
    const RefHandle result = call(actor);
    owner.on_message(stranger, wire::BorrowAck{name.ref(), true}, now);
    owner.on_message(stranger, wire::ActorAt{name, 1, worker_b, {here, 50}, 0}, now);
    EXPECT_GT(calls.back().header.sequence, last);
    last = calls.back().header.sequence;
    value(calls.back(), 1);
    release(result);
    release(actor);
    EXPECT_EQ(owner.counts().borrowed, 0u);
  }
}

TEST_F(OwnerActors, RefusedForAnOldIncarnationCallsGoToTheNewOneInOrder) {
  const ActorId name{stranger, 5, 1};
  const RefHandle actor = owner.borrow(name.ref(), true);
  const RefHandle first = call(actor);
  const RefHandle second = call(actor);
  owner.on_message(stranger, wire::ActorAt{name, 1, worker_a, {here, 50}, 0}, now);
  reply(calls[0], wire::ReplyKind::not_started, {});
  reply(calls[1], wire::ReplyKind::not_started, {});
  owner.on_message(stranger, wire::ActorAt{name, 2, worker_b, {here, 51}, 0}, now);
  ASSERT_EQ(calls.size(), 4u);
  EXPECT_EQ(calls[2].header.index, owner.id(first).index);
  EXPECT_EQ(calls[3].header.index, owner.id(second).index);
  for (const RefHandle ref : {actor, first, second}) release(ref);
}

TEST_F(OwnerActors, TheOwnersDeathEndsTheActorForBorrowers) {
  const RefHandle actor = owner.borrow({stranger, 5, 1}, true);
  const RefHandle result = call(actor);
  dies(stranger);
  EXPECT_EQ(error(result).code, ErrorCode::actor_died);
  EXPECT_EQ(error(result).causes.at(0).causes.at(0).code, ErrorCode::owner_died);
  release(actor);
  release(result);
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerActors, ACancelledCallIsTakenBackOrStopped) {
  const RefHandle actor = living();
  const RefHandle running = call(actor);
  begun.insert(tickets);
  const RefHandle queued = call(actor);
  owner.cancel(queued, {}, now);
  EXPECT_EQ(error(queued).code, ErrorCode::cancelled);
  owner.cancel(running, {.force = true}, now);
  EXPECT_EQ(take<wire::CancelCall>().size(), 1u);
  EXPECT_TRUE(take<wire::LeaseKill>().empty()) << "force is for tasks: the actor has other callers";
  reply(calls[1], wire::ReplyKind::cancelled, {});
  EXPECT_EQ(error(running).code, ErrorCode::cancelled);
  for (const RefHandle ref : {actor, running, queued}) release(ref);
}

// ---- names

struct OwnerNames : OwnerFixture {
  const wire::ActorName wanted{"", "cache"};
  const wire::ActorName full{"job 7", "cache"};
  std::uint64_t tag = 0;
  RefHandle spawn() {
    ActorSpec spec;
    spec.options.registered = wanted;
    spec.options.type = "Cache";
    return owner.create_named_actor(std::move(spec), tag, now);
  }
  void answer(const ActorId& who, ErrorCode code = ErrorCode::none) {
    wire::NameReply reply{tag, full, who, "Cache", {}, {}};
    reply.error.code = code;
    owner.on_message(node_process(here), reply, now);
  }
};

TEST_F(OwnerNames, AnActorBeginsOnlyWhenItHasItsName) {
  const RefHandle actor = spawn();
  const auto claims = take<wire::ClaimName>();
  ASSERT_EQ(claims.size(), 1u);
  EXPECT_EQ(claims[0].second.actor, as_actor(owner.id(actor)));
  EXPECT_TRUE(take<wire::LeaseRequest>().empty());
  answer(as_actor(owner.id(actor)));
  EXPECT_EQ(take<wire::LeaseRequest>().size(), 1u);
  ASSERT_TRUE(owner.take_name_reply(tag).has_value());
  EXPECT_FALSE(owner.take_name_reply(tag).has_value()) << "once";
  release(actor);
  const auto released = take<wire::ReleaseName>();
  ASSERT_EQ(released.size(), 1u);
  EXPECT_EQ(released[0].second.name, full) << "with the namespace that the answer told";
}

TEST_F(OwnerNames, WhatAHeadDidNotAnswerIsAskedOfTheNextOne) {
  const RefHandle actor = spawn();
  const std::uint64_t looked_for = owner.find_actor(full);
  const wire::GroupId group = owner.create_group({});
  owner.watch_group(group);
  const auto claim = take<wire::ClaimName>();
  const auto find = take<wire::FindName>();
  messages.clear();
  owner.on_message(node_process(here), wire::HeadChanged{there}, now);
  EXPECT_EQ(take<wire::ClaimName>(), claim);
  EXPECT_EQ(take<wire::FindName>(), find);
  EXPECT_EQ(take<wire::WatchGroup>().size(), 1u);
  EXPECT_TRUE(take<wire::CreateGroup>().empty()) << "the node tells of it";
  // Both heads answer.
  wire::NameReply found{looked_for, full, {stranger, 4, 1}, "Cache", {}, {}};
  for (int i = 0; i < 2; ++i) {
    answer(as_actor(owner.id(actor)));
    owner.on_message(node_process(here), found, now);
    owner.on_message(node_process(here), wire::GroupPlaced{group, {here}, {}}, now);
  }
  EXPECT_EQ(take<wire::LeaseRequest>().size(), 1u);
  EXPECT_TRUE(owner.take_name_reply(tag).has_value());
  EXPECT_TRUE(owner.take_name_reply(looked_for).has_value());
  EXPECT_TRUE(owner.take_group(group).has_value());
  owner.on_message(node_process(here), found, now);
  EXPECT_FALSE(owner.take_name_reply(looked_for).has_value()) << "nobody waits for it";
  owner.on_message(node_process(here), wire::HeadChanged{there}, now);
  EXPECT_TRUE(messages.empty()) << "all was answered";
  release(actor);
}

TEST_F(OwnerNames, WithoutAHeadForLongWhoeverWaitsIsToldSo) {
  const RefHandle actor = spawn();
  const std::uint64_t looked_for = owner.find_actor(full);
  const std::uint64_t detached = owner.create_detached({});
  wire::NameReply nobody;
  nobody.error.code = ErrorCode::unavailable;
  owner.on_message(node_process(here), nobody, now);
  for (const std::uint64_t asked : {tag, looked_for, detached}) {
    const auto told = owner.take_name_reply(asked);
    ASSERT_TRUE(told.has_value());
    EXPECT_EQ(told->error.code, ErrorCode::unavailable);
    EXPECT_FALSE(told->actor);
  }
  messages.clear();
  owner.on_message(node_process(here), wire::HeadChanged{there}, now);
  EXPECT_TRUE(messages.empty()) << "nobody waits for an answer";
  // A head that had only stood still answers after all.
  answer(as_actor(owner.id(actor)));
  EXPECT_EQ(take<wire::ReleaseName>().size(), 1u);
  EXPECT_TRUE(take<wire::LeaseRequest>().empty());
  release(actor);
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerNames, WhoLosesTheNameMakesNothingAndReleasesNothing) {
  const RefHandle mine = spawn();
  answer({stranger, 4, 1}, ErrorCode::invalid);
  release(mine);
  EXPECT_TRUE(take<wire::LeaseRequest>().empty());
  EXPECT_TRUE(take<wire::ReleaseName>().empty());
  EXPECT_EQ(owner.counts(), Owner::Counts{});
  const RefHandle theirs = owner.adopt_actor({stranger, 4, 1});
  const auto borrowed = take<wire::AddBorrow>();
  ASSERT_EQ(borrowed.size(), 1u) << "its owner is told at once: nothing else keeps it alive";
  EXPECT_EQ(borrowed[0].first, stranger);
  owner.on_message(stranger, wire::BorrowAck{borrowed[0].second.ref}, now);
  release(theirs);
  EXPECT_EQ(take<wire::DropBorrow>().size(), 1u);
}

// The name would have stayed taken for as long as the process lived.
TEST_F(OwnerNames, ANameThatComesTooLateIsGivenBack) {
  const RefHandle killed = spawn();
  owner.kill(killed, now);
  take<wire::ReleaseName>();
  answer(as_actor(owner.id(killed)));
  EXPECT_EQ(take<wire::ReleaseName>().size(), 1u);
  release(killed);
  const RefHandle dropped = spawn();
  const ActorId name = as_actor(owner.id(dropped));
  release(dropped);
  take<wire::ReleaseName>();
  answer(name);
  EXPECT_EQ(take<wire::ReleaseName>().size(), 1u);
}

// Whoever asked in vain would have taken the name from the actor of its own process that has it.
TEST_F(OwnerNames, ANameOfAnotherActorOfTheSameProcessIsNotGivenBack) {
  const RefHandle first = spawn();
  const ActorId holder = as_actor(owner.id(first));
  answer(holder);
  const RefHandle second = spawn();
  answer(holder, ErrorCode::invalid);
  answer(holder, ErrorCode::invalid);  // two heads were asked
  release(second);
  const RefHandle dropped = spawn();
  release(dropped);
  take<wire::ReleaseName>();
  answer(holder, ErrorCode::invalid);
  EXPECT_TRUE(take<wire::ReleaseName>().empty());
  release(first);
  EXPECT_EQ(take<wire::ReleaseName>().size(), 1u);
}

// ---- explanations

TEST_F(OwnerNames, ATaskThatWaitsSaysForWhatAndAsksTheNodesThatWereAsked) {
  const RefHandle first = submit();
  const RefHandle second = submit({.deps = {first}});
  now += milliseconds(1500);
  const std::uint64_t question = owner.ask_why(second, now);
  EXPECT_FALSE(owner.take_why(question, false).has_value()) << "the node was asked";
  const auto asked = take<wire::Why>();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].first, node_process(here));
  EXPECT_EQ(asked[0].second.owner, driver);
  owner.on_message(node_process(here), wire::WhyAnswer{question, {"  node host: request 1 of 1"}, 0}, now);
  const auto lines = owner.take_why(question, false);
  ASSERT_TRUE(lines.has_value());
  ASSERT_EQ(lines->size(), 3u);
  EXPECT_NE((*lines)[0].find("waits since 1.5 s for 1 of its arguments:"), std::string::npos) << (*lines)[0];
  EXPECT_NE((*lines)[1].find("waits since 1.5 s for a worker with cpu 1"), std::string::npos) << (*lines)[1];
  EXPECT_EQ((*lines)[2], "  node host: request 1 of 1");
  release(first);
  release(second);
}

TEST_F(OwnerNames, WhatIsAskedByNameIsAnsweredToTheAsker) {
  const RefHandle ref = submit();
  owner.on_message(node_process(here), wire::Why{5, stranger, "square", 0, {}}, now);
  const auto answers = take<wire::WhyAnswer>();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].first, stranger);
  EXPECT_EQ(answers[0].second.more, 1u) << "the node, which answers the asker itself";
  ASSERT_EQ(answers[0].second.lines.size(), 1u);
  const auto asked = take<wire::Why>();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].second.asker, stranger);
  owner.on_message(node_process(here), wire::Why{6, stranger, "circle", 0, {}}, now);
  EXPECT_TRUE(take<wire::WhyAnswer>()[0].second.lines.empty());
  release(ref);
}

}  // namespace
}  // namespace mobula
