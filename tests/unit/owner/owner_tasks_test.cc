#include "tests/unit/owner/owner_fixture.h"

namespace mobula {
namespace {

struct OwnerTasks : OwnerFixture {};

TEST_F(OwnerTasks, ATaskGoesToALeasedWorkerAndItsResultComesBack) {
  const RefHandle ref = submit({.args = number_bytes(3)});
  const auto requests = take<wire::LeaseRequest>();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].first, node_process(here));
  EXPECT_EQ(requests[0].second.count, 1u);
  EXPECT_EQ(requests[0].second.depth, 1u);
  EXPECT_EQ(requests[0].second.resources, Resources::cpus(1));
  EXPECT_TRUE(calls.empty());
  owner.watch(ref);
  EXPECT_TRUE(readied.empty());

  grant(worker_a);
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].to, worker_a);
  EXPECT_EQ(calls[0].args, number_bytes(3));
  EXPECT_EQ(calls[0].header.attempt, 1u);
  value(calls[0], 9);
  EXPECT_EQ(readied, std::vector{ref});
  EXPECT_EQ(number(ref), 9u);
  release(ref);
  EXPECT_EQ(owner.counts().owned, 0u);
  EXPECT_EQ(owner.counts().tasks, 0u);
}

TEST_F(OwnerTasks, WithALeaseACallLeavesAtOnce) {
  release(submit());
  grant(worker_a);
  value(calls.at(0), 1);
  messages.clear();
  const RefHandle ref = submit();
  EXPECT_EQ(calls.size(), 2u);
  EXPECT_TRUE(messages.empty()) << "the node is asked once a lease, not once a task";
  release(ref);
}

TEST_F(OwnerTasks, AThousandSubmissionsAreFewRequests) {
  for (int i = 0; i < 1000; ++i) release(submit());
  const auto requests = take<wire::LeaseRequest>();
  EXPECT_LE(requests.size(), 8u);
  std::uint32_t asked = 0;
  for (const auto& [to, request] : requests) asked += request.count;
  EXPECT_EQ(asked, 64u) << "never more than the limit";
}

TEST_F(OwnerTasks, TheLeastLoadedLeaseGetsTheNextCall) {
  for (int i = 0; i < 6; ++i) release(submit());
  grant(worker_a);
  EXPECT_EQ(calls.size(), 4u) << "as many as the pipeline is deep";
  grant(worker_b);
  ASSERT_EQ(calls.size(), 6u);
  EXPECT_EQ(calls[4].to, worker_b);
  EXPECT_EQ(calls[5].to, worker_b);
}

TEST_F(OwnerTasks, AnIdleLeaseTakesWhatWaitsBehindABusyOne) {
  for (int i = 0; i < 4; ++i) release(submit());
  grant(worker_a);
  ASSERT_EQ(calls.size(), 4u);
  begun = {1};
  grant(worker_b);
  ASSERT_EQ(calls.size(), 6u);
  EXPECT_EQ(withdrawn, (std::set<std::uint64_t>{3, 4}));
  EXPECT_EQ(calls[4].to, worker_b);
  EXPECT_EQ(calls[4].header.index, calls[2].header.index) << "in their order";
  EXPECT_EQ(calls[4].header.attempt, 1u) << "it had not begun, so it is not another attempt";
}

TEST_F(OwnerTasks, WhatWaitsBehindABlockedCallGoesElsewhere) {
  const RefHandle parent = submit();
  const RefHandle behind = submit();
  const LeaseId lease = grant(worker_a);
  take<wire::LeaseRequest>();
  begun = {1};
  value(calls[0], 1);  // so that nothing is asked for any more
  const RefHandle next = submit();
  begun = {2};
  take<wire::LeaseRequest>();
  owner.on_message(worker_a, wire::WorkerBlocked{lease, true}, now);
  EXPECT_TRUE(withdrawn.contains(3));
  grant(worker_b);
  EXPECT_EQ(calls.back().to, worker_b);
  EXPECT_EQ(calls.back().header.index, owner.id(next).index);
  for (const RefHandle ref : {parent, behind, next}) release(ref);
}

