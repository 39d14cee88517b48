// Where the bundles of a placement group go: the plan of the head, which the nodes then confirm or refuse.
#pragma once

#include <string>
#include <vector>

#include "runtime/wire/placement.h"
#include "scheduler/view/view.h"

namespace mobula::scheduler {

struct GroupPlan {
  std::vector<NodeId> nodes;  // of each bundle; empty: see `reason`
  std::string reason;         // why there is no plan
  bool never = false;         // nor would there be with all nodes idle
};

/// `nodes[i].available` is what may be planned with, `total` what the node has idle. `placed` are bundles that keep
/// their nodes (0: to be placed), so that a group which lost a node is completed; empty: none.
///
///   pack           few nodes: each bundle on a node that has one already, else on the one with most room
///   spread         many nodes: each on the node with fewest bundles of the group, then with most room
///   strict_pack    all on one node
///   strict_spread  no two on one node
///
/// Large bundles first; ties by node id. Greedy: it may miss a packing that a search would find (bin packing is hard),
/// and says so as "no plan now", never as `never`, unless a bundle fits no node at all.
GroupPlan place_group(const std::vector<NodeView>& nodes, wire::GroupStrategy strategy,
                      const std::vector<wire::Bundle>& bundles, const std::vector<NodeId>& placed = {});

}  // namespace mobula::scheduler
