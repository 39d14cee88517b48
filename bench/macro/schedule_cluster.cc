// A thousand nodes and a million one-second tasks, decided by the production policy on one core: how long that takes,
// and how much of the cluster is in use. (For scale: Ray's users report 71 s instead of 15 s for 10,000 one-second
// tasks on 704 cores.)
//
//     schedule_cluster [nodes] [cpus] [tasks] [drivers]
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <ctime>

#include "scheduler/replay/model.h"

int main(int argc, char** argv) {
  using namespace mobula;
  using namespace mobula::scheduler;
  const auto given = [&](int at, std::uint64_t otherwise) {
    return argc > at ? std::strtoull(argv[at], nullptr, 10) : otherwise;
  };
  const std::uint64_t nodes = given(1, 1000), cpus = given(2, 16), tasks = given(3, 1000000), drivers = given(4, 4);
  std::vector<NodeView> cluster;
  for (std::uint64_t i = 1; i <= nodes; ++i) {
    NodeView node;
    node.node = {i};
    node.name = fmt::format("node{}", i);
    node.total = Resources::cpus(static_cast<double>(cpus));
    cluster.push_back(std::move(node));
  }
  std::vector<Job> jobs;
  for (std::uint64_t i = 0; i < drivers; ++i) {
    Job job;
    job.home = {1 + i};
    job.request.resources = Resources::cpus(1);
    job.tasks = tasks / drivers + (i < tasks % drivers ? 1 : 0);
    jobs.push_back(std::move(job));
  }
  fmt::print("{} nodes of {} cpus, {} one-second tasks of {} drivers\n\n", nodes, cpus, tasks, drivers);
  fmt::print("{:<18} {:>10} {:>12} {:>10} {:>10} {:>8} {:>10}\n", "policy", "makespan", "utilisation", "decisions",
             "redirects", "moves", "cpu time");
  for (const Policy& policy : policies()) {
    const std::clock_t begun = std::clock();
    const ModelReport report = run_model(cluster, jobs, {.policy = policy.decide});
    const double seconds = static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC;
    fmt::print("{:<18} {:>8.2f} s {:>11.2f}% {:>10} {:>10} {:>8} {:>8.1f} s\n", policy.name, report.makespan,
               100 * report.utilisation, report.decisions, report.redirects, report.moves, seconds);
    if (report.tasks != tasks) {
      fmt::print("only {} of {} tasks ended\n", report.tasks, tasks);
      return 1;
    }
  }
  return 0;
}
