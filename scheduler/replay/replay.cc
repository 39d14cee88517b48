#include "scheduler/replay/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

namespace mobula::scheduler {

Result<Recording> read_recording(std::istream& log) {
  Recording recording;
  struct Begun {
    double at;
    Job job;
  };
  std::map<std::pair<NodeId, std::uint64_t>, Begun> running;
  std::map<NodeId, NodeView> nodes;
  // When an owner asked for the first time since its last lease of this kind: that is when the load was there.
  std::map<std::tuple<ProcessId, std::uint64_t>, double> asked;
  double first = 0, last = 0;
  bool any = false;
  std::string line;
  for (int number = 1; std::getline(log, line); ++number) {
    if (line.empty()) continue;
    Result<log::Event> event = log::parse(line);
    if (!event.ok()) {
      Error error = event.error();
      error.message = fmt::format("line {}: {}", number, error.message);
      return error;
    }
    switch (event->kind) {
      case log::Event::Kind::node:
        nodes[event->node] = event->view;
        break;
      case log::Event::Kind::ask:
        asked.try_emplace({event->owner, event->tag}, event->at);
        break;
      case log::Event::Kind::lease: {
        Job job;
        const auto since = asked.find({event->owner, event->tag});
        job.at = since == asked.end() ? event->at : std::min(since->second, event->at);
        job.home = event->owner.node;
        job.request = event->request;
        job.request.may_redirect = true;
        if (!any || job.at < first) first = job.at;
        any = true;
        running[{event->node, event->lease}] = {event->at, std::move(job)};
        break;
      }
      case log::Event::Kind::end: {
        const auto begun = running.find({event->node, event->lease});
        if (begun == running.end()) break;
        Job job = std::move(begun->second.job);
        job.seconds = event->at - begun->second.at;
        if (job.request.placement.group) {  // inside a group there is nothing to decide
          job.request.placement = {};
          job.request.placement.node = to_string(event->node);
        }
        last = std::max(last, event->at);
        recording.jobs.push_back(std::move(job));
        running.erase(begun);
        break;
      }
    }
  }
  recording.unfinished = running.size();
  for (auto& [id, node] : nodes) recording.nodes.push_back(std::move(node));
  for (Job& job : recording.jobs) {
    job.at -= first;
    if (nodes.contains(job.home)) continue;
    // A driver that has no log of its own brought no cpus, or its node was not recorded.
    NodeView driver;
    driver.node = job.home;
    driver.name = to_string(job.home);
    nodes[job.home] = driver;
    recording.nodes.push_back(std::move(driver));
  }
  recording.makespan = last - first;
  if (recording.jobs.empty()) {
    return Error{.code = ErrorCode::invalid,
                 .message = "the log has no lease that began and ended: record a run with --decision-log FILE"};
  }
  return recording;
}

ReplayReport replay(const Recording& recording, const Policy& policy, const ModelOptions& options) {
  ReplayReport report;
  report.recorded = recording.makespan;
  ModelOptions as_was = options;
  as_was.policy = policies().front().decide;
  report.as_was = run_model(recording.nodes, recording.jobs, as_was);
  ModelOptions with = options;
  with.policy = policy.decide;
  report.with = run_model(recording.nodes, recording.jobs, with);
  return report;
}

}  // namespace mobula::scheduler
