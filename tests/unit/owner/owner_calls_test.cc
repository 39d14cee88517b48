// What calls may ask for besides running: several results, items, waits between attempts, ways of cancelling; and what
// their workers and actors tell of themselves.
#include "tests/unit/owner/owner_fixture.h"

namespace mobula {
namespace {

struct OwnerCalls : OwnerFixture {
  RefHandle stream(std::uint32_t window, std::int32_t retries = 3) {
    TaskSpec spec;
    spec.stream = true;
    spec.window = window;
    spec.task_class = owner.task_class({.max_retries = retries});
    return submit(std::move(spec));
  }
  std::uint64_t next(RefHandle ref) {
    const RefHandle item = owner.next(ref);
    if (!item) return UINT64_MAX;
    const std::uint64_t value = number(item);
    release(item);
    return value;
  }
  // An actor that lives in worker_a, in its first incarnation.
  RefHandle actor(ActorOptions options) {
    const RefHandle ref = owner.create_actor({.constructor = {1, 2}, .options = std::move(options)}, now);
    const std::uint64_t tag = take<wire::LeaseRequest>().back().second.tag;
    grant(worker_a, tag);
    value(calls.back(), 0);
    return ref;
  }
  RefHandle call(RefHandle to, std::vector<RefHandle> deps = {}) {
    return owner.call(to, {.function = {1, 3}, .deps = std::move(deps)}, now);
  }
};

// ---- several results

TEST_F(OwnerCalls, SeveralResultsEndTogetherAndAreFreedOneByOne) {
  std::vector<RefHandle> more;
  const RefHandle first = owner.submit({.function = {1, 1}, .results = 3}, now, &more);
  ASSERT_EQ(more.size(), 2u);
  grant(worker_a);
  release(more[0]);  // nobody wants that one
  std::vector<std::byte> payload;
  const Bytes values[3]{number_bytes(10), number_bytes(11), number_bytes(12)};
  for (const Bytes& one : values) wire::append_part(payload, {false, 0, one});
  reply(calls[0], wire::ReplyKind::values, Bytes(payload));
  EXPECT_EQ(number(first), 10u);
  EXPECT_EQ(number(more[1]), 12u);
  EXPECT_EQ(owner.counts().owned, 2u);
  release(first);
  EXPECT_EQ(number(more[1]), 12u);
  release(more[1]);
  EXPECT_EQ(owner.counts().owned, 0u);
}

TEST_F(OwnerCalls, SeveralResultsShareAFailureAndACancellation) {
  std::vector<RefHandle> more;
  const RefHandle first = owner.submit({.function = {1, 1}, .results = 2}, now, &more);
  grant(worker_a);
  fails(calls[0], "neither");
  EXPECT_EQ(error(first).message, "neither");
  EXPECT_EQ(error(more[0]).message, "neither");
  std::vector<RefHandle> others;
  const RefHandle second = owner.submit({.function = {1, 1}, .results = 2}, now, &others);
  owner.cancel(others[0], {}, now);  // any of them stands for the task
  EXPECT_EQ(error(second).code, ErrorCode::cancelled);
  EXPECT_EQ(error(others[0]).code, ErrorCode::cancelled);
}

TEST_F(OwnerCalls, AReplyWithTheWrongNumberOfResultsIsAnError) {
  std::vector<RefHandle> more;
  const RefHandle first = owner.submit({.function = {1, 1}, .results = 3}, now, &more);
  grant(worker_a);
  std::vector<std::byte> payload;
  const Bytes one = number_bytes(10);
  wire::append_part(payload, {false, 0, one});
  reply(calls[0], wire::ReplyKind::values, Bytes(payload));
  EXPECT_EQ(error(first).code, ErrorCode::bad_message);
  EXPECT_EQ(error(more[1]).code, ErrorCode::bad_message);
}

// ---- streams

TEST_F(OwnerCalls, ItemsAreReadInOrderAndTheMakerHearsOfIt) {
  const RefHandle ref = stream(4);
  grant(worker_a);
  owner.watch(ref);
  item(calls[0], 0, 100);
  EXPECT_EQ(readied, std::vector{ref});
  item(calls[0], 1, 101);
  EXPECT_EQ(next(ref), 100u);
  EXPECT_TRUE(take<wire::StreamConsumed>().empty());  // half a window at a time
  EXPECT_EQ(next(ref), 101u);
  const auto told = take<wire::StreamConsumed>();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].first, worker_a);
  EXPECT_EQ(told[0].second.consumed, 2u);
  EXPECT_EQ(next(ref), UINT64_MAX);
  item(calls[0], 2, 102);
  value(calls[0], 0);  // the end; what is unread stays
  EXPECT_EQ(next(ref), 102u);
  release(ref);
  EXPECT_EQ(owner.counts().owned, 0u);
}

