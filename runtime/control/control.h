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
#include "runtime/control/directory.h"
#include "runtime/control/groups.h"
#include "runtime/wire/message.h"

namespace mobula {

struct ControlOptions {
  NodeId self;            // the head's own node: it cannot be dead while this runs
  bool may_grow = false;  // nodes may join: placement groups that fit nowhere wait
  Duration heartbeat_timeout = std::chrono::milliseconds(2500);  // silence after which a node is dead
  Duration look_every = std::chrono::milliseconds(500);     // if it looks less than half as often, it was itself away
  Duration disconnect_grace = std::chrono::seconds(1);      // the same, once its connection closed
  Duration view_interval = std::chrono::milliseconds(100);  // at most this often do changes of load go out
  // How long members of a head that was here before may take to find this one. Until they have, names and groups are
  // not given away. 0: there was none, for nobody could find this one at the address of another.
  Duration settle = Duration{0};
};

class ControlSink {
 public:
  /// To the node's slot 0; in order, reliable.
  virtual void send(NodeId to, wire::Message&& message) = 0;
  /// To any process, through its node.
  virtual void send(const ProcessId& to, wire::Message&& message) = 0;
  /// The head's process makes this actor and owns it (runtime/owner/keeper.h).
  virtual ActorId keep(const wire::CreateDetached& wanted) = 0;
  /// For the log, and for the shell to drop its link.
  virtual void node_died(NodeId node, const std::string& reason) = 0;
  /// One that only asked a question, and was no member, hung up: its link is of no use any more.
  virtual void visitor_left(NodeId visitor) = 0;
  /// Of the head's own node; the others' come with their heartbeats.
  virtual wire::StoreUse own_store() { return {}; }

 protected:
  ~ControlSink() = default;
};

/// A state machine. Names and placement groups live here, and through its sink detached actors: what outlives a driver.
/// Nothing of it is on a disk: a head that takes the place of one that died learns from the members what there was
/// (docs/internals/head.md).
class Control {
 public:
  Control(ControlOptions options, ControlSink& sink);

  /// False if the message is not for the head.
  bool on_message(NodeId from, const wire::Message& message, Time now);
  /// The connection to a node closed, or is back (any message also tells that it is back).
  void on_disconnected(NodeId node, Time now);
  void on_connected(NodeId node, Time now);
  /// Any process of any node, in order with its messages.
  void on_process_died(const ProcessId& process, Time now);
  void on_timer(Time now);
  Time next_timer() const;

  const Directory& directory() const { return directory_; }
  const std::vector<wire::NodeView>& members() const { return view_.nodes; }

 private:
  struct Member {
    Time last_heard;
    Time disconnected = never;         // since when
    std::vector<wire::JobUse> jobs{};  // what each holds there
    wire::StoreUse store{};
    bool awaited = false;  // the head before this one had it; it has not come yet
  };
  struct Buried {
    std::string name, reason;
    Time when;
    bool before = false;  // by the head before this one
  };
  wire::NodeView* find(NodeId node);
  bool on_name_message(const wire::Message& message, Time now);
  void on_why(const wire::Why& message, Time now);
  bool on_group_message(NodeId from, const wire::Message& message, Time now);
  bool take(NodeId from, const wire::Message& message, Time now);
  void join(NodeId from, const wire::NodeView& self, Time now);
  void rejoin(NodeId from, const wire::RejoinCluster& message, Time now);
  bool awaits() const;
  /// Kept for later, because those who were here before may have more to say.
  bool waits_for_the_rest(NodeId from, const wire::Message& message);
  void settle_if_all_are_here(Time now);
  void tell_groups(Time now);
  void changed(Time now);
  void broadcast_view(Time now);
  void bury(NodeId node, const std::string& reason, Time now);
  Time deadline(const Member& member) const;
  void look(Time now);
  wire::StatusReply status(Time now) const;

  const ControlOptions options_;
  ControlSink& sink_;
  std::map<NodeId, Member> members_;
  wire::ClusterView view_;
  Directory directory_;
  Groups groups_;
  bool groups_dirty_ = false;
  std::map<NodeId, Buried> buried_;  // ids that may not come back, and why
  std::set<NodeId> visitors_;        // who asked and is connected, but is no member
  bool settling_ = false;
  bool someone_returned_ = false;                          // ... and said whom to wait for
  Time settle_until_ = never;                              // ... or nobody does
  std::vector<std::pair<NodeId, wire::Message>> waiting_;  // until all is settled, in order
  bool view_dirty_ = false;
  Time view_sent_{};
  Time view_due_ = never;
  Time looked_{};
};

}  // namespace mobula
