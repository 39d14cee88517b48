#include "rl/envs/acrobot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numbers>

#include "rl/envs/lanes.h"

namespace mobula::rl {
namespace {

constexpr double kPi = std::numbers::pi;
constexpr double kGravity = 9.8;
constexpr double kTimeStep = 0.2;
constexpr double kMaxSpeed1 = 4 * kPi;
constexpr double kMaxSpeed2 = 9 * kPi;
// Both links: length and mass 1, centre of mass at half the length, moment of inertia 1.
constexpr double kLength = 1.0, kCentre = 0.5, kMass = 1.0, kMoment = 1.0;

template <class V>
struct Links {
  V angle1, angle2, speed1, speed2;
};

template <class V>
MOBULA_LANES Links<V> moved(const Links<V>& from, double by, const Links<V>& rate) {
  return {from.angle1 + by * rate.angle1, from.angle2 + by * rate.angle2, from.speed1 + by * rate.speed1,
          from.speed2 + by * rate.speed2};
}

// The equations of motion. cos(x - pi / 2) is written as sin x.
template <class V>
MOBULA_LANES Links<V> rates(const Links<V>& at, V torque) {
  V sine1, cosine1, sine2, cosine2;
  lanes::sincos(at.angle1, sine1, cosine1);
  lanes::sincos(at.angle2, sine2, cosine2);
  const V sine12 = sine1 * cosine2 + cosine1 * sine2;
  constexpr double coupling = kMass * kLength * kCentre;
  const V d1 = kMass * kCentre * kCentre +
               kMass * (kLength * kLength + kCentre * kCentre + 2 * kLength * kCentre * cosine2) + 2 * kMoment;
  const V d2 = kMass * (kCentre * kCentre + kLength * kCentre * cosine2) + kMoment;
  const V phi2 = kMass * kCentre * kGravity * sine12;
  const V phi1 = -coupling * (at.speed2 * at.speed2) * sine2 - 2 * coupling * at.speed2 * at.speed1 * sine2 +
                 (kMass * kCentre + kMass * kLength) * kGravity * sine1 + phi2;
  const V ratio = d2 / d1;
  const V acceleration2 = (torque + ratio * phi1 - coupling * (at.speed1 * at.speed1) * sine2 - phi2) /
                          (kMass * kCentre * kCentre + kMoment - d2 * ratio);
  const V acceleration1 = -(d2 * acceleration2 + phi1) / d1;
  return {at.speed1, at.speed2, acceleration1, acceleration2};
}

// Into [-pi, pi]. A step moves an angle by less than three turns.
template <class V>
MOBULA_LANES V wrap(V x) {
  for (int turn = 0; turn < 3; ++turn) {
    x = x > kPi ? x - 2 * kPi : x;
    x = x < -kPi ? x + 2 * kPi : x;
  }
  return x;
}

template <class V>
MOBULA_LANES V advance(V old, const V& k1, const V& k2, const V& k3, const V& k4) {
  return old + kTimeStep / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4);
}

template <class V>
MOBULA_LANES void swing(Links<V>& links, V torque) {
  const Links<V> k1 = rates(links, torque);
  const Links<V> k2 = rates(moved(links, kTimeStep / 2, k1), torque);
  const Links<V> k3 = rates(moved(links, kTimeStep / 2, k2), torque);
  const Links<V> k4 = rates(moved(links, kTimeStep, k3), torque);
  links.angle1 = wrap(advance(links.angle1, k1.angle1, k2.angle1, k3.angle1, k4.angle1));
  links.angle2 = wrap(advance(links.angle2, k1.angle2, k2.angle2, k3.angle2, k4.angle2));
  links.speed1 =
      lanes::clip(advance(links.speed1, k1.speed1, k2.speed1, k3.speed1, k4.speed1), -kMaxSpeed1, kMaxSpeed1);
  links.speed2 =
      lanes::clip(advance(links.speed2, k1.speed2, k2.speed2, k3.speed2, k4.speed2), -kMaxSpeed2, kMaxSpeed2);
}

// What is seen of a state, and how high the tip is over the pivot.
template <class V>
struct Sight {
  V cosine1, sine1, cosine2, sine2, height;
};
template <class V>
MOBULA_LANES Sight<V> look(const Links<V>& links) {
  Sight<V> sight;
  lanes::sincos(links.angle1, sight.sine1, sight.cosine1);
  lanes::sincos(links.angle2, sight.sine2, sight.cosine2);
  sight.height = -sight.cosine1 - (sight.cosine1 * sight.cosine2 - sight.sine1 * sight.sine2);
  return sight;
}

Acrobot::Observation row_of(const Sight<double>& sight, const std::array<double, 4>& state) {
  return {static_cast<float>(sight.cosine1), static_cast<float>(sight.sine1), static_cast<float>(sight.cosine2),
          static_cast<float>(sight.sine2),   static_cast<float>(state[2]),    static_cast<float>(state[3])};
}

}  // namespace