TEST_F(OwnerTasks, AFullLaneIsTriedAgain) {
  room = 1;
  const RefHandle first = submit();
  const RefHandle second = submit();
  grant(worker_a);
  EXPECT_EQ(calls.size(), 1u);
  room = 10;
  EXPECT_LE(owner.next_timer(), now + milliseconds(1));
  now += milliseconds(1);
  owner.on_timer(now);
  EXPECT_EQ(calls.size(), 2u);
  release(first);
  release(second);
}

TEST_F(OwnerTasks, RoomIsUsedAsSoonAsItIsTold) {
  room = 1;
  release(submit());
  release(submit());
  grant(worker_a);
  room = 10;
  owner.on_room(worker_a, now);
  EXPECT_EQ(calls.size(), 2u);
}

TEST_F(OwnerTasks, ADependencyIsWaitedForAndShippedWithTheCall) {
  const RefHandle first = submit();
  const RefHandle second = submit({.deps = {first}});
  release(first);
  grant(worker_a);
  ASSERT_EQ(calls.size(), 1u) << "the second waits for the first";
  value(calls[0], 5);
  ASSERT_EQ(calls.size(), 2u);
  ASSERT_EQ(calls[1].deps.size(), 1u);
  EXPECT_EQ(calls[1].deps[0].second, number_bytes(5));
  value(calls[1], 6);
  EXPECT_EQ(number(second), 6u);
  release(second);
  EXPECT_EQ(owner.counts().owned, 0u) << "the first was kept for the second only";
}

TEST_F(OwnerTasks, AFailedDependencyEndsAllThatWaitForIt) {
  RefHandle ref = submit();
  std::vector<RefHandle> chain;
  for (int i = 0; i < 50000; ++i) {  // deep enough to overflow a stack that recursed
    const RefHandle next = submit({.deps = {ref}});
    release(ref);
    ref = next;
  }
  grant(worker_a);
  fails(calls[0], "boom");
  EXPECT_EQ(calls.size(), 1u) << "nothing else ran";
  const Error last = error(ref);
  EXPECT_EQ(last.code, ErrorCode::exception);
  ASSERT_EQ(last.causes.size(), 1u);
  EXPECT_EQ(last.causes[0].message, "boom") << "the root, however long the chain";
  release(ref);
  EXPECT_EQ(owner.counts().owned, 0u);
}

TEST_F(OwnerTasks, AnExceptionIsNotTriedAgainUnlessAsked) {
  const RefHandle once = submit();
  grant(worker_a);
  fails(calls[0], "boom");
  EXPECT_EQ(error(once).message, "boom");
  const RefHandle twice = submit({.task_class = owner.task_class({.max_retries = 1})});
  ASSERT_EQ(calls.size(), 2u);
  fails(calls[1], "first", true);
  ASSERT_EQ(calls.size(), 3u);
  EXPECT_EQ(calls[2].header.attempt, 2u);
  fails(calls[2], "second", true);
  EXPECT_EQ(error(twice).message, "second");
  ASSERT_EQ(error(twice).causes.size(), 1u);
  EXPECT_EQ(error(twice).causes[0].message, "first");
  release(once);
  release(twice);
}

TEST_F(OwnerTasks, ADeadWorkersCallsAreTriedAgainAndWhatHadNotBegunIsNotAnAttempt) {
  const RefHandle running = submit();
  const RefHandle queued = submit();
  grant(worker_a);
  begun = {1};
  dies(worker_a);
  grant(worker_b);
  ASSERT_EQ(calls.size(), 4u);
  EXPECT_EQ(calls[2].header.index, owner.id(running).index);
  EXPECT_EQ(calls[2].header.attempt, 2u);
  EXPECT_EQ(calls[3].header.index, owner.id(queued).index);
  EXPECT_EQ(calls[3].header.attempt, 1u);
  value(calls[2], 1);
  value(calls[3], 2);
  EXPECT_EQ(number(running), 1u);
  EXPECT_EQ(number(queued), 2u);
  release(running);
  release(queued);
}

