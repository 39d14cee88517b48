#include <mobula/rl/intersection.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace mobula::rl {
namespace {

// Wait and delay so far of every car that arrived on a lane: those that left, then those on the road, then those
// outside. `step_ms` decides since when the latter wait: from the end of the step in which they came.
void collect(const Lane& lane, const Idm& driver, std::int32_t now, std::int32_t step_ms,
             std::vector<std::int32_t>& wait, std::vector<std::int32_t>& delay) {
  wait.assign(lane.finished_waits().begin(), lane.finished_waits().end());
  delay.assign(lane.finished_delays().begin(), lane.finished_delays().end());
  for (int i = 0; i < lane.size(); ++i) {
    wait.push_back(lane.wait(i));
    const double undisturbed = static_cast<double>(lane.position(i) + Lane::approach) / driver.desired_speed;
    const auto lost = now - lane.arrival(i) - std::lround(1000 * undisturbed);
    delay.push_back(static_cast<std::int32_t>(std::max(lost, 0l)));
  }
  for (const std::int32_t arrival : lane.outside_arrivals()) {
    wait.push_back(now - (arrival + step_ms - 1) / step_ms * step_ms);
    delay.push_back(now - arrival);
  }
}

}  // namespace

void Intersection::report(EpisodeReport& out) const {
  std::vector<std::int32_t> wait, delay;
  for (int a = 0; a < approaches; ++a) {
    const Lane& lane = lanes_[a];
    collect(lane, config_.driver, now_, step_ms_, wait, delay);
    const double hours = now_ / 3.6e6;
    const auto throughput = hours > 0 ? std::llround(1000 * static_cast<double>(lane.left()) / hours) : 0;
    const auto queue = now_ > 0 ? 1000 * waited_[a] / now_ : 0;
    for (const std::string_view group : {std::string_view(), group_names[street_of(a)], approach_names[a]}) {
      out.add_samples<std::int32_t>("wait", group, wait);
      out.add_samples<std::int32_t>("delay", group, delay);
      out.add_total("throughput", group, throughput);
      out.add_total("queue", group, queue);
    }
  }
}

}  // namespace mobula::rl
