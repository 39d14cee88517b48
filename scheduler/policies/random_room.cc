#include "scheduler/policies/random_room.h"

#include "scheduler/policies/choose.h"

namespace mobula::scheduler {

Decision random_room(const View& view, const Request& request) {
  Candidates found = candidates(view, request);
  if (found.room_here) found.others.push_back(found.here);
  if (found.others.empty()) return without_room(view, request, found);
  const NodeView& drawn = *found.others[hash_mix(view.self.value, request.order) % found.others.size()];
  return take(view, drawn, fmt::format("{} was drawn of {} with room", drawn.name, found.others.size()));
}

}  // namespace mobula::scheduler
