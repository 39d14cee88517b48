#include "scheduler/policies/policy.h"

#include <algorithm>
#include <array>

#include "scheduler/policies/in_group.h"
#include "scheduler/policies/local_first.h"
#include "scheduler/policies/pack_then_spread.h"
#include "scheduler/policies/random_room.h"
#include "scheduler/policies/spread.h"
#include "scheduler/view/eligible.h"

namespace mobula::scheduler {

namespace {
constexpr std::array all{
    Policy{"pack_then_spread", "to the nearest node that is less than half full, then to the least loaded",
           &pack_then_spread},
    Policy{"local_first", "where the owner is while there is room, then to the freest node", &local_first},
    Policy{"spread", "always to the least loaded node", &spread},
    Policy{"random", "to any node that has room, drawn by the order of arrival", &random_room},
};
}  // namespace

Decision decide_with(Decide otherwise, const View& view, const Request& asked) {
  if (asked.placement.group) return in_group(view, asked);
  Request scratch;
  const Request& request = softened(view, asked, scratch);
  return request.placement.spread ? spread(view, request) : otherwise(view, request);
}

Decision decide(const View& view, const Request& request) {
  return decide_with(&pack_then_spread, view, request);
}

std::span<const Policy> policies() {
  return all;
}
const Policy* find_policy(std::string_view name) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const Policy& policy) { return policy.name == name; });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace mobula::scheduler
