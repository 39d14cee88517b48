#include "runtime/node/node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>

namespace mobula {
namespace {

using std::chrono::milliseconds;

const NodeId here{0x1111};
const NodeId there{0x2222};
const ProcessId driver{here, 1, 1};
const ProcessId other_driver{here, 99, 1};
const wire::Program program{"/bin/program", "abc"};

struct NodeTest : testing::Test, NodeSink {
  std::vector<std::pair<ProcessId, wire::Message>> messages;
  std::vector<ProcessId> started, killed;
  std::vector<wire::ObjectLocation> freed, pushed, awaited;
  std::string expelled_because;
  std::string refused_program;
  std::vector<std::string> recorded;
  std::vector<std::string> warnings;
  bool may_grow = false;  // of the next make()
  Resources more;         // besides cpus, of the next make()
  Time now{};
  std::unique_ptr<Node> node;
  std::uint32_t slots = 1;
  std::uint64_t tags = 0;
  std::map<ProcessId, std::uint64_t> memory;  // of processes

  std::uint64_t memory_of(const ProcessId& process) override { return memory[process]; }
  void send(const ProcessId& to, wire::Message&& message) override { messages.emplace_back(to, std::move(message)); }
  Result<std::uint32_t> open_program(const wire::Program& wanted) override {
    if (wanted.path != refused_program) return std::uint32_t{0};
    Error error;
    error.code = ErrorCode::build_mismatch;
    error.message = wanted.path + " has build-id 1, 2 is asked for";
    return error;
  }
  ProcessId start_worker(std::uint32_t) override {
    started.push_back({here, ++slots, 1});
    return started.back();
  }
  void kill(const ProcessId& process) override { killed.push_back(process); }
  void free_object(const wire::ObjectLocation& location) override { freed.push_back(location); }
  void push_object(NodeId, const wire::ObjectLocation& location, const wire::ObjectLocation&) override {
    pushed.push_back(location);
  }
  Result<bool> expect_object(const wire::ObjectLocation& location) override {
    awaited.push_back(location);
    return true;
  }
  void expelled(const std::string& reason) override { expelled_because = reason; }
  void warn(const std::string& what) override { warnings.push_back(what); }
  void peers(const std::vector<wire::NodeView>&) override {}
  void record(std::string&& line) override { recorded.push_back(std::move(line)); }