TEST_F(OwnerCalls, AnAttemptAfterADeathDoesNotDoubleItems) {
  const RefHandle ref = stream(4);
  grant(worker_a);
  item(calls[0], 0, 100);
  item(calls[0], 1, 101);
  EXPECT_EQ(next(ref), 100u);
  begun.insert(1);
  dies(worker_a);
  grant(worker_b);
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[1].header.first_item, 2u);
  item(calls[1], 1, 999);  // it has come before
  item(calls[1], 2, 102);
  item(calls[0], 2, 998);  // of the attempt that ended
  EXPECT_EQ(next(ref), 101u);
  EXPECT_EQ(next(ref), 102u);
  EXPECT_EQ(next(ref), UINT64_MAX);
  release(ref);
}

TEST_F(OwnerCalls, ClosingAStreamCancelsItsCallAndFreesWhatIsUnread) {
  const RefHandle ref = stream(4);
  grant(worker_a);
  begun.insert(1);
  item(calls[0], 0, 100);
  release(ref);
  ASSERT_EQ(take<wire::CancelCall>().size(), 1u);
  item(calls[0], 1, 101, {{stranger, 3, 1}});  // on its way: let go
  EXPECT_EQ(take<wire::ReleaseHeld>().size(), 1u);
  reply(calls[0], wire::ReplyKind::cancelled, {});
  EXPECT_EQ(owner.counts().owned, 0u);
  EXPECT_EQ(owner.counts().tasks, 0u);
}

// ---- attempts

TEST_F(OwnerCalls, AttemptsWaitLongerAndLongerWithJitter) {
  const Backoff backoff{.first = milliseconds(100), .factor = 2, .most = milliseconds(300), .jitter = 0.5};
  const RefHandle ref = submit({.task_class = owner.task_class({.max_retries = -1, .backoff = backoff})});
  grant(worker_a);
  const double wanted[]{100, 200, 300, 300};
  std::set<Duration> waits;
  for (std::size_t attempt = 0; attempt < 4; ++attempt) {
    fails(calls[attempt], "busy", true);
    ASSERT_EQ(calls.size(), attempt + 1) << "not at once";
    const Time begin = now;
    while (calls.size() == attempt + 1) {
      now += milliseconds(1);
      owner.on_timer(now);
      if (owner.counts().leases == 0 && owner.counts().lease_requests != 0) grant(worker_a);
      ASSERT_LT(now - begin, std::chrono::seconds(2));
    }
    const double waited = std::chrono::duration<double, std::milli>(now - begin).count();
    EXPECT_GE(waited, wanted[attempt] * 0.5);
    EXPECT_LE(waited, wanted[attempt] * 1.5 + 1);
    waits.insert(now - begin);
  }
  EXPECT_GT(waits.size(), 2u);
  value(calls[4], 5);
  EXPECT_EQ(number(ref), 5u);
}

TEST_F(OwnerCalls, ATaskThatWaitsForItsNextAttemptCanBeCancelled) {
  const RefHandle ref = submit({.task_class = owner.task_class({.backoff = {.first = milliseconds(100)}})});
  grant(worker_a);
  fails(calls[0], "busy", true);
  owner.cancel(ref, {}, now);
  EXPECT_EQ(error(ref).code, ErrorCode::cancelled);
  wait_out();
  EXPECT_EQ(calls.size(), 1u);
}

TEST_F(OwnerCalls, ACallIsTriedAgainInTheSameIncarnationWhenItsErrorSaysSo) {
  const RefHandle home = actor({.max_call_retries = 1});
  const RefHandle ref = call(home);
  fails(calls.back(), "busy", true);
  EXPECT_EQ(calls.back().header.attempt, 2u);
  EXPECT_EQ(calls.back().header.incarnation, 1u);
  EXPECT_GT(calls.back().header.sequence, calls[calls.size() - 2].header.sequence);
  fails(calls.back(), "still", true);
  EXPECT_EQ(error(ref).message, "still");
}

// ---- cancelling