TEST_F(OwnerTasks, RetriesEndAndTheErrorTellsAllAttempts) {
  const RefHandle ref = submit({.task_class = owner.task_class({.name = "unlucky", .max_retries = 1})});
  for (const ProcessId& worker : {worker_a, worker_b}) {
    grant(worker);
    begun.insert(tickets);
    dies(worker);
  }
  const Error end = error(ref);
  EXPECT_EQ(end.code, ErrorCode::worker_died);
  EXPECT_EQ(end.task, "unlucky");
  EXPECT_EQ(end.signal, 9);
  EXPECT_EQ(end.pid, 77);
  EXPECT_EQ(end.attempt, 2);
  EXPECT_EQ(end.message, "the worker that ran the task died: process 77 was killed by SIGKILL");
  ASSERT_EQ(end.causes.size(), 1u);
  EXPECT_EQ(end.causes[0].attempt, 1);
  release(ref);
}

TEST_F(OwnerTasks, AReplyOfAnEarlierAttemptIsIgnoredAndLosesNothing) {
  const RefHandle ref = submit();
  grant(worker_a);
  begun = {1};
  dies(worker_a);
  grant(worker_b);
  const RefId inner{worker_a, 5, 1};
  reply(calls[0], wire::ReplyKind::value_inline, number_bytes(666), {inner});
  EXPECT_EQ(owner.view(ref).state, RefState::pending);
  const auto let_go = take<wire::ReleaseHeld>();
  ASSERT_EQ(let_go.size(), 1u);
  EXPECT_EQ(let_go[0].second.attempt, 1u);
  reply(calls[0], wire::ReplyKind::value_object, wire::encode_location({here, 4096, 100000, 1}));
  EXPECT_EQ(take<wire::FreeObject>().size(), 1u);
  value(calls[1], 1);
  value(calls[1], 2);  // and twice the same
  EXPECT_EQ(number(ref), 1u);
  release(ref);
}

TEST_F(OwnerTasks, CancellingAQueuedTaskTakesItBack) {
  const RefHandle waiting = submit();
  owner.cancel(waiting, {}, now);
  EXPECT_EQ(error(waiting).code, ErrorCode::cancelled);
  EXPECT_EQ(error(waiting).attempt, 0);
  grant(worker_a);
  EXPECT_TRUE(calls.empty());
  const RefHandle sent = submit();
  ASSERT_EQ(calls.size(), 1u);
  owner.cancel(sent, {}, now);
  EXPECT_TRUE(withdrawn.contains(1));
  EXPECT_EQ(error(sent).code, ErrorCode::cancelled);
  EXPECT_TRUE(take<wire::CancelCall>().empty());
  release(waiting);
  release(sent);
}

TEST_F(OwnerTasks, CancellingARunningTaskRaisesItsFlagAndWaitsForTheWorker) {
  const RefHandle ref = submit();
  grant(worker_a);
  begun = {1};
  owner.cancel(ref, {}, now);
  EXPECT_EQ(stopped, std::vector<std::uint64_t>{1});
  ASSERT_EQ(take<wire::CancelCall>().size(), 1u);
  EXPECT_EQ(owner.view(ref).state, RefState::pending);
  reply(calls[0], wire::ReplyKind::cancelled, {});
  EXPECT_EQ(error(ref).code, ErrorCode::cancelled);
  release(ref);
}

TEST_F(OwnerTasks, ForcedCancellationKillsTheWorkerAndIsNotRetried) {
  const RefHandle ref = submit();
  const LeaseId lease = grant(worker_a);
  begun = {1};
  owner.cancel(ref, {.force = true}, now);
  const auto kills = take<wire::LeaseKill>();
  ASSERT_EQ(kills.size(), 1u);
  EXPECT_EQ(kills[0].second.lease, lease);
  dies(worker_a);
  EXPECT_EQ(error(ref).code, ErrorCode::cancelled);
  EXPECT_EQ(calls.size(), 1u);
  release(ref);
}

TEST_F(OwnerTasks, ChildrenAreCancelledWithTheirParent) {
  owner.set_context(2, 7);
  const RefHandle child = submit();
  owner.set_context(1, 0);
  const RefHandle other = submit();
  owner.cancel_children(7, now);
  EXPECT_EQ(error(child).code, ErrorCode::cancelled);
  EXPECT_EQ(owner.view(other).state, RefState::pending);
  release(child);
  release(other);
}

