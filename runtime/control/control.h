// The head: who is a member, what each node has free, who is dead. It is not on the path of a task, an actor call or an
// object: while it is away, running work goes on.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "runtime/base/ids.h"
#include "runtime/base/time.h"
#include "runtime/wire/message.h"

namespace mobula {

struct ControlOptions {
  NodeId self;                                              // the head's own node: it cannot be dead while this runs
  Duration heartbeat_timeout = std::chrono::seconds(5);     // silence after which a node is dead
  Duration disconnect_grace = std::chrono::seconds(1);      // the same, once its connection closed
  Duration view_interval = std::chrono::milliseconds(100);  // at most this often do changes of load go out
};

class ControlSink {
 public:
  /// To the node's slot 0; in order, reliable.
  virtual void send(NodeId to, wire::Message&& message) = 0;
  /// For the log, and for the shell to drop its link.
  virtual void node_died(NodeId node, const std::string& reason) = 0;
  /// One that only asked a question, and was no member, hung up: its link is of no use any more.
  virtual void visitor_left(NodeId visitor) = 0;

 protected:
  ~ControlSink() = default;
};

/// A state machine. Names and detached actors will live here as well: they are what outlives a driver.
class Control {
 public:
  Control(ControlOptions options, ControlSink& sink);

  /// False if the message is not for the head.
  bool on_message(NodeId from, const wire::Message& message, Time now);
  /// The connection to a node closed, or is back (any message also tells that it is back).
  void on_disconnected(NodeId node, Time now);
  void on_connected(NodeId node, Time now);
  void on_timer(Time now);
  Time next_timer() const;

  const std::vector<wire::NodeView>& members() const { return view_.nodes; }

 private:
  struct Member {
    Time last_heard;
    Time disconnected = never;  // since when
  };
  struct Buried {
    std::string name, reason;
    Time when;
  };
  wire::NodeView* find(NodeId node);
  void changed(Time now);
  void broadcast_view(Time now);
  void bury(NodeId node, const std::string& reason, Time now);
  Time deadline(const Member& member) const;
  wire::StatusReply status(Time now) const;

  const ControlOptions options_;
  ControlSink& sink_;
  std::map<NodeId, Member> members_;
  wire::ClusterView view_;
  std::map<NodeId, Buried> buried_;  // ids that may not come back, and why
  std::set<NodeId> visitors_;        // who asked and is connected, but is no member
  bool view_dirty_ = false;
  Time view_sent_{};
  Time view_due_ = never;
};

}  // namespace mobula