  void make(double cpus, std::uint32_t prestart = 0, NodeId head = here) {
    NodeOptions options;
    options.name = "host";
    options.resources = Resources::cpus(cpus);
    options.resources += more;
    options.may_grow = may_grow;
    options.head = head;
    options.program = program;
    options.prestart = prestart;
    node = std::make_unique<Node>(here, options, *this);
    node->start(now);
    node->on_driver_attached(driver, now);
    node->on_driver_attached(other_driver, now);
    all_start();
  }
  void all_start() {
    for (const ProcessId& process : std::exchange(started, {})) node->on_process_started(process, 100, now);
  }
  std::uint64_t request(const ProcessId& owner, std::uint32_t depth = 1, double cpus = 1, std::uint32_t count = 1) {
    wire::LeaseRequest message;
    message.tag = ++tags;
    message.count = count;
    message.depth = depth;
    message.resources = Resources::cpus(cpus);
    message.program = program;
    node->on_message(owner, message, now);
    return message.tag;
  }
  template <class M>
  std::vector<std::pair<ProcessId, M>> take() {
    std::vector<std::pair<ProcessId, M>> found;
    for (const auto& [to, message] : messages) {
      if (const auto* m = std::get_if<M>(&message)) found.emplace_back(to, *m);
    }
    std::erase_if(messages, [](const auto& sent) { return std::holds_alternative<M>(sent.second); });
    return found;
  }
  wire::LeaseGrant granted() {
    const auto grants = take<wire::LeaseGrant>();
    EXPECT_EQ(grants.size(), 1u);
    return grants.empty() ? wire::LeaseGrant{} : grants[0].second;
  }
  void give_back(const LeaseId& lease, const ProcessId& owner = driver) {
    node->on_message(owner, wire::LeaseReturn{lease}, now);
  }
  void exits(const ProcessId& process) {
    wire::ProcessDeath death;
    death.pid = 100;
    death.signal = 9;
    death.description = "was killed by SIGKILL";
    node->on_process_exited(process, death, now);
  }
  void meet(double available, std::uint32_t queued = 0) {
    wire::ClusterView view;
    view.nodes.push_back({here, "host", "", Resources::cpus(2), Resources::cpus(2), 0});
    view.nodes.push_back({there, "other", "", Resources::cpus(4), Resources::cpus(available), queued});
    node->on_message(node_process(here), view, now);
  }
};

TEST_F(NodeTest, GrantsAPrestartedWorkerAtOnce) {
  make(2, 2);
  const std::uint64_t tag = request(driver);
  const wire::LeaseGrant grant = granted();
  EXPECT_EQ(grant.tag, tag);
  EXPECT_EQ(grant.lease.node, here);
  EXPECT_EQ(node->available(), Resources::cpus(1));
  give_back(grant.lease);
  EXPECT_EQ(node->available(), Resources::cpus(2));
  EXPECT_EQ(node->lease_count(), 0u);
}

TEST_F(NodeTest, StartsWorkersOnlyForWhatCanRun) {
  make(2);
  request(driver, 1, 1, 5);
  EXPECT_EQ(started.size(), 2u);
  all_start();
  EXPECT_EQ(take<wire::LeaseGrant>().size(), 2u);
  EXPECT_EQ(node->queued(), 3u);
  EXPECT_TRUE(started.empty());
}

TEST_F(NodeTest, DeepestFirstThenInOrder) {
  make(1, 1);
  request(driver);
  const wire::LeaseGrant first = granted();
  const std::uint64_t shallow = request(driver, 1);
  const std::uint64_t deep = request(driver, 3);
  const std::uint64_t deep_later = request(driver, 3);
  LeaseId lease = first.lease;
  for (const std::uint64_t expected : {deep, deep_later, shallow}) {
    give_back(lease);
    const wire::LeaseGrant grant = granted();
    EXPECT_EQ(grant.tag, expected);
    lease = grant.lease;
  }
}

TEST_F(NodeTest, ABlockedWorkerLendsItsCpuOut) {
  make(1, 1);
  request(driver);
  const wire::LeaseGrant parent = granted();
  request(parent.worker, 2);
  EXPECT_TRUE(take<wire::LeaseGrant>().empty());
  node->on_message(parent.worker, wire::Blocked{parent.lease, true}, now);
  ASSERT_EQ(started.size(), 1u);
  all_start();
  const wire::LeaseGrant child = granted();
  EXPECT_NE(child.worker, parent.worker);
  // The parent goes on while the child still runs: for a moment there is more work than cpus, and nothing new starts.
  node->on_message(parent.worker, wire::Blocked{parent.lease, false}, now);
  EXPECT_EQ(node->available().amount("cpu"), -Resources::unit);
  request(driver);
  give_back(child.lease, parent.worker);
  EXPECT_TRUE(take<wire::LeaseGrant>().empty());
  give_back(parent.lease);
  EXPECT_EQ(take<wire::LeaseGrant>().size(), 1u);
}

TEST_F(NodeTest, ALargeRequestIsNotStarvedBySmallOnes) {
  make(2, 2);
  request(driver);
  const wire::LeaseGrant first = granted();
  const std::uint64_t large = request(driver, 1, 2);
  const std::uint64_t small = request(driver, 1, 1);
  EXPECT_TRUE(take<wire::LeaseGrant>().empty()) << "one cpu is free, but it is the large one's turn";
  const std::uint64_t nothing = request(driver, 1, 0);
  EXPECT_EQ(granted().tag, nothing) << "who needs none of it passes";
  give_back(first.lease);
  all_start();
  EXPECT_EQ(granted().tag, large);
  (void)small;
}

TEST_F(NodeTest, RequestsCanBeTakenBackAndAreAnsweredOnce) {
  make(1, 1);
  request(driver);
  granted();
  const std::uint64_t tag = request(driver, 1, 1, 5);
  node->on_message(driver, wire::LeaseCancel{tag, 3}, now);
  auto refused = take<wire::LeaseRefused>();
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].second.count, 3u);
  EXPECT_EQ(refused[0].second.error.code, ErrorCode::none);
  node->on_message(driver, wire::LeaseCancel{tag, 3}, now);
  refused = take<wire::LeaseRefused>();
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].second.count, 2u) << "no more than there were";
  node->on_message(driver, wire::LeaseCancel{tag, 3}, now);
  EXPECT_TRUE(take<wire::LeaseRefused>().empty());
}

TEST_F(NodeTest, WhatNeverFitsIsRefusedWithFigures) {
  make(2);
  request(driver, 1, 3);
  const auto refused = take<wire::LeaseRefused>();
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].second.error.code, ErrorCode::infeasible);
  EXPECT_NE(refused[0].second.error.message.find("cpu 3 is asked for"), std::string::npos);
  EXPECT_EQ(refused[0].second.error.node, "host");
}

TEST_F(NodeTest, WhereNodesMayJoinWhatNeverFitsWaitsWithOneWarning) {
  may_grow = true;
  make(2);
  request(driver, 1, 3);
  request(driver, 1, 3);
  EXPECT_TRUE(take<wire::LeaseRefused>().empty());
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("cpu 1 more is missing; start a node with at least cpu 3"), std::string::npos);
  wire::ClusterView view;
  view.nodes = {{here, "host", "", Resources::cpus(2), Resources::cpus(2)},
                {there, "large", "", Resources::cpus(4), Resources::cpus(4)}};
  node->on_message(node_process(here), view, now);
  const auto redirected = take<wire::LeaseRedirect>();
  ASSERT_EQ(redirected.size(), 2u);
  EXPECT_EQ(redirected[0].second.node, there);
}