TEST_F(OwnerTasks, IdleLeasesGoBackAfterAWhileAndAtOnceWhenOthersWait) {
  release(submit());
  const LeaseId lease = grant(worker_a);
  value(calls[0], 1);
  EXPECT_EQ(owner.next_timer(), now + milliseconds(100));
  now += milliseconds(99);
  owner.on_timer(now);
  EXPECT_TRUE(take<wire::LeaseReturn>().empty());
  now += milliseconds(1);
  owner.on_timer(now);
  const auto returned = take<wire::LeaseReturn>();
  ASSERT_EQ(returned.size(), 1u);
  EXPECT_EQ(returned[0].second.lease, lease);

  release(submit());
  grant(worker_a);
  value(calls[1], 1);
  owner.on_message(node_process(here), wire::ReclaimIdle{}, now);
  EXPECT_EQ(take<wire::LeaseReturn>().size(), 1u);
  EXPECT_EQ(owner.counts().leases, 0u);
}

// The parent of nested tasks keeps the worker that its children left; its siblings wait for that very cpu. The node
// asks only now and then, so the owner must remember that it was asked.
TEST_F(OwnerTasks, WhileOthersWaitALeaseGoesBackTheMomentItFallsIdle) {
  release(submit());
  grant(worker_a);
  begun = {1};
  owner.on_message(node_process(here), wire::ReclaimIdle{}, now);
  EXPECT_TRUE(take<wire::LeaseReturn>().empty()) << "a call runs on it";
  now += milliseconds(20);
  value(calls[0], 1);
  EXPECT_EQ(take<wire::LeaseReturn>().size(), 1u);
  now += milliseconds(60);
  release(submit());
  grant(worker_a);
  value(calls[1], 1);
  EXPECT_TRUE(take<wire::LeaseReturn>().empty()) << "nobody has asked for a while";
}

TEST_F(OwnerTasks, WhoHasHadItsTurnMakesWayForOthers) {
  for (int i = 0; i < 4; ++i) release(submit());
  grant(worker_a);
  take<wire::LeaseRequest>();
  begun = {1};
  owner.on_message(node_process(here), wire::ReclaimIdle{}, now);
  EXPECT_TRUE(withdrawn.empty()) << "it has only begun";
  now += milliseconds(250);
  owner.on_message(node_process(here), wire::ReclaimIdle{}, now);
  EXPECT_EQ(withdrawn.size(), 3u);
  EXPECT_TRUE(take<wire::LeaseReturn>().empty()) << "a call still runs on it";
  value(calls[0], 1);
  EXPECT_EQ(take<wire::LeaseReturn>().size(), 1u);
  grant(worker_b);
  EXPECT_EQ(calls.size(), 7u);
}

TEST_F(OwnerTasks, ARedirectedRequestGoesToTheOtherNode) {
  const RefHandle ref = submit();
  take<wire::LeaseRequest>();
  owner.on_message(node_process(here), wire::LeaseRedirect{0, there, "room"}, now);
  const auto requests = take<wire::LeaseRequest>();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].first, node_process(there));
  EXPECT_TRUE(requests[0].second.spilled);
  grant(remote_worker);
  ASSERT_EQ(calls.size(), 1u);
  const RefHandle second = submit();
  EXPECT_EQ(calls.size(), 1u) << "nothing can be withdrawn from there, so one at a time";
  value(calls[0], 1);
  EXPECT_EQ(calls.size(), 2u);
  release(ref);
  release(second);
}

TEST_F(OwnerTasks, RequestsAtADeadNodeAreMadeAgainHere) {
  const RefHandle ref = submit();
  owner.on_message(node_process(here), wire::LeaseRedirect{0, there, "room"}, now);
  take<wire::LeaseRequest>();
  owner.on_node_died(there, "no heartbeat", now);
  const auto requests = take<wire::LeaseRequest>();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].first, node_process(here));
  release(ref);
}

TEST_F(OwnerTasks, ARefusalFailsWhatIsQueuedAndSaysWhy) {
  const RefHandle ref = submit();
  Error reason;
  reason.code = ErrorCode::infeasible;
  reason.message = "cpu 1 is asked for, but ...";
  owner.on_message(node_process(here), wire::LeaseRefused{0, 1, reason}, now);
  EXPECT_EQ(error(ref).code, ErrorCode::infeasible);
  EXPECT_EQ(error(ref).task, "square");
  ASSERT_EQ(error(ref).causes.size(), 1u);
  EXPECT_EQ(error(ref).causes[0].message, reason.message);
  release(ref);
}

