// Hand-written drivers of the automated car. They see what a driver sees, but for the equilibrium speed that
// FollowerStopper is told, and obey the limits of the action: what they ask for beyond is cut off.
#include <mobula/rl/ring.h>

#include <algorithm>
#include <array>

namespace mobula::rl {
namespace {

Ring::Action within_limits(double acceleration) {
  return {{static_cast<float>(std::clamp(acceleration, -1.0, 1.0))}};
}

Ring::Action towards(const Ring& env, double speed) {
  return within_limits((speed - env.speeds()[0]) / (env.config().time_step * env.config().steps_per_decision));
}

Ring::Action human(const Ring& env) {
  return within_limits(env.human_acceleration());
}

Ring::Action follower_stopper(const Ring& env) {
  const FollowerStopper law{.wanted_speed = env.equilibrium_speed()};
  return towards(env, law.command(env.speeds()[0], env.speeds()[1], env.gaps()[0]));
}

Ring::Action pi_saturation(const Ring& env) {
  return towards(env, env.pi().command());
}

constexpr std::array<Baseline<Ring>, 3> all{
    {{"human", human}, {"follower_stopper", follower_stopper}, {"pi_saturation", pi_saturation}}};

}  // namespace

std::span<const Baseline<Ring>> Ring::baselines() {
  return all;
}

}  // namespace mobula::rl