TEST_F(NodeTest, AWorkerThatWaitsLendsItsCpuAndNothingElse) {
  more = {{{"gpu", Resources::unit}}};
  make(1, 1);
  wire::LeaseRequest message;
  message.resources = Resources::cpus(1);
  message.resources.set("gpu", Resources::unit);
  message.program = program;
  node->on_message(driver, message, now);
  all_start();
  const auto granted = take<wire::LeaseGrant>();
  ASSERT_EQ(granted.size(), 1u);
  node->on_message(granted[0].second.worker, wire::Blocked{granted[0].second.lease, true}, now);
  EXPECT_EQ(node->available(), Resources::cpus(1));
  node->on_message(granted[0].second.worker, wire::Blocked{granted[0].second.lease, false}, now);
  EXPECT_TRUE(node->available().empty());
  node->on_message(granted[0].second.worker, wire::Blocked{granted[0].second.lease, true}, now);
  node->on_message(driver, wire::LeaseReturn{granted[0].second.lease}, now);
  EXPECT_EQ(node->available().amount("gpu"), Resources::unit);
  EXPECT_EQ(node->available().amount("cpu"), Resources::unit);
}

TEST_F(NodeTest, ARecycledWorkerGetsNoFurtherLease) {
  make(1, 1);
  request(driver, 1, 1);
  all_start();
  const auto granted = take<wire::LeaseGrant>();
  ASSERT_EQ(granted.size(), 1u);
  const ProcessId worker = granted[0].second.worker;
  node->on_message(worker, wire::Recycle{granted[0].second.lease}, now);
  EXPECT_EQ(node->lease_count(), 0u);
  request(driver, 1, 1);
  EXPECT_TRUE(take<wire::LeaseGrant>().empty());
  all_start();  // another one was started in its place
  const auto next = take<wire::LeaseGrant>();
  ASSERT_EQ(next.size(), 1u);
  EXPECT_NE(next[0].second.worker, worker);
}

TEST_F(NodeTest, AProgramThatIsNotHereIsRefused) {
  make(2);
  refused_program = "/bin/other";
  wire::LeaseRequest message;
  message.resources = Resources::cpus(1);
  message.program = {"/bin/other", "2"};
  node->on_message(driver, message, now);
  const auto refused = take<wire::LeaseRefused>();
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].second.error.code, ErrorCode::build_mismatch);
}

TEST_F(NodeTest, WorkersThatDieBeforeTheyAreReadyAreNotStartedForEver) {
  make(1);
  request(driver);
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(started.size(), 1u) << i;
    const ProcessId process = started.front();
    started.clear();
    exits(process);
  }
  EXPECT_TRUE(started.empty());
  const auto refused = take<wire::LeaseRefused>();
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].second.error.code, ErrorCode::unavailable);
  EXPECT_EQ(
      refused[0].second.error.message,
      "starting workers of /bin/program: the last 5 ended before they were ready; the last one was killed by SIGKILL");
}

TEST_F(NodeTest, ADeadWorkersLeaseEndsAndEverybodyIsTold) {
  make(2, 2);
  request(driver);
  const wire::LeaseGrant grant = granted();
  exits(grant.worker);
  EXPECT_EQ(node->available(), Resources::cpus(2));
  EXPECT_EQ(node->lease_count(), 0u);
  EXPECT_EQ(take<wire::ProcessDied>().size(), 3u) << "two drivers, one worker";
  node->on_message(driver, wire::LeaseReturn{grant.lease}, now);  // crossed it
  EXPECT_EQ(node->available(), Resources::cpus(2));
}

TEST_F(NodeTest, LeasesOfADeadOwnerAreRevokedThenTheWorkerIsKilled) {
  make(2, 2);
  request(other_driver, 1, 1, 10);
  EXPECT_EQ(take<wire::LeaseGrant>().size(), 2u);
  exits(other_driver);
  EXPECT_EQ(node->queued(), 0u);
  const auto revoked = take<wire::LeaseRevoke>();
  ASSERT_EQ(revoked.size(), 2u);
  node->on_message(revoked[0].first, wire::LeaseReleased{revoked[0].second.lease}, now);
  EXPECT_EQ(node->available(), Resources::cpus(1));
  EXPECT_EQ(node->next_timer(), now + milliseconds(1000));
  now += milliseconds(1000);
  node->on_timer(now);
  EXPECT_EQ(killed, std::vector{revoked[1].first});
  exits(killed[0]);
  EXPECT_EQ(node->available(), Resources::cpus(2));
}

