// Placement groups: the head's half of their reservation in two phases. It plans (scheduler/policies/place_group),
// asks each node to set its bundles aside, and only when all have does it tell them to give leases from them; if one
// cannot, all give back. Capacity is each node's own to refuse, so it is never exceeded, whatever the head believes.
//
// One group is reserved at a time, so that two groups never hold halves of what both need. A group that loses a node
// keeps its other bundles and is completed elsewhere.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/ids.h"
#include "runtime/base/time.h"
#include "runtime/wire/message.h"

namespace mobula {

class Groups {
 public:
  struct Sink {
    std::function<void(NodeId, wire::Message&&)> to_node;
    std::function<void(const ProcessId&, wire::Message&&)> to_process;
    std::function<void()> changed;  // views() are others now
  };
  /// `may_grow`: nodes may still join, so what fits no member waits; else it is refused at once.
  explicit Groups(Sink sink, bool may_grow = false) : sink_(std::move(sink)), may_grow_(may_grow) {}

  void create(const wire::CreateGroup& message, const std::vector<wire::NodeView>& members, Time now);
  /// From now on groups wait, until settle(): this head took the place of one that died, and hears from the members
  /// what was made and where it lies, in any order.
  void unsettle() { settled_ = false; }
  /// A bundle that a node keeps since then. In settle() its group gets it, if there is one that lacks it and whose
  /// strategy allows it there; else it is given back.
  void found(NodeId node, const wire::HeldBundle& bundle);
  void settle(const std::vector<wire::NodeView>& members, Time now);
  void remove(const wire::GroupId& id, const std::string& reason, const std::vector<wire::NodeView>& members, Time now);
  void watch(const wire::WatchGroup& message);
  void on_reply(NodeId from, const wire::BundleReply& message, const std::vector<wire::NodeView>& members, Time now);
  void node_died(NodeId node, const std::vector<wire::NodeView>& members, Time now);
  void process_died(const ProcessId& process, const std::vector<wire::NodeView>& members, Time now);
  /// The members, or what they have free, changed: groups that wait are tried again.
  void members_changed(const std::vector<wire::NodeView>& members, Time now);
  void on_timer(const std::vector<wire::NodeView>& members, Time now);
  Time next_timer() const { return retry_; }

  std::vector<wire::GroupView> views() const;
  /// Lines for `mobula why`: groups that wait, and for what.
  std::vector<std::string> waiting(Time now) const;

 private:
  enum class Phase : std::uint8_t { none, asked, reserved, committed };
  struct Slot {
    NodeId node;
    Phase phase = Phase::none;
    std::uint32_t attempt = 0;  // under which the node knows it
  };
  struct Group {
    wire::CreateGroup spec;
    std::vector<Slot> slots;
    std::vector<ProcessId> watchers;
    std::uint32_t attempt = 0;
    std::string why;    // it is not placed
    std::string ended;  // why it is no more
    ErrorCode ended_code = ErrorCode::none;
    Time since{};
    std::vector<NodeId> refused;  // by these nodes in the last attempt
    bool placed() const;
    bool may_have(NodeId node) const;  // a further bundle there, by its strategy
  };

  Group* find(const wire::GroupId& id);
  void end(Group& group, ErrorCode code, const std::string& reason);
  void tell(Group& group);
  void try_next(const std::vector<wire::NodeView>& members, Time now);
  bool begin(Group& group, const std::vector<wire::NodeView>& members, Time now);
  void conclude(Group& group, const std::vector<wire::NodeView>& members, Time now);
  std::vector<wire::NodeView> capacity(const std::vector<wire::NodeView>& members) const;

  const Sink sink_;
  const bool may_grow_;
  std::list<Group> groups_;  // in order of creation; ended ones for a while
  wire::GroupId reserving_;  // in its first phase
  std::uint32_t last_attempt_ = 0;
  bool settled_ = true;
  std::vector<std::pair<NodeId, wire::HeldBundle>> found_;
  Time retry_ = never;
};

}  // namespace mobula
