#include "runtime/daemon/reports.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "runtime/base/memory.h"

namespace mobula::daemon {
namespace {

// How long workers go on writing down what they do after somebody asked for it.
constexpr Duration trace_keep = std::chrono::seconds(1);

std::string seconds(Duration duration) {
  return fmt::format("{:.3f}", std::max(0.0, std::chrono::duration<double>(duration).count()));
}

net::Peer peer_of(const ProcessId& process) {
  return {process.slot, process.generation};
}

Answer answer_of(const Question& question) {
  return {.id = question.id, .number = 0, .error = {}, .rows = {}};
}

}  // namespace

Answer Reports::details(const Question& question, const Node& node, const Control* control, Time now) const {
  Answer answer = answer_of(question);
  const MemoryUse memory = fullest_memory();
  answer.rows.push_back({"memory", std::to_string(memory.used), std::to_string(memory.limit), memory.where});
  constexpr std::size_t most_rows = 1000;
  for (const Node::Waiting& one : node.waiting(now)) {
    if (answer.rows.size() > most_rows) break;
    answer.rows.push_back({"request", to_string(one.owner), std::to_string(one.count), to_string(one.resources),
                           one.actor ? "1" : "0", seconds(one.since), one.reason});
  }
  for (const Node::Worker& worker : node.workers()) {
    if (!worker.dedicated || !worker.lease || answer.rows.size() > 2 * most_rows) continue;
    const std::uint32_t slot = worker.process.slot;
    answer.rows.push_back({"actor", to_string(worker.process), std::to_string(worker.pid), segment_.task_name(slot),
                           std::to_string(segment_.running(slot).calls), to_string(worker.owner),
                           std::to_string(private_memory(worker.pid))});
  }
  if (control != nullptr) {
    for (const auto& [name, entry] : control->directory().names()) {
      if (answer.rows.size() > 3 * most_rows) break;
      answer.rows.push_back({"name", name.name, name.space, entry.type, to_string(entry.actor.owner)});
    }
  }
  return answer;
}

Answer Reports::stacks(const Question& question, const Node& node, Time now) {
  Answer answer = answer_of(question);
  for (const Node::Worker& worker : node.workers()) {
    const net::Peer peer = peer_of(worker.process);
    const auto running = segment_.running(peer.slot);
    const bool busy = worker.started && worker.lease && running.calls > 0;
    const char* state = !worker.started    ? "starting"
                        : busy             ? (worker.blocked ? "waiting" : "running")
                        : worker.dedicated ? "actor"
                                           : "idle";
    if (question.number == 1 && busy) pool_.ask_stack(peer);
    const Duration since(now.time_since_epoch().count() - running.since);
    answer.rows.push_back({to_string(worker.process), std::to_string(worker.pid), state,
                           busy || worker.dedicated ? segment_.task_name(peer.slot) : std::string(),
                           running.since == 0 ? "" : seconds(since), to_string(worker.owner),
                           busy && question.number == 0 ? pool_.stack(peer) : std::string(), pool_.program_of(peer)});
  }
  return answer;
}

Answer Reports::timeline(NodeId asker, const Question& question, const Node& node, Time now) {
  Answer answer = answer_of(question);
  answer.number = static_cast<std::uint64_t>(steady_now().time_since_epoch().count());
  const bool first = !read_.contains(asker);
  auto& read = read_[asker];
  segment_.set_tracing(true);
  trace_until_ = now + trace_keep;
  std::uint64_t missed = 0;
  std::vector<net::Segment::TraceEvent> events;
  for (const Node::Worker& worker : node.workers()) {
    const std::uint32_t slot = worker.process.slot;
    std::uint64_t& from = read[slot];
    if (first) {
      // What was there before belongs to whoever asked then.
      std::uint64_t ignored = 0;
      std::vector<net::Segment::TraceEvent> old;
      segment_.read_trace(slot, from, old, ignored);
      continue;
    }
    segment_.read_trace(slot, from, events, missed);
  }
  for (auto& event : events) {
    event.name[sizeof(event.name) - 1] = '\0';
    answer.rows.push_back({event.name, std::to_string(event.begin), std::to_string(event.end),
                           std::to_string(event.pid), std::to_string(event.attempt)});
  }
  answer.rows.push_back({"", std::to_string(node.queued())});
  if (missed > 0) answer.rows.push_back({"", "missed", std::to_string(missed)});
  return answer;
}

void Reports::on_timer(Time now) {
  if (now < trace_until_) return;
  trace_until_ = never;
  segment_.set_tracing(false);
  read_.clear();
}

}  // namespace mobula::daemon