// Tasks that an actor of a killed driver had submitted ran on for ever: their owner was a worker that had become idle.
TEST_F(NodeTest, WithItsDriverEndsAllOfAJobAtOnce) {
  make(4, 4);
  const ProcessId far_driver{NodeId{0x3333}, 1, 1};
  const auto grant_to = [&](const ProcessId& owner) {
    request(owner);
    return granted();
  };
  const wire::LeaseGrant parent = grant_to(far_driver);
  const wire::LeaseGrant child = grant_to(parent.worker);
  const wire::LeaseGrant other = grant_to(driver);
  const wire::LeaseGrant idle = grant_to(far_driver);
  give_back(idle.lease, far_driver);
  request(parent.worker, 1, 4);  // waits
  node->on_message(node_process(here), wire::NodeDied{far_driver.node, "it left"}, now);
  EXPECT_EQ(node->queued(), 0u);
  const auto revoked = take<wire::LeaseRevoke>();
  ASSERT_EQ(revoked.size(), 2u);
  request(parent.worker);
  EXPECT_EQ(node->queued(), 0u) << "what it owns is not tried again";
  node->on_message(parent.worker, wire::LeaseReleased{parent.lease}, now);
  node->on_message(idle.worker, wire::StayAlive{}, now);
  request(driver);
  EXPECT_TRUE(take<wire::LeaseGrant>().empty()) << "a worker of the ended job is not used again";
  node->on_timer(now += milliseconds(999));
  EXPECT_TRUE(killed.empty());
  node->on_timer(now += milliseconds(1));
  EXPECT_THAT(killed, testing::UnorderedElementsAre(idle.worker, parent.worker, child.worker))
      << "they may own what the job had";
  give_back(other.lease);
  node->on_timer(now += milliseconds(1000));
  EXPECT_EQ(killed.size(), 3u);
}

// One that was started for a dead driver, and that nobody has had yet, stayed idle for five seconds.
TEST_F(NodeTest, WithItsDriverEndWorkersThatItHadNotBegunToUse) {
  make(4);
  const ProcessId far_driver{NodeId{0x3333}, 1, 1};
  const auto tag = request(far_driver, 1, 1, 2);
  ASSERT_EQ(started.size(), 2u);
  const auto idle = started[0], starting = started[1];
  node->on_message(far_driver, wire::LeaseCancel{tag, 2}, now);
  node->on_process_started(idle, 100, now);
  started.clear();
  node->on_message(node_process(here), wire::NodeDied{far_driver.node, "it left"}, now);
  request(driver);
  EXPECT_EQ(started.size(), 1u) << "none of them is for others";
  node->on_timer(now += milliseconds(1000));
  EXPECT_THAT(killed, testing::UnorderedElementsAre(idle, starting));
  all_start();
  EXPECT_EQ(take<wire::LeaseGrant>().size(), 1u);
}

// A worker that served two jobs may own values of either: the end of one does not take those of the other along.
TEST_F(NodeTest, AWorkerOfTwoJobsOutlivesTheEndOfOne) {
  make(1, 1);
  const ProcessId far_driver{NodeId{0x3333}, 1, 1};
  request(driver);
  const wire::LeaseGrant first = granted();
  give_back(first.lease);
  request(far_driver);
  const wire::LeaseGrant second = granted();
  ASSERT_EQ(second.worker, first.worker);
  node->on_message(node_process(here), wire::NodeDied{far_driver.node, "it left"}, now);
  const auto revoked = take<wire::LeaseRevoke>();
  ASSERT_EQ(revoked.size(), 1u);
  node->on_message(second.worker, wire::LeaseReleased{revoked[0].second.lease}, now);
  node->on_timer(now += milliseconds(1000));
  EXPECT_TRUE(killed.empty());
  request(driver);
  EXPECT_EQ(granted().worker, first.worker);
}

TEST_F(NodeTest, OnlyTheOwnerOfALeaseMayEndIt) {
  make(1, 1);
  request(driver);
  const wire::LeaseGrant grant = granted();
  give_back(grant.lease, other_driver);
  node->on_message(other_driver, wire::LeaseKill{grant.lease, "mine"}, now);
  node->on_message(other_driver, wire::Blocked{grant.lease, true}, now);
  node->on_message(other_driver, wire::LeaseReleased{grant.lease}, now);
  EXPECT_EQ(node->lease_count(), 1u);
  EXPECT_TRUE(killed.empty());
  EXPECT_EQ(node->available(), Resources{});
  node->on_message(driver, wire::LeaseKill{grant.lease, "force"}, now);
  EXPECT_EQ(killed, std::vector{grant.worker});
}

TEST_F(NodeTest, HoldersAreAskedToMakeWayWhileOthersWait) {
  make(1, 1);
  request(driver);
  const wire::LeaseGrant grant = granted();
  request(other_driver);
  auto asked = take<wire::ReclaimIdle>();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].first, driver);
  now = node->next_timer();
  node->on_timer(now);
  EXPECT_EQ(take<wire::ReclaimIdle>().size(), 1u) << "again after a while";
  give_back(grant.lease);
  granted();
  EXPECT_EQ(node->next_timer(), never);
}

TEST_F(NodeTest, SurplusWorkersRetireAndThoseNeededStay) {
  make(2, 2);
  request(driver);
  const wire::LeaseGrant parent = granted();
  request(driver);
  const wire::LeaseGrant second = granted();
  node->on_message(parent.worker, wire::Blocked{parent.lease, true}, now);
  request(parent.worker, 2);
  all_start();
  const wire::LeaseGrant child = granted();
  give_back(child.lease, parent.worker);
  give_back(second.lease);
  node->on_message(parent.worker, wire::Blocked{parent.lease, false}, now);
  give_back(parent.lease);
  EXPECT_EQ(node->next_timer(), now + milliseconds(5000));
  now += milliseconds(5000);
  node->on_timer(now);
  const auto retired = take<wire::Retire>();
  ASSERT_EQ(retired.size(), 1u) << "three workers, two are kept";
  EXPECT_EQ(node->next_timer(), never);
  node->on_message(retired[0].first, wire::StayAlive{}, now);
  EXPECT_EQ(node->next_timer(), now) << "another one may go in its place";
}

