// Hand-written controllers to compare with. Each sees the whole state at every decision, as the agent does, and asks
// for the phase that shall be green. They respect the minimum green because the light does.
#include <mobula/rl/intersection.h>

#include <algorithm>

namespace mobula::rl {
namespace {

using Action = Intersection::Action;

// Webster's plan (see webster.h): a function of how long the present green has lasted.
Action fixed_time(const Intersection& env) {
  const Signal& signal = env.signal();
  const bool over = signal.stage == Signal::Stage::green && signal.elapsed >= env.fixed_green()[signal.phase];
  return {over ? 1 - signal.phase : signal.next};
}

// Varaiya, "Max pressure control of a network of signalized intersections", Transp. Res. C 36, 2013: the phase whose
// movements have the greatest pressure, the cars on the road in minus those on the road out (outside included: they
// are the rest of the road in). Movements here have equal saturation flows. A tie changes nothing.
Action max_pressure(const Intersection& env) {
  std::array<int, 2> pressure{};
  for (int a = 0; a < Intersection::approaches; ++a) {
    const Lane& lane = env.lane(a);
    const int out = lane.first_before_line(), in = lane.size() - out + lane.outside();
    pressure[Intersection::street_of(a)] += in - out;
  }
  const int now = env.signal().next;
  return {pressure[1 - now] > pressure[now] ? 1 - now : now};
}

// The phase of the approach with the most waiting cars, outside included. A tie changes nothing.
Action longest_queue(const Intersection& env) {
  std::array<int, 2> longest{};
  for (int a = 0; a < Intersection::approaches; ++a) {
    const Lane& lane = env.lane(a);
    int queue = lane.outside();
    for (int i = lane.first_before_line(); i < lane.size(); ++i) queue += lane.speed(i) < Lane::waiting_speed ? 1 : 0;
    int& street = longest[Intersection::street_of(a)];
    street = std::max(street, queue);
  }
  const int now = env.signal().next;
  return {longest[1 - now] > longest[now] ? 1 - now : now};
}

constexpr std::array<Baseline<Intersection>, 3> all{
    {{"fixed_time", fixed_time}, {"max_pressure", max_pressure}, {"longest_queue", longest_queue}}};

}  // namespace

std::span<const Baseline<Intersection>> Intersection::baselines() {
  return all;
}

}  // namespace mobula::rl
