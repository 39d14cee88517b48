// Where work may go, and groups of reserved places: what owners ask, what nodes and the head tell each other about it.
// The rules that these fields mean are those of scheduler/policies.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <mobula/result.h>

#include "runtime/base/ids.h"
#include "runtime/base/resources.h"

namespace mobula::wire {

/// A placement group: its creator's process and a number of that process.
struct GroupId {
  ProcessId creator;
  std::uint32_t number = 0;  // never 0 in a valid id
  explicit operator bool() const { return number != 0; }
  auto operator<=>(const GroupId&) const = default;
};

/// What of a request is not an amount.
struct Placement {
  bool spread = false;                        // the least loaded node, not the nearest with room
  std::string node;                           // name or id of the only node that will do; empty: any
  bool soft = false;                          // of `node`: any other while it is not a member, or could never do it
  std::map<std::string, std::string> labels;  // a node's label must be the value; "!v", "in(a,b)", "!in(a,b)"
  GroupId group;                              // inside of what this group reserved
  std::int32_t bundle = -1;                   // of the group; -1: any
  bool durable = false;                       // not on a node that ends with a driver
  bool operator==(const Placement&) const = default;
  bool any() const { return *this == Placement{}; }
};

enum class GroupStrategy : std::uint8_t { pack, spread, strict_pack, strict_spread };

struct Bundle {
  Resources resources;
  std::map<std::string, std::string> labels;  // as Placement::labels
  bool operator==(const Bundle&) const = default;
};

/// Creator to the head (through its node). Answers go to those who sent WatchGroup.
struct CreateGroup {
  GroupId id;
  std::string name;  // for people
  GroupStrategy strategy = GroupStrategy::pack;
  std::vector<Bundle> bundles;
  std::uint64_t job = 0;
  bool operator==(const CreateGroup&) const = default;
};
struct RemoveGroup {
  GroupId id;
  bool operator==(const RemoveGroup&) const = default;
};
/// Any process to the head: tell me when the group is placed, or will never be.
struct WatchGroup {
  GroupId id;
  ProcessId watcher;
  bool operator==(const WatchGroup&) const = default;
};
struct GroupPlaced {
  GroupId id;
  std::vector<NodeId> nodes;  // of each bundle; empty with an error
  Error error;
  bool operator==(const GroupPlaced&) const = default;
};

/// Head to node, first phase: set this aside. Answered by BundleReply: at once, or when leases were given back, or
/// refused when `patience_ms` passed. `attempt` grows with every try of the group.
struct ReserveBundle {
  GroupId id;
  std::uint32_t bundle = 0;
  std::uint32_t attempt = 0;
  std::uint32_t patience_ms = 0;
  Resources resources;
  bool operator==(const ReserveBundle&) const = default;
};
struct BundleReply {
  GroupId id;
  std::uint32_t bundle = 0;
  std::uint32_t attempt = 0;
  bool reserved = false;
  std::string reason;  // why not
  bool operator==(const BundleReply&) const = default;
};
/// Second phase: leases may be taken from it.
struct CommitBundle {
  GroupId id;
  std::uint32_t bundle = 0;
  std::uint32_t attempt = 0;
  bool operator==(const CommitBundle&) const = default;
};
/// Gives a bundle back, in whatever phase it is; its leases' workers are killed.
struct ReturnBundle {
  GroupId id;
  std::uint32_t bundle = 0;
  std::uint32_t attempt = 0;
  std::string reason;
  bool operator==(const ReturnBundle&) const = default;
};

/// In the cluster's view, so that every node knows where a request inside a group belongs.
struct GroupView {
  GroupId id;
  std::vector<NodeId> nodes;  // of each bundle; 0: not placed (yet, or again)
  std::string ended;          // why it is no more; empty: it lives
  bool operator==(const GroupView&) const = default;
};

/// What one job (a driver and all that it started) holds.
struct JobUse {
  std::uint64_t job = 0;
  Resources held;
  bool operator==(const JobUse&) const = default;
};

}  // namespace mobula::wire