TEST_F(NodeTest, SendsWorkToANodeThatHasRoom) {
  make(1, 1);
  request(driver);
  granted();
  meet(4);
  request(driver, 1, 1, 6);
  const auto redirects = take<wire::LeaseRedirect>();
  ASSERT_EQ(redirects.size(), 4u) << "as much as it has free, until the head tells more";
  EXPECT_EQ(redirects[0].second.node, there);
  EXPECT_EQ(node->queued(), 2u);
  meet(1);
  EXPECT_EQ(take<wire::LeaseRedirect>().size(), 1u) << "what waits goes as soon as there is room";
}

// A driver that began by the view from before its predecessor's end sent all its requests to one of two idle nodes, and
// the next driver, by the view of that, all to the other.
TEST_F(NodeTest, WhatAnotherNodeSentHereByAnOldViewGoesOnByNews) {
  make(1, 1);
  const auto spill = [&](const ProcessId& owner) {
    wire::LeaseRequest message;
    message.tag = ++tags;
    message.count = 4;
    message.depth = 1;
    message.spilled = true;
    message.resources = Resources::cpus(1);
    message.program = program;
    node->on_message(owner, message, now);
  };
  const ProcessId far_driver{NodeId{0x3333}, 1, 1};
  meet(2);
  spill(far_driver);
  granted();
  EXPECT_TRUE(take<wire::LeaseRedirect>().empty())
      << "not by the view that was there: two of them could send it around";
  now += milliseconds(150);
  meet(2);
  const auto redirects = take<wire::LeaseRedirect>();
  ASSERT_EQ(redirects.size(), 2u) << "as many as there is room for";
  EXPECT_EQ(redirects[0].first, far_driver);
  EXPECT_EQ(redirects[0].second.node, there);
  EXPECT_EQ(node->queued(), 1u);
  meet(0);
  EXPECT_TRUE(take<wire::LeaseRedirect>().empty());
  // One of this node's own was refused over there: it stays.
  node->on_message(node_process(here), wire::NodeDied{far_driver.node, "it left"}, now);
  EXPECT_EQ(node->queued(), 0u);
  spill(driver);
  meet(2);
  EXPECT_TRUE(take<wire::LeaseRedirect>().empty());
  EXPECT_EQ(node->queued(), 4u);
}

TEST_F(NodeTest, WhatIsTooLargeForItGoesElsewhereOnceTheMembersAreKnown) {
  make(0, 0, there);
  request(driver);
  EXPECT_TRUE(take<wire::LeaseRefused>().empty());
  EXPECT_EQ(node->queued(), 1u);
  EXPECT_FALSE(node->joined());
  meet(0, 3);
  EXPECT_TRUE(node->joined());
  EXPECT_EQ(take<wire::LeaseRedirect>().size(), 1u);
}

TEST_F(NodeTest, TellsTheHeadItsLoadSoonAfterAChange) {
  make(2, 2, there);
  meet(4);
  now += milliseconds(60);
  node->on_timer(now);
  take<wire::Heartbeat>();
  request(driver);
  EXPECT_EQ(node->next_timer(), now + milliseconds(50));
  now += milliseconds(50);
  node->on_timer(now);
  const auto beats = take<wire::Heartbeat>();
  ASSERT_EQ(beats.size(), 1u);
  EXPECT_EQ(beats[0].first, node_process(there));
  EXPECT_EQ(beats[0].second.available, Resources::cpus(1));
  EXPECT_EQ(node->next_timer(), now + milliseconds(500));
}

TEST_F(NodeTest, AForeignObjectIsFetchedOnceForAllWhoAsk) {
  make(1);
  const wire::ObjectLocation far{there, 4096, 100000, 1};
  const wire::ObjectLocation near{here, 8192, 100000, 1};
  const RefId ref{driver, 3, 1};
  node->on_message(driver, wire::PullObject{ref, far}, now);
  node->on_message(other_driver, wire::PullObject{ref, far}, now);
  EXPECT_EQ(take<wire::FetchObject>().size(), 1u);
  EXPECT_EQ(awaited.size(), 1u);
  node->on_object_arrived(far, near, now);
  EXPECT_EQ(take<wire::ObjectHere>().size(), 2u);
  ASSERT_EQ(take<wire::AddCopy>().size(), 1u);
  node->on_message(driver, wire::PullObject{ref, far}, now);
  EXPECT_EQ(take<wire::ObjectHere>().at(0).second.local, near);
  node->on_message(driver, wire::FreeObject{near}, now);
  EXPECT_EQ(freed, std::vector{near});
  node->on_message(driver, wire::PullObject{ref, far}, now);
  EXPECT_EQ(take<wire::FetchObject>().size(), 1u) << "the copy is gone";
}

