#include "rl/envs/cartpole.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "rl/envs/cartpole_physics.h"

namespace mobula::rl {
namespace {

constexpr double kPositionLimit = 2.4;
constexpr double kAngleLimit = 12 * 2 * 3.14159265358979323846 / 360;

bool fell(double x, double theta) {
  return x < -kPositionLimit || x > kPositionLimit || theta < -kAngleLimit || theta > kAngleLimit;
}

}  // namespace

CartPole::Observation CartPole::observation() const {
  return {static_cast<float>(state[0]), static_cast<float>(state[1]), static_cast<float>(state[2]),
          static_cast<float>(state[3])};
}

CartPole::Observation CartPole::reset(Random& random) {
  for (double& x : state) x = random.uniform(-0.05, 0.05);
  steps = 0;
  return observation();
}

Step<CartPole::Observation> CartPole::step(const Action& action, Random&) {
  auto& [x, x_dot, theta, theta_dot] = state;
  CartPolePhysics::advance(x, x_dot, theta, theta_dot,
                           action.index == 1 ? CartPolePhysics::force : -CartPolePhysics::force);
  ++steps;
  return {observation(), 1.0, fell(x, theta), steps >= time_limit};
}

void CartPole::step_batch(std::span<CartPole> envs, std::span<const float> actions, const StepRows& rows) {
  using namespace lanes;
  for_blocks(
      envs.size(), [&](std::size_t first, auto n) __attribute__((always_inline)) {
        CartPole* env = envs.data() + first;
        Doubles x = gather(n, [&](int k) { return env[k].state[0]; });
        Doubles x_dot = gather(n, [&](int k) { return env[k].state[1]; });
        Doubles theta = gather(n, [&](int k) { return env[k].state[2]; });
        Doubles theta_dot = gather(n, [&](int k) { return env[k].state[3]; });
        CartPolePhysics::advance(x, x_dot, theta, theta_dot, gather(n, [&](int k) {
                                   return static_cast<int>(actions[first + k]) == 1 ? CartPolePhysics::force
                                                                                    : -CartPolePhysics::force;
                                 }));
        const Unpacked a(x), b(x_dot), c(theta), d(theta_dot);
        const UnpackedFloats fa(x), fb(x_dot), fc(theta), fd(theta_dot);
        for (int k = 0; k < n; ++k) {
          env[k].state = {a[k], b[k], c[k], d[k]};
          float* row = rows.observations + (first + k) * 4;
          row[0] = fa[k], row[1] = fb[k], row[2] = fc[k], row[3] = fd[k];
          rows.rewards[first + k] = 1.0;
          rows.terminated[first + k] = fell(a[k], c[k]);
          rows.truncated[first + k] = ++env[k].steps >= env[k].time_limit;
        }
      });
}

std::span<const Baseline<CartPole>> CartPole::baselines() {
  static constexpr Baseline<CartPole> all[] = {
      {"lean", [](const CartPole& env) { return Action{env.state[2] + env.state[3] > 0 ? 1 : 0}; }}};
  return all;
}

std::string CartPole::render_text() const {
  constexpr int kWidth = 49;
  std::string track(kWidth, '-');
  const double place = (state[0] / kPositionLimit + 1) / 2 * (kWidth - 1);
  const int cart = std::clamp(static_cast<int>(std::lround(place)), 0, kWidth - 1);
  track[cart] = '#';
  std::string text;
  for (int height = 4; height >= 1; --height) {
    std::string row(kWidth, ' ');
    const int column = cart + static_cast<int>(std::lround(2.0 * height * std::sin(state[2])));
    if (column >= 0 && column < kWidth) row[column] = state[2] > 0.05 ? '/' : state[2] < -0.05 ? '\\' : '|';
    text += row + '\n';
  }
  char line[80];
  std::snprintf(line, sizeof line, "\nstep %d  x %+.2f m  angle %+.1f deg\n", steps, state[0],
                state[2] * 180 / 3.14159265358979323846);
  return text + track + line;
}

}  // namespace mobula::rl