TEST_F(OwnerTasks, ANodeThatCannotIsTriedElsewhereFirst) {
  const RefHandle ref = submit();
  owner.on_message(node_process(here), wire::LeaseRedirect{0, there, "room"}, now);
  take<wire::LeaseRequest>();
  Error mismatch;
  mismatch.code = ErrorCode::build_mismatch;
  owner.on_message(node_process(there), wire::LeaseRefused{0, 1, mismatch}, now);
  EXPECT_EQ(owner.view(ref).state, RefState::pending);
  ASSERT_EQ(take<wire::LeaseRequest>().size(), 1u);
  Error none;
  none.code = ErrorCode::infeasible;
  owner.on_message(node_process(here), wire::LeaseRefused{0, 1, none}, now);
  ASSERT_EQ(error(ref).causes.size(), 1u);
  EXPECT_EQ(error(ref).causes[0].code, ErrorCode::infeasible);
  ASSERT_EQ(error(ref).causes[0].causes.size(), 1u);
  EXPECT_EQ(error(ref).causes[0].causes[0].code, ErrorCode::build_mismatch);
  release(ref);
}

TEST_F(OwnerTasks, RequestsThatAreNotNeededAreTakenBack) {
  for (int i = 0; i < 4; ++i) release(submit());
  std::uint32_t asked = 0;
  for (const auto& [to, request] : take<wire::LeaseRequest>()) asked += request.count;
  EXPECT_EQ(asked, 4u);
  grant(worker_a);
  for (int i = 0; i < 4; ++i) value(calls[i], 1);
  now += milliseconds(10);
  owner.on_timer(now);
  const auto cancels = take<wire::LeaseCancel>();
  ASSERT_EQ(cancels.size(), 1u);
  EXPECT_EQ(cancels[0].second.count, 3u);
  owner.on_message(node_process(here), wire::LeaseRefused{0, 3, {}}, now);
  EXPECT_EQ(owner.counts().lease_requests, 0u);
}

TEST_F(OwnerTasks, ForgettingAResultDoesNotCancelItsTask) {
  release(submit());
  grant(worker_a);
  ASSERT_EQ(calls.size(), 1u);
  reply(calls[0], wire::ReplyKind::value_object, wire::encode_location({here, 4096, 100000, 1}));
  ASSERT_EQ(take<wire::FreeObject>().size(), 1u) << "nobody wants it";
  wait_out();
  EXPECT_EQ(owner.counts(), Owner::Counts{});
}

TEST_F(OwnerTasks, EqualOptionsAreOneClassAndNamesShareLeases) {
  const TaskClass a = owner.task_class({.name = "a"});
  EXPECT_EQ(owner.task_class({.name = "a"}), a);
  EXPECT_EQ(owner.task_class({}), 0u);
  EXPECT_EQ(owner.task_class({.name = "a", .resources = Resources::cpus(2)}),
            owner.task_class({.name = "a", .resources = Resources::cpus(2)}));
  EXPECT_NE(owner.task_class({.name = "a", .resources = Resources::cpus(2)}), a) << "whatever tells them apart";
  const RefHandle first = submit({.task_class = a});
  grant(worker_a);
  const RefHandle second = submit({.task_class = owner.task_class({.name = "b"})});
  EXPECT_EQ(calls.size(), 2u) << "the same resources, so the same lease";
  release(first);
  release(second);
}

TEST_F(OwnerTasks, AnIdleLeaseThatIsFoundDeadIsReplacedAtOnce) {
  const RefHandle first = submit();
  grant(worker_a);
  value(calls[0], 1);
  take<wire::LeaseRequest>();
  dead = true;  // killed while idle, and nobody has told us yet
  const RefHandle second = submit();
  dead = false;
  ASSERT_EQ(take<wire::LeaseRequest>().size(), 1u);
  dies(worker_a);
  grant(worker_b);
  value(calls.back(), 2);
  EXPECT_EQ(number(first) + number(second), 3u);
}

TEST_F(OwnerTasks, ALeaseThatIsFoundDeadWhenWorkMovesToItGoesBackAtOnce) {
  const RefHandle first = submit(), second = submit();
  grant(worker_a);
  ASSERT_EQ(calls.size(), 2u) << "one behind the other";
  take<wire::LeaseReturn>();
  dead = true;  // this one was killed before we had it
  grant(worker_b);
  dead = false;
  EXPECT_EQ(take<wire::LeaseReturn>().size(), 1u) << "or it would be counted as one that can run what waits";
  value(calls[0], 1);
  ASSERT_EQ(calls.size(), 3u);
  value(calls[2], 2);
  EXPECT_EQ(number(first) + number(second), 3u);
}

