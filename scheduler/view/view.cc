#include "scheduler/view/view.h"

#include <algorithm>

namespace mobula::scheduler {

const NodeView* View::find(NodeId node) const {
  const auto found = std::find_if(nodes.begin(), nodes.end(), [&](const auto& n) { return n.node == node; });
  return found == nodes.end() ? nullptr : &*found;
}
NodeView* View::find(NodeId node) {
  return const_cast<NodeView*>(static_cast<const View*>(this)->find(node));
}

const char* to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::grant:
      return "grant";
    case Verdict::queue:
      return "queue";
    case Verdict::redirect:
      return "redirect";
    case Verdict::infeasible:
      return "infeasible";
  }
  return "?";
}

}  // namespace mobula::scheduler
