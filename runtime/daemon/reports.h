// What a node tells people of itself: rows of text, each of a kind.
#pragma once

#include <cstdint>
#include <map>

#include "runtime/base/ids.h"
#include "runtime/base/time.h"
#include "runtime/control/control.h"
#include "runtime/daemon/inquiry.h"
#include "runtime/daemon/worker_pool.h"
#include "runtime/net/segment.h"
#include "runtime/node/node.h"

namespace mobula::daemon {

class Reports {
 public:
  Reports(WorkerPool& pool, net::Segment& segment) : pool_(pool), segment_(segment) {}

  // Topic::details. Rows:
  //   memory   used bytes, limit, of what
  //   request  who asks, workers, resources of each, 1 for an actor's, seconds, reason
  //   actor    process, pid, name of its last call, calls on their way, owner, bytes of its own
  //   name     (of the head) name, namespace, class, owner
  Answer details(const Question& question, const Node& node, const Control* control, Time now) const;
  // Topic::stacks. number 1: makes workers write down where they are; 0: says what is known. Rows: process, pid,
  // state (starting, idle, running, waiting, actor), name, seconds, owner, backtrace, program.
  Answer stacks(const Question& question, const Node& node, Time now);
  // Topic::timeline. Writes down what ends until a second after the last of these questions. number of the answer: now
  // on this node's clock, in ns. Rows: name, begin, end (ns), pid, attempt; "" and the number of requests that wait; ""
  // and "missed" and how many events were written over before they were read.
  Answer timeline(NodeId asker, const Question& question, const Node& node, Time now);

  void on_timer(Time now);
  Time next_timer() const { return trace_until_; }

 private:
  WorkerPool& pool_;
  net::Segment& segment_;
  Time trace_until_ = never;
  std::map<NodeId, std::map<std::uint32_t, std::uint64_t>> read_;  // by asker and slot: the next event
};

}  // namespace mobula::daemon