TEST_F(OwnerTasks, TellsTheNodeWhereATaskMayGoAndHowUrgentItIs) {
  TaskOptions options;
  options.placement.labels["zone"] = "a";
  options.priority = 3;
  options.preemptible = true;
  const RefHandle ref = submit({.task_class = owner.task_class(options)});
  const auto requests = take<wire::LeaseRequest>();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].second.placement, options.placement);
  EXPECT_EQ(requests[0].second.priority, 3);
  EXPECT_TRUE(requests[0].second.preemptible);
  EXPECT_NE(requests[0].second.tag, 0u) << "it shares no leases with tasks that may go anywhere";
  release(ref);
}

TEST_F(OwnerTasks, LargeArgumentsElsewhereAreAReasonToGoThere) {
  const RefHandle made = submit();
  owner.on_message(node_process(here), wire::LeaseRedirect{0, there, "room"}, now);
  grant(remote_worker);
  reply(calls[0], wire::ReplyKind::value_object, wire::encode_location({there, 4096, 50000000, 1}));
  take<wire::LeaseRequest>();
  const RefHandle reader = submit({.deps = {made}});
  const auto requests = take<wire::LeaseRequest>();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].second.near, there);
  EXPECT_EQ(requests[0].second.near_bytes, 50000000u);
  release(made);
  release(reader);
}

TEST_F(OwnerTasks, AJobGoesWithARedirect) {
  const RefHandle ref = submit();
  take<wire::LeaseRequest>();
  owner.on_message(node_process(here), wire::LeaseRedirect{0, there, "room", 4711}, now);
  const auto requests = take<wire::LeaseRequest>();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].second.job, 4711u);
  release(ref);
}

TEST_F(OwnerTasks, WhoRefusedIsNamedInTheNextRequest) {
  const RefHandle ref = submit();
  owner.on_message(node_process(here), wire::LeaseRedirect{0, there, "room"}, now);
  take<wire::LeaseRequest>();
  Error mismatch;
  mismatch.code = ErrorCode::build_mismatch;
  owner.on_message(node_process(there), wire::LeaseRefused{0, 1, mismatch}, now);
  const auto requests = take<wire::LeaseRequest>();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].second.avoid, std::vector<NodeId>{there});
  release(ref);
}

// A task that asked for more than its bundle has went from its node to the bundle's and back without end.
TEST_F(OwnerTasks, ASecondRefusalOfOneNodeCounts) {
  const RefHandle ref = submit();
  Error no;
  no.code = ErrorCode::infeasible;
  for (int i = 0; i < 2; ++i) {
    owner.on_message(node_process(here), wire::LeaseRedirect{0, there, "its bundle is there"}, now);
    owner.on_message(node_process(there), wire::LeaseRefused{0, 1, no}, now);
  }
  EXPECT_EQ(error(ref).code, ErrorCode::infeasible);
  release(ref);
}

TEST_F(OwnerTasks, APreemptedTaskRunsAgainWhateverItsRetries) {
  const RefHandle ref = submit({.task_class = owner.task_class({.max_retries = 0, .preemptible = true})});
  grant(worker_a, 1);
  ASSERT_EQ(calls.size(), 1u);
  begun.insert(1);
  wire::ProcessDeath death;
  death.signal = 9;
  death.preempted = true;
  owner.on_process_died(worker_a, death, now);
  EXPECT_EQ(owner.view(ref).state, RefState::pending);
  grant(worker_b, 1);
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[1].header.attempt, 2u);
  value(calls[1], 7);
  EXPECT_EQ(number(ref), 7u);
  release(ref);
}