TEST_F(NodeTest, ObjectsOfOwnersElsewhereAreFreedWithTheirOwner) {
  make(1);
  meet(1);
  const ProcessId far_owner{there, 4, 1}, far_too{there, 5, 1};
  const auto at = [](std::uint64_t offset) { return wire::ObjectLocation{here, offset, 100000, 1}; };
  node->on_object_left(far_owner, at(1), now);
  node->on_object_left(far_owner, at(2), now);
  node->on_object_left(far_too, at(3), now);
  node->on_message(far_owner, wire::FreeObject{at(1)}, now);
  EXPECT_EQ(freed, std::vector{at(1)});
  node->on_message(node_process(there), wire::ProcessDied{far_owner, {}}, now);
  EXPECT_EQ(freed, (std::vector{at(1), at(2)})) << "each once";
  node->on_object_left(far_owner, at(4), now);
  EXPECT_EQ(freed.back(), at(4)) << "the owner died while the result was made";
  node->on_message(node_process(here), wire::NodeDied{there, "no heartbeat"}, now);
  EXPECT_EQ(freed.back(), at(3));
}

TEST_F(NodeTest, AnObjectOfADeadNodeFailsAllWhoAsk) {
  make(1);
  meet(1);
  const wire::ObjectLocation far{there, 4096, 100000, 1};
  node->on_message(driver, wire::PullObject{{driver, 3, 1}, far}, now);
  node->on_message(node_process(here), wire::NodeDied{there, "no heartbeat"}, now);
  EXPECT_EQ(take<wire::ObjectHere>().at(0).second.error.code, ErrorCode::object_lost);
  EXPECT_EQ(take<wire::NodeDied>().size(), 2u) << "both drivers are told";
  node->on_message(driver, wire::PullObject{{driver, 3, 1}, far}, now);
  EXPECT_EQ(take<wire::ObjectHere>().at(0).second.error.code, ErrorCode::object_lost);
  node->on_object_arrived(far, {here, 8192, 100000, 1}, now);
  EXPECT_EQ(freed.size(), 1u) << "its last chunk came too late";
}

TEST_F(NodeTest, DeathsAreBelievedOnlyFromTheNodeTheyHappenedOn) {
  make(1);
  meet(1);
  messages.clear();
  node->on_message(node_process(here), wire::ProcessDied{{there, 4, 1}, {}}, now);
  EXPECT_TRUE(take<wire::ProcessDied>().empty());
  node->on_message(node_process(there), wire::ProcessDied{{there, 4, 1}, {}}, now);
  EXPECT_EQ(take<wire::ProcessDied>().size(), 2u);
  node->on_message(node_process(there), wire::ProcessDied{driver, {}}, now);
  EXPECT_TRUE(take<wire::ProcessDied>().empty());
}

TEST_F(NodeTest, DeclaredDeadItSaysSo) {
  make(1, 0, there);
  node->on_message(node_process(there), wire::NodeDied{here, "no heartbeat for 5.0 s"}, now);
  EXPECT_EQ(expelled_because, "no heartbeat for 5.0 s");
}

TEST_F(NodeTest, TheHeadsMessagesAreNotForIt) {
  make(1);
  EXPECT_FALSE(node->on_message(node_process(there), wire::Heartbeat{}, now));
  EXPECT_FALSE(node->on_message(node_process(there), wire::JoinCluster{}, now));
}

// ---- late binding: where a request waits is not where it must stay

wire::LeaseRequest one(std::uint64_t tag, bool spilled = false, double cpus = 1) {
  wire::LeaseRequest message;
  message.tag = tag;
  message.spilled = spilled;
  message.resources = Resources::cpus(cpus);
  message.program = program;
  return message;
}

// Another node sent the owner here by a view in which this one had room. It once waited here to the end.
TEST_F(NodeTest, WhoWasSentHereByAnOutdatedViewMovesOn) {
  make(1, 1);
  request(driver);
  const wire::LeaseGrant held = granted();
  meet(0);
  node->on_message(other_driver, one(77, true), now);
  meet(4);
  EXPECT_TRUE(take<wire::LeaseRedirect>().empty()) << "that view is older than its arrival";
  now += milliseconds(150);
  EXPECT_LE(node->next_timer(), now);
  node->on_timer(now);
  const auto redirects = take<wire::LeaseRedirect>();
  ASSERT_EQ(redirects.size(), 1u);
  EXPECT_EQ(redirects[0].second.tag, 77u);
  EXPECT_EQ(redirects[0].second.node, there);
  EXPECT_EQ(node->queued(), 0u);
  give_back(held.lease);
}

TEST_F(NodeTest, WhoWasSentHereIsServedHereIfThatIsSooner) {
  make(1, 1);
  request(driver);
  const wire::LeaseGrant held = granted();
  meet(0);
  node->on_message(other_driver, one(77, true), now);
  give_back(held.lease);
  EXPECT_EQ(granted().tag, 77u);
  now += milliseconds(150);
  meet(4);
  node->on_timer(now);
  EXPECT_TRUE(take<wire::LeaseRedirect>().empty());
}

