#pragma once

#include <numbers>

#include "rl/envs/lanes.h"

// The motion of the two links during one step, for V of lanes.h: one pair, or eight side by side.
namespace mobula::rl::acrobot {

inline constexpr double kPi = std::numbers::pi;
inline constexpr double kGravity = 9.8;
inline constexpr double kTimeStep = 0.2;
inline constexpr double kMaxSpeed1 = 4 * kPi;
inline constexpr double kMaxSpeed2 = 9 * kPi;
// Both links: length and mass 1, centre of mass at half the length, moment of inertia 1.
inline constexpr double kLength = 1.0, kCentre = 0.5, kMass = 1.0, kMoment = 1.0;

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

}  // namespace mobula::rl::acrobot
