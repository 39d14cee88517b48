#include "rl/envs/pendulum.h"

#include <cmath>
#include <cstdio>
#include <numbers>

#include "rl/envs/lanes.h"

namespace mobula::rl {
namespace {

constexpr double kPi = std::numbers::pi;
constexpr double kTimeStep = 0.05;
constexpr double kMaxSpeed = 8.0;
constexpr double kMaxTorque = 2.0;
constexpr double kLength = 1.0;
constexpr double kMass = 1.0;

// The angle in [-pi, pi): ((x + pi) mod 2 pi) - pi. The remainder is exact, as fmod's is.
template <class V>
MOBULA_LANES V wrap(V x) {
  const V shifted = x + kPi;
  V remainder = lanes::fma(lanes::floor(shifted / (2 * kPi)), -2 * kPi, shifted);
  remainder = remainder < 0.0 ? remainder + 2 * kPi : remainder;
  remainder = remainder >= 2 * kPi ? remainder - 2 * kPi : remainder;
  return remainder - kPi;
}

// `push` is 3 u / (m l^2) and `charge` 0.001 u^2, in the precision of the torque u. Returns the reward.
template <class V>
MOBULA_LANES V swing(V& angle, V& speed, V push, V charge, V gravity) {
  const V wrapped = wrap(angle);
  const V reward = -(wrapped * wrapped + 0.1 * (speed * speed) + charge);
  V sine, cosine;
  lanes::sincos(angle, sine, cosine);
  speed = lanes::clip(speed + (3.0 * gravity / (2.0 * kLength) * sine + push) * kTimeStep, -kMaxSpeed, kMaxSpeed);
  angle = angle + speed * kTimeStep;
  return reward;
}

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