TEST_F(NodeTest, WhoWasRefusedElsewhereIsNotSentThereAgain) {
  make(1, 1);
  request(driver);
  granted();
  meet(4);
  wire::LeaseRequest again = one(77, true);
  again.avoid.push_back(there);
  node->on_message(driver, again, now);
  now += milliseconds(500);
  meet(4);
  node->on_timer(now);
  EXPECT_TRUE(take<wire::LeaseRedirect>().empty());
  EXPECT_EQ(node->queued(), 1u);
}

TEST_F(NodeTest, ARequestForALabelGoesWhereItIs) {
  make(1, 1);
  wire::ClusterView view;
  view.nodes.push_back({here, "host", "", Resources::cpus(1), Resources::cpus(1), 0});
  view.nodes.push_back({there, "other", "", Resources::cpus(4), Resources::cpus(4), 0, {{"zone", "a"}}});
  node->on_message(node_process(here), view, now);
  wire::LeaseRequest labelled = one(5);
  labelled.placement.labels["zone"] = "a";
  node->on_message(driver, labelled, now);
  const auto redirects = take<wire::LeaseRedirect>();
  ASSERT_EQ(redirects.size(), 1u);
  EXPECT_EQ(redirects[0].second.node, there);
  labelled.placement.labels["zone"] = "b";
  node->on_message(driver, labelled, now);
  const auto refused = take<wire::LeaseRefused>();
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].second.error.code, ErrorCode::infeasible);
  EXPECT_NE(refused[0].second.error.message.find("its zone is a (\"b\" is asked for)"), std::string::npos)
      << refused[0].second.error.message;
}

// It once was sent on by the first node, and waited on the second for one that was no member.
TEST_F(NodeTest, ASoftWishForANodeThatIsNotThereIsNoneAlsoForWhoWasSentHere) {
  make(1, 1);
  meet(4);
  wire::LeaseRequest soft = one(5, true);
  soft.placement.node = "nobody";
  soft.placement.soft = true;
  node->on_message(other_driver, soft, now);
  EXPECT_EQ(granted().tag, 5u);
}

// ---- priorities, shares, preemption

TEST_F(NodeTest, TheHigherPriorityIsServedFirst) {
  make(1, 1);
  request(driver);
  const wire::LeaseGrant held = granted();
  node->on_message(driver, one(11), now);
  wire::LeaseRequest urgent = one(12);
  urgent.priority = 5;
  node->on_message(driver, urgent, now);
  give_back(held.lease);
  EXPECT_EQ(granted().tag, 12u);
}

TEST_F(NodeTest, JobsGetEqualShares) {
  make(4, 4);
  const auto ask = [&](const ProcessId& owner, std::uint64_t job, std::uint64_t tag, std::uint32_t count) {
    wire::LeaseRequest message = one(tag);
    message.count = count;
    message.job = job;
    node->on_message(owner, message, now);
  };
  // One job has all four and wants more; a second one comes.
  ask(driver, 1, 10, 4);
  auto first = take<wire::LeaseGrant>();
  ASSERT_EQ(first.size(), 4u);
  ask(driver, 1, 10, 4);
  ask(other_driver, 2, 20, 4);
  std::map<std::uint64_t, int> held{{10, 4}, {20, 0}};
  for (const auto& [to, grant] : first) {
    give_back(grant.lease, driver);
    --held[10];
    for (const auto& [owner, next] : take<wire::LeaseGrant>()) ++held[next.tag];
  }
  EXPECT_EQ(held, (std::map<std::uint64_t, int>{{10, 2}, {20, 2}}));
}

TEST_F(NodeTest, AShareIsThatOfTheScarcestResource) {
  NodeOptions options;
  options.name = "host";
  options.resources = Resources::cpus(10);
  options.resources.set("gpu", 2 * Resources::unit);
  options.head = here;
  options.program = program;
  options.prestart = 10;
  node = std::make_unique<Node>(here, options, *this);
  node->start(now);
  all_start();
  const auto ask = [&](std::uint64_t job, double cpus, double gpus, std::uint32_t count) {
    wire::LeaseRequest message = one(job, false, cpus);
    message.resources.set("gpu", std::llround(gpus * Resources::unit));
    message.count = count;
    message.job = job;
    node->on_message(job == 1 ? driver : other_driver, message, now);
  };
  ask(1, 1, 1, 1);  // half of the gpus
  ask(2, 2, 0, 1);  // a fifth of the cpus
  ASSERT_EQ(take<wire::LeaseGrant>().size(), 2u);
  ask(3, 7, 0, 1);
  const wire::LeaseGrant big = granted();
  ask(1, 2, 0, 1);
  ask(2, 2, 0, 1);
  EXPECT_TRUE(take<wire::LeaseGrant>().empty());
  give_back(big.lease, other_driver);
  const auto grants = take<wire::LeaseGrant>();
  ASSERT_EQ(grants.size(), 2u);
  EXPECT_EQ(grants[0].second.tag, 2u) << "it has less, though it has more cpus";
}

