// The log of decisions, one event a line, for people, scripts and replay:
//
//     12.000350 node n=f1c2... name=host total=cpu:4,gpu:1 label.zone=a
//     12.000410 ask  n=f1c2... owner=f1c2...:1.1 tag=3 order=7 cpu:1 spread=1 -> redirect n=0a77... host is full, ...
//     12.000900 lease n=f1c2... lease=5 owner=f1c2...:1.1 tag=3 order=7 cpu:1
//     13.000900 end  n=f1c2... lease=5
//
// Times are seconds of the writer's clock; the shell that writes the file puts them in front.
#pragma once

#include <cstdint>
#include <string>

#include <mobula/result.h>

#include "scheduler/view/view.h"

namespace mobula::scheduler::log {

struct Event {
  enum class Kind : std::uint8_t { node, ask, lease, end } kind = Kind::node;
  double at = 0;
  NodeId node;
  NodeView view;            // node
  ProcessId owner;          // ask, lease
  std::uint64_t tag = 0;    // ask, lease
  Request request;          // ask, lease: what is asked for
  Decision decision;        // ask
  std::uint64_t lease = 0;  // lease, end
};

// Without the time.
std::string node_line(const NodeView& node);
std::string ask_line(NodeId node, const ProcessId& owner, std::uint64_t tag, const Request& request,
                     const Decision& decision);
std::string lease_line(NodeId node, std::uint64_t lease, const ProcessId& owner, std::uint64_t tag,
                       const Request& request);
std::string end_line(NodeId node, std::uint64_t lease);

/// A whole line, with its time. The error says what could not be read.
Result<Event> parse(const std::string& line);

}  // namespace mobula::scheduler::log
