#include "scheduler/policies/local_first.h"

#include "scheduler/policies/choose.h"

namespace mobula::scheduler {

Decision local_first(const View& view, const Request& request) {
  const Candidates found = candidates(view, request);
  if (found.room_here) return take(view, *found.here, "there is room here");
  const NodeView* best = nullptr;
  for (const NodeView* node : found.others) {
    if (best == nullptr || node->available.amount("cpu") > best->available.amount("cpu")) best = node;
  }
  if (best == nullptr) return without_room(view, request, found);
  return take(view, *best, fmt::format("{} is full, {} has most room", to_string(view.self), best->name));
}

}  // namespace mobula::scheduler