TEST_F(NodeTest, ASmallerShareReclaimsFromALargerOneButNotBack) {
  make(2, 2);
  wire::LeaseRequest mine = one(10);
  mine.job = 1;
  mine.count = 2;
  node->on_message(driver, mine, now);
  ASSERT_EQ(take<wire::LeaseGrant>().size(), 2u);
  wire::LeaseRequest other = one(20);
  other.job = 2;
  node->on_message(other_driver, other, now);
  auto asked = take<wire::ReclaimIdle>();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].first, driver);
}

TEST_F(NodeTest, WorkOfAHigherPriorityTakesTheResourcesOfPreemptibleTasks) {
  make(3, 3);
  wire::LeaseRequest low = one(10);
  low.preemptible = true;
  low.count = 2;
  node->on_message(driver, low, now);
  const auto lows = take<wire::LeaseGrant>();
  ASSERT_EQ(lows.size(), 2u);
  node->on_message(driver, one(11), now);  // not preemptible
  granted();
  wire::LeaseRequest urgent = one(12);
  urgent.priority = 1;
  node->on_message(other_driver, urgent, now);
  ASSERT_EQ(killed.size(), 1u) << "one is enough";
  EXPECT_EQ(killed[0], lows[1].second.worker) << "the one that has done least";
  now += milliseconds(60);
  node->on_timer(now);
  EXPECT_EQ(killed.size(), 1u) << "it is about to end";
  exits(killed[0]);
  const auto died = take<wire::ProcessDied>();
  ASSERT_FALSE(died.empty());
  EXPECT_TRUE(died[0].second.death.preempted);
  EXPECT_NE(died[0].second.death.description.find("higher priority"), std::string::npos);
  all_start();
  EXPECT_EQ(granted().tag, 12u);
}

TEST_F(NodeTest, EqualPrioritiesDoNotPreempt) {
  make(1, 1);
  wire::LeaseRequest low = one(10);
  low.preemptible = true;
  node->on_message(driver, low, now);
  granted();
  node->on_message(other_driver, one(12), now);
  wire::LeaseRequest large = one(13, false, 2);
  large.priority = 3;
  node->on_message(other_driver, large, now);
  EXPECT_TRUE(killed.empty()) << "nor does what would not fit even then";
}

TEST_F(NodeTest, RecordsItsDecisions) {
  NodeOptions options;
  options.name = "host";
  options.resources = Resources::cpus(1);
  options.head = here;
  options.program = program;
  options.prestart = 1;
  options.record = true;
  node = std::make_unique<Node>(here, options, *this);
  node->start(now);
  all_start();
  request(driver);
  give_back(granted().lease);
  ASSERT_EQ(recorded.size(), 4u);
  EXPECT_EQ(recorded[0], "node n=1111 name=host total=cpu:1");
  EXPECT_EQ(recorded[1], "ask n=1111 owner=1111:1.1 tag=1 order=1 ask=cpu:1 -> grant less than half is in use here");
  EXPECT_EQ(recorded[2], "lease n=1111 lease=1 owner=1111:1.1 tag=1 order=1 ask=cpu:1");
  EXPECT_EQ(recorded[3], "end n=1111 lease=1");
}

// ---- memory that runs out (who is chosen: pressure_test)

TEST_F(NodeTest, BeforeMemoryRunsOutOneTaskIsKilledAtATime) {
  make(2, 2);
  wire::LeaseRequest first = one(11), second = one(12);
  first.retriable = second.retriable = true;
  node->on_message(driver, first, now);
  const wire::LeaseGrant older = granted();
  node->on_message(driver, second, now);
  const wire::LeaseGrant newer = granted();
  memory[older.worker] = memory[newer.worker] = 1 << 30;
  node->on_memory({94, 100, "this machine"}, now);
  EXPECT_TRUE(killed.empty());
  node->on_memory({96, 100, "this machine"}, now);
  ASSERT_EQ(killed, std::vector{newer.worker});
  node->on_memory({97, 100, "this machine"}, now);
  EXPECT_EQ(killed.size(), 1u) << "what it held is not back yet";
  take<wire::ProcessDied>();
  exits(newer.worker);
  const auto died = take<wire::ProcessDied>();
  ASSERT_FALSE(died.empty());
  EXPECT_NE(died[0].second.death.out_of_memory.find("96 %, the threshold is 95 %"), std::string::npos);
  EXPECT_NE(died[0].second.death.out_of_memory.find("the newest of the 2 tasks"), std::string::npos);
  node->on_memory({96, 100, "this machine"}, now);
  EXPECT_EQ(killed.size(), 2u);
}

TEST_F(NodeTest, WhereNobodyHoldsMuchThereIsOneWarning) {
  make(1, 1);
  request(driver);
  granted();
  for (int i = 0; i < 3; ++i) node->on_memory({99, 100, "this machine"}, now);
  EXPECT_TRUE(killed.empty());
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("memory runs out"), std::string::npos);
  node->on_memory({}, now);  // nothing could be read
}

}  // namespace
}  // namespace mobula
