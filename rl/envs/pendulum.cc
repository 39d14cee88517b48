#include "rl/envs/pendulum.h"

#include <cmath>
#include <cstdio>

#include "rl/envs/pendulum_physics.h"

namespace mobula::rl {
namespace {

using namespace pendulum;
}  // namespace

Pendulum::Observation Pendulum::observation() const {
  double sine, cosine;
  lanes::sincos(state[0], sine, cosine);
  return {static_cast<float>(cosine), static_cast<float>(sine), static_cast<float>(state[1])};
}

Pendulum::Observation Pendulum::reset(Random& random) {
  state[0] = random.uniform(-kPi, kPi);
  state[1] = random.uniform(-1.0, 1.0);
  steps = 0;
  return observation();
}

template <class Real>
Step<Pendulum::Observation> Pendulum::advance(Real torque) {
  constexpr Real limit = static_cast<Real>(kMaxTorque);
  const Real u = torque < -limit ? -limit : torque > limit ? limit : torque;
  const Real push = static_cast<Real>(3.0 / (kMass * kLength * kLength)) * u;
  const Real charge = static_cast<Real>(0.001) * (u * u);
  const double reward = swing(state[0], state[1], static_cast<double>(push), static_cast<double>(charge), gravity);
  return {observation(), reward, false, ++steps >= time_limit};
}
template Step<Pendulum::Observation> Pendulum::advance(float);
template Step<Pendulum::Observation> Pendulum::advance(double);

void Pendulum::step_batch(std::span<Pendulum> envs, std::span<const float> actions, const StepRows& rows) {
  using namespace lanes;
  for_blocks(
      envs.size(), [&](std::size_t first, auto n) __attribute__((always_inline)) {
        Pendulum* env = envs.data() + first;
        Doubles angle = gather(n, [&](int k) { return env[k].state[0]; });
        Doubles speed = gather(n, [&](int k) { return env[k].state[1]; });
        const Doubles gravity = gather(n, [&](int k) { return env[k].gravity; });
        Floats u;
        for (int k = 0; k < kWidth; ++k) u[k] = actions[first + (k < n ? k : 0)];
        constexpr float limit = static_cast<float>(kMaxTorque);
        u = u < -limit ? Floats{} - limit : u;
        u = u > limit ? Floats{} + limit : u;
        const Floats push = static_cast<float>(3.0 / (kMass * kLength * kLength)) * u;
        const Floats charge = 0.001f * (u * u);
        const Unpacked reward(swing(angle, speed, __builtin_convertvector(push, Doubles),
                                    __builtin_convertvector(charge, Doubles), gravity));
        Doubles sine, cosine;
        sincos(angle, sine, cosine);
        const Unpacked angles(angle), speeds(speed);
        const UnpackedFloats c(cosine), s(sine), v(speed);
        for (int k = 0; k < n; ++k) {
          env[k].state = {angles[k], speeds[k]};
          float* row = rows.observations + (first + k) * 3;
          row[0] = c[k], row[1] = s[k], row[2] = v[k];
          rows.rewards[first + k] = reward[k];
          rows.terminated[first + k] = 0;
          rows.truncated[first + k] = ++env[k].steps >= env[k].time_limit;
        }
      });
}

std::span<const Baseline<Pendulum>> Pendulum::baselines() {
  static constexpr Baseline<Pendulum> all[] = {
      {"swing_up", [](const Pendulum& env) -> Action {
         const double angle = wrap(env.state[0]), speed = env.state[1];
         // Kinetic and potential energy of the rod, 0 at rest upright.
         const double energy = speed * speed / 6 + env.gravity * (std::cos(angle) - 1) / 2;
         const bool near = std::abs(angle) < 0.4 && std::abs(speed) < 2.5;
         const double torque = near                           ? -(12 * angle + 3 * speed)
                               : (energy < 0) == (speed >= 0) ? kMaxTorque
                                                              : -kMaxTorque;
         return {{static_cast<float>(lanes::clip(torque, -kMaxTorque, kMaxTorque))}};
       }}};
  return all;
}

std::string Pendulum::render_text() const {
  constexpr int kRadius = 5;
  std::string text;
  for (int y = kRadius; y >= -kRadius; --y) {
    std::string row(4 * kRadius + 1, ' ');
    for (int r = 1; r <= kRadius; ++r) {
      if (std::lround(r * std::cos(state[0])) != y) continue;
      row[2 * kRadius + static_cast<int>(std::lround(-2.0 * r * std::sin(state[0])))] = r == kRadius ? 'O' : '*';
    }
    if (y == 0) row[2 * kRadius] = '+';
    text += row + '\n';
  }
  char line[80];
  std::snprintf(line, sizeof line, "step %d  angle %+.1f deg  speed %+.2f rad/s\n", steps, wrap(state[0]) * 180 / kPi,
                state[1]);
  return text + line;
}

}  // namespace mobula::rl