Acrobot::Observation Acrobot::observation() const {
  return row_of(look(Links<double>{state[0], state[1], state[2], state[3]}), state);
}

Acrobot::Observation Acrobot::reset(Random& random) {
  for (double& x : state) x = static_cast<float>(random.uniform(-0.1, 0.1));
  steps = 0;
  return observation();
}

Step<Acrobot::Observation> Acrobot::step(const Action& action, Random&) {
  Links<double> links{state[0], state[1], state[2], state[3]};
  swing(links, static_cast<double>(action.index - 1));
  state = {links.angle1, links.angle2, links.speed1, links.speed2};
  const auto sight = look(links);
  const bool reached = sight.height > 1.0;
  return {row_of(sight, state), reached ? 0.0 : -1.0, reached, ++steps >= time_limit};
}

void Acrobot::step_batch(std::span<Acrobot> envs, std::span<const float> actions, const StepRows& rows) {
  using namespace lanes;
  for_blocks(
      envs.size(), [&](std::size_t first, auto n) __attribute__((always_inline)) {
        Acrobot* env = envs.data() + first;
        Links<Doubles> links;
        links.angle1 = gather(n, [&](int k) { return env[k].state[0]; });
        links.angle2 = gather(n, [&](int k) { return env[k].state[1]; });
        links.speed1 = gather(n, [&](int k) { return env[k].state[2]; });
        links.speed2 = gather(n, [&](int k) { return env[k].state[3]; });
        swing(links, gather(n, [&](int k) { return static_cast<int>(actions[first + k]) - 1; }));
        const auto sight = look(links);
        const Unpacked a1(links.angle1), a2(links.angle2), v1(links.speed1), v2(links.speed2), height(sight.height);
        const UnpackedFloats c1(sight.cosine1), s1(sight.sine1), c2(sight.cosine2), s2(sight.sine2), f1(links.speed1),
            f2(links.speed2);
        for (int k = 0; k < n; ++k) {
          env[k].state = {a1[k], a2[k], v1[k], v2[k]};
          float* row = rows.observations + (first + k) * 6;
          row[0] = c1[k], row[1] = s1[k], row[2] = c2[k], row[3] = s2[k], row[4] = f1[k], row[5] = f2[k];
          const bool reached = height[k] > 1.0;
          rows.rewards[first + k] = reached ? 0.0 : -1.0;
          rows.terminated[first + k] = reached;
          rows.truncated[first + k] = ++env[k].steps >= env[k].time_limit;
        }
      });
}

std::span<const Baseline<Acrobot>> Acrobot::baselines() {
  static constexpr Baseline<Acrobot> all[] = {
      {"pump", [](const Acrobot& env) { return Action{env.state[3] >= 0 ? 2 : 0}; }}};
  return all;
}

std::string Acrobot::render_text() const {
  constexpr int kLink = 4;
  constexpr int kColumns = 8 * kLink + 1;
  std::string picture[4 * kLink + 1];
  for (auto& row : picture) row.assign(kColumns, ' ');
  const auto draw = [&](double x, double y, char mark) {
    const int column = std::clamp(static_cast<int>(std::lround(kColumns / 2 + 2 * x)), 0, kColumns - 1);
    picture[std::clamp(static_cast<int>(std::lround(2 * kLink - y)), 0, 4 * kLink)][column] = mark;
  };
  for (int column = 0; column < kColumns; column += 2) picture[kLink][column] = '.';  // where the tip has to get to
  double x = 0, y = 0;
  double angle = 0;
  for (int link = 0; link < 2; ++link) {
    angle += state[link];
    for (int r = 1; r <= kLink; ++r) draw(x + r * std::sin(angle), y - r * std::cos(angle), link ? 'o' : '*');
    x += kLink * std::sin(angle), y -= kLink * std::cos(angle);
  }
  draw(0, 0, '+');
  std::string text;
  for (const auto& row : picture) text += row + '\n';
  char line[96];
  std::snprintf(line, sizeof line, "step %d  angles %+.1f %+.1f deg  speeds %+.2f %+.2f rad/s\n", steps,
                state[0] * 180 / kPi, state[1] * 180 / kPi, state[2], state[3]);
  return text + line;
}

}  // namespace mobula::rl
