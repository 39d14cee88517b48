// What a scheduling decision is made from, and what it says. Plain values, so that tests, the simulator and a recorded
// log put the same question and get the same answer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/ids.h"
#include "runtime/base/resources.h"
#include "runtime/wire/message.h"

namespace mobula::scheduler {

using wire::NodeView;

struct Request {
  Resources resources;
  bool may_redirect = true;  // false: another node sent the owner here, not long ago
  std::uint64_t order = 0;   // of arrival: whatever is dealt out or drawn is so by this number
  wire::Placement placement{};
  NodeId near{};                 // where most bytes of its arguments lie
  std::uint64_t near_bytes = 0;  // and how many
  std::vector<NodeId> avoid{};   // nodes that refused it: they cannot run its program
};

struct View {
  NodeId self;
  bool complete = true;         // false: the head has not told the members yet
  std::vector<NodeView> nodes;  // this node among them, with its own exact figures
  std::vector<wire::GroupView> groups{};

  const NodeView* find(NodeId node) const;
  NodeView* find(NodeId node);
};

enum class Verdict : std::uint8_t {
  grant,       // here, now
  queue,       // here, when something is given back (or the members are known)
  redirect,    // to `node`
  infeasible,  // no node has that much, even idle
};
const char* to_string(Verdict verdict);

struct Decision {
  Verdict verdict = Verdict::queue;
  NodeId node{};
  std::string reason{};  // for people: "mobula why" prints it
};

}  // namespace mobula::scheduler