TEST_F(OwnerCalls, AfterItsGraceACancelledTasksWorkerIsKilled) {
  const RefHandle ref = submit();
  grant(worker_a);
  begun.insert(1);
  owner.cancel(ref, {.recursive = false, .grace = milliseconds(50)}, now);
  const auto asked = take<wire::CancelCall>();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_FALSE(asked[0].second.recursive);
  now += milliseconds(49);
  owner.on_timer(now);
  EXPECT_TRUE(take<wire::LeaseKill>().empty());
  now += milliseconds(1);
  owner.on_timer(now);
  EXPECT_EQ(take<wire::LeaseKill>().size(), 1u);
  dies(worker_a);
  EXPECT_EQ(error(ref).code, ErrorCode::cancelled);
}

TEST_F(OwnerCalls, ATaskThatEndsWithinItsGraceIsLeftAlone) {
  const RefHandle ref = submit();
  grant(worker_a);
  begun.insert(1);
  owner.cancel(ref, {.grace = milliseconds(50)}, now);
  reply(calls[0], wire::ReplyKind::cancelled, {});
  const RefHandle next_one = submit();  // runs in the same worker
  wait_out();
  EXPECT_TRUE(take<wire::LeaseKill>().empty());
  EXPECT_EQ(owner.view(next_one).state, RefState::pending);
}

// ---- workers and actors that end

TEST_F(OwnerCalls, NothingIsSentToAWorkerThatRecycles) {
  const RefHandle first = submit(), second = submit();
  const LeaseId lease = grant(worker_a);
  begun.insert(1);
  ASSERT_EQ(calls.size(), 2u);
  owner.on_message(worker_a, wire::Recycle{lease}, now);
  value(calls[0], 1);
  EXPECT_TRUE(take<wire::LeaseReturn>().empty()) << "the worker ends it";
  EXPECT_EQ(owner.counts().leases, 0u);
  grant(worker_b);
  ASSERT_EQ(calls.size(), 3u);
  EXPECT_EQ(calls[2].to, worker_b);
  EXPECT_EQ(calls[2].header.attempt, 1u);  // it had not begun: no attempt is lost
  value(calls[2], 2);
  EXPECT_EQ(number(first) + number(second), 3u);
}

TEST_F(OwnerCalls, AnActorThatEndedItselfDoesNotRestartAndWhatWaitedDidNotRun) {
  const RefHandle home = actor({.max_restarts = 5});
  const RefHandle ref = call(home);
  Error why;
  why.code = ErrorCode::actor_died;
  why.message = "by itself";
  owner.on_message(worker_a, wire::ActorExited{as_actor(owner.id(home)), 1, why}, now);
  EXPECT_EQ(error(ref).attempt, 0);
  EXPECT_EQ(error(ref).causes.at(0).message, "by itself");
  EXPECT_EQ(error(call(home)).code, ErrorCode::actor_died);
  EXPECT_TRUE(take<wire::LeaseRequest>().empty());
}

TEST_F(OwnerCalls, AnUnorderedActorsCallsPassOneThatWaits) {
  const RefHandle home = actor({.unordered = true});
  const RefHandle late = submit();
  const std::size_t before = calls.size();
  const RefHandle held = call(home, {late});
  call(home);
  ASSERT_EQ(calls.size(), before + 1);
  grant(worker_b);
  value(calls.back(), 5);
  ASSERT_EQ(calls.back().header.kind, wire::CallKind::actor_call);
  value(calls.back(), 9);
  EXPECT_EQ(number(held), 9u);
}

TEST_F(OwnerCalls, OneProcessHasOnlySoManyPendingCalls) {
  const RefHandle home = actor({.max_pending_calls = 2});
  EXPECT_TRUE(owner.has_room_for_call(home));
  call(home);
  call(home);
  EXPECT_FALSE(owner.has_room_for_call(home));
  value(calls.back(), 1);
  EXPECT_TRUE(owner.has_room_for_call(home));
}

TEST_F(OwnerCalls, CallsMadeBeforeTheLimitWasKnownAreRefusedFromTheLastOne) {
  const RefHandle home = owner.borrow({stranger, 5, 1}, true);
  std::vector<RefHandle> refs;
  for (int i = 0; i < 4; ++i) refs.push_back(call(home));
  owner.on_message(stranger, wire::ActorAt{as_actor({stranger, 5, 1}), 1, worker_a, {here, 9}, 0, 3, false}, now);
  EXPECT_EQ(calls.size(), 3u);
  EXPECT_EQ(error(refs[3]).code, ErrorCode::too_many_calls);
}

}  // namespace
}  // namespace mobula