TEST_F(OwnerTasks, OfADeathToldTwiceTheStoryThatKnowsMoreStands) {
  wire::ProcessDeath killed;
  killed.pid = 4711;
  killed.description = "killed by SIGKILL";
  wire::ProcessDeath guessed;
  guessed.description = "had ended before this process began";
  const auto fate_of_a_task_sent_there = [&](const ProcessId& worker, const wire::ProcessDeath& told_first,
                                             const wire::ProcessDeath& told_again) {
    EXPECT_FALSE(owner.is_dead(worker));
    owner.on_process_died(worker, told_first, now);
    EXPECT_TRUE(owner.is_dead(worker));
    const RefHandle ref = submit({.task_class = owner.task_class({.max_retries = 0})});
    grant(worker, take<wire::LeaseRequest>().back().second.tag);  // the news of its death overtook it
    begun.insert(calls.size());
    owner.on_process_died(worker, told_again, now);
    const RefView view = owner.view(ref);
    std::string message = view.state == RefState::error ? view.error->message : "no error";
    release(ref);
    return message;
  };
  EXPECT_EQ(fate_of_a_task_sent_there(worker_a, killed, guessed),
            "the worker that ran the task died: process 4711 killed by SIGKILL");
  EXPECT_EQ(fate_of_a_task_sent_there(worker_b, guessed, killed),
            "the worker that ran the task died: process 4711 killed by SIGKILL");
  ProcessId third = worker_b;
  third.generation += 1;
  EXPECT_EQ(fate_of_a_task_sent_there(third, guessed, guessed),
            "the worker that ran the task died: its process had ended before this process began");
}

TEST_F(OwnerTasks, ATaskKilledForMemoryRunsAgainLaterAndLosesNoRetry) {
  const RefHandle ref = submit({.task_class = owner.task_class({.max_retries = 1})});
  EXPECT_TRUE(take<wire::LeaseRequest>().back().second.retriable);
  wire::ProcessDeath death;
  death.pid = 77;
  death.signal = 9;
  death.out_of_memory = "memory runs out";
  for (std::uint32_t kill = 1; kill <= 15; ++kill) {
    grant(worker_a);
    ASSERT_EQ(calls.size(), kill);
    EXPECT_EQ(calls.back().header.attempt, kill);
    begun.insert(kill);
    owner.on_process_died(worker_a, death, now);
    EXPECT_EQ(owner.view(ref).state, RefState::pending);
    const auto wait = owner.next_timer() - now;
    EXPECT_EQ(wait, std::min<Duration>(std::chrono::seconds(1 << (kill - 1)), std::chrono::seconds(30))) << kill;
    now += wait;
    owner.on_timer(now);
  }
  grant(worker_a);
  begun.insert(16);
  owner.on_process_died(worker_a, death, now);
  ASSERT_EQ(owner.view(ref).state, RefState::error) << "it is the one that needs too much";
  EXPECT_EQ(owner.view(ref).error->code, ErrorCode::out_of_memory);
  EXPECT_EQ(
      owner.view(ref).error->message,
      "the node killed the process (pid 77) that ran the task: memory runs out; that was attempt 16 that ended so");
  release(ref);
}

TEST_F(OwnerTasks, ATaskThatReachedItsOwnLimitIsNotTriedAgain) {
  const RefHandle ref = submit({.task_class = owner.task_class({.max_retries = -1})});
  grant(worker_a);
  begun.insert(1);
  wire::ProcessDeath death;
  death.signal = 9;
  death.out_of_memory = "the process reached the memory limit of 100 bytes";
  death.over_limit = true;
  owner.on_process_died(worker_a, death, now);
  ASSERT_EQ(owner.view(ref).state, RefState::error);
  EXPECT_EQ(owner.view(ref).error->code, ErrorCode::out_of_memory);
  EXPECT_EQ(owner.view(ref).error->message, death.out_of_memory);
  release(ref);
}

TEST_F(OwnerTasks, WithoutRetriesBeingKilledForMemoryIsTheEnd) {
  const RefHandle ref = submit({.task_class = owner.task_class({.max_retries = 0})});
  const auto request = take<wire::LeaseRequest>().back().second;
  EXPECT_FALSE(request.retriable);
  grant(worker_a, request.tag);
  begun.insert(1);
  wire::ProcessDeath death;
  death.out_of_memory = "memory runs out";
  owner.on_process_died(worker_a, death, now);
  ASSERT_EQ(owner.view(ref).state, RefState::error);
  EXPECT_EQ(owner.view(ref).error->code, ErrorCode::out_of_memory);
  release(ref);
}

}  // namespace
}  // namespace mobula
