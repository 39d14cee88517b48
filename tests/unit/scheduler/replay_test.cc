#include <gtest/gtest.h>

#include <sstream>

#include "scheduler/replay/replay.h"

namespace mobula::scheduler {
namespace {

std::vector<NodeView> cluster(std::uint64_t nodes, double cpus) {
  std::vector<NodeView> all;
  for (std::uint64_t id = 1; id <= nodes; ++id) {
    NodeView node;
    node.node = {id};
    node.name = "node" + std::to_string(id);
    node.total = Resources::cpus(cpus);
    all.push_back(std::move(node));
  }
  return all;
}

Job job(std::uint64_t home, std::uint64_t tasks, double seconds, double cpus = 1) {
  Job one;
  one.home = {home};
  one.request.resources = Resources::cpus(cpus);
  one.tasks = tasks;
  one.seconds = seconds;
  return one;
}

// A hundredth of bench/macro/schedule_cluster, which runs 1,000 nodes and 1,000,000 tasks.
TEST(Model, KeepsAClusterBusy) {
  const ModelReport report = run_model(cluster(100, 4), {job(1, 2500, 1), job(2, 2500, 1), job(3, 5000, 1)});
  EXPECT_EQ(report.tasks, 10000u);
  EXPECT_GT(report.utilisation, 0.95);
  EXPECT_LE(report.utilisation, 1);
  EXPECT_LT(report.redirects, 5000u) << "a lease is sent elsewhere, not a task";
}

TEST(Model, GivesTheSameFiguresEachTime) {
  const auto once = [] { return run_model(cluster(20, 2), {job(1, 500, 0.7), job(2, 300, 0.2)}); };
  const ModelReport a = once(), b = once();
  EXPECT_EQ(a.makespan, b.makespan);
  EXPECT_EQ(a.decisions, b.decisions);
  EXPECT_EQ(a.moves, b.moves);
}

// Two drivers see the same free node in views that are a second old. Who comes second is not held there.
TEST(Model, WhoWasSentToAFullNodeByAnOutdatedViewMovesOn) {
  std::vector<NodeView> nodes = cluster(3, 0);
  nodes.push_back({{4}, "a", "", Resources::cpus(1)});
  nodes.push_back({{5}, "b", "", Resources::cpus(1)});
  // `a` is taken for a minute; `b` for two seconds.
  std::vector<Job> jobs{job(4, 1, 60), job(5, 1, 2), job(1, 1, 1), job(2, 1, 1), job(3, 1, 1)};
  for (std::size_t i = 2; i < jobs.size(); ++i) jobs[i].at = 0.5;
  const ModelReport report = run_model(nodes, jobs, {.view_interval = 1});
  EXPECT_EQ(report.tasks, 5u);
  EXPECT_GT(report.moves, 0u);
  EXPECT_LT(report.makespan, 61);
}

TEST(Model, WhatFitsNowhereDoesNotHoldTheRest) {
  const ModelReport report = run_model(cluster(2, 2), {job(1, 3, 1, 8), job(1, 4, 1)});
  EXPECT_EQ(report.tasks, 4u);
}

TEST(DecisionLog, ComesBackAsItWas) {
  NodeView node;
  node.node = {0xabc};
  node.name = "my host";
  node.total = Resources::cpus(2.5);
  node.total.set("gpu", 10000);
  node.labels["zone"] = "a";
  const auto seen = log::parse("12.5 " + log::node_line(node));
  ASSERT_TRUE(seen.ok()) << seen.error().message;
  EXPECT_EQ(seen->view.total, node.total);
  EXPECT_EQ(seen->view.labels, node.labels);
  EXPECT_EQ(seen->view.name, "my_host") << "a word";

  Request request;
  request.resources = Resources::cpus(0.5);
  request.order = 7;
  request.placement.spread = true;
  request.placement.labels["zone"] = "!b";
  request.near = {0xdef};
  request.near_bytes = 1 << 22;
  const ProcessId owner{{0xabc}, 3, 2};
  const auto asked =
      log::parse("13 " + log::ask_line({0xabc}, owner, 5, request, {Verdict::redirect, {0xdef}, "because it is so"}));
  ASSERT_TRUE(asked.ok()) << asked.error().message;
  EXPECT_EQ(asked->owner, owner);
  EXPECT_EQ(asked->tag, 5u);
  EXPECT_EQ(asked->request.placement, request.placement);
  EXPECT_EQ(asked->request.near, request.near);
  EXPECT_EQ(asked->decision.verdict, Verdict::redirect);
  EXPECT_EQ(asked->decision.node, NodeId{0xdef});
  EXPECT_EQ(asked->decision.reason, "because it is so");
}

TEST(DecisionLog, NamesTheLineThatItCannotRead) {
  std::istringstream log("1 node n=1 name=a total=cpu:1\n2 ask n=1 colour=red\n");
  const auto recording = read_recording(log);
  ASSERT_FALSE(recording.ok());
  EXPECT_EQ(recording.error().message, "line 2: a line of a decision log: unknown key 'colour': 2 ask n=1 colour=red");
}

// One driver on a node of one cpu, three others of four: a log as its node would have written it with local_first.
TEST(Replay, ReportsTheChangeInMakespan) {
  std::ostringstream log;
  for (int id = 1; id <= 4; ++id) log << "0 node n=" << id << " name=h" << id << " total=cpu:4\n";
  // 32 leases of one second, all of which ran on the driver's own node, four at a time.
  int lease = 0;
  for (int second = 0; second < 8; ++second) {
    for (int i = 0; i < 4; ++i) {
      const int number = ++lease;
      log << "0 ask n=1 owner=1:1.1 tag=0 order=" << number << " ask=cpu:1 -> grant there is room here\n";
      log << second << " lease n=1 lease=" << number << " owner=1:1.1 tag=0 order=" << number << " ask=cpu:1\n";
      log << second + 1 << " end n=1 lease=" << number << "\n";
    }
  }
  std::istringstream in(log.str());
  const auto recording = read_recording(in);
  ASSERT_TRUE(recording.ok()) << recording.error().message;
  EXPECT_EQ(recording->jobs.size(), 32u);
  EXPECT_DOUBLE_EQ(recording->makespan, 8);
  const ReplayReport report = replay(*recording, *find_policy("spread"));
  EXPECT_DOUBLE_EQ(report.recorded, 8);
  EXPECT_EQ(report.with.tasks, 32u);
  EXPECT_NEAR(report.with.makespan, 2, 0.3) << "sixteen at a time";
  EXPECT_NEAR(report.as_was.makespan, 2, 0.3);
  EXPECT_NEAR(report.change(), 0, 0.1);
}

TEST(Replay, ALogWithoutLeasesSaysHowToMakeOne) {
  std::istringstream log("0 node n=1 name=a total=cpu:1\n");
  const auto recording = read_recording(log);
  ASSERT_FALSE(recording.ok());
  EXPECT_NE(recording.error().message.find("--decision-log"), std::string::npos);
}

}  // namespace
}  // namespace mobula::scheduler
