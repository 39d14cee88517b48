#pragma once

#include <numbers>

#include "rl/envs/lanes.h"

// The motion of the pendulum during one step, for V of lanes.h: one pendulum, or eight side by side.
namespace mobula::rl::pendulum {

inline constexpr double kPi = std::numbers::pi;
inline constexpr double kTimeStep = 0.05;
inline constexpr double kMaxSpeed = 8.0;
inline constexpr double kMaxTorque = 2.0;
inline constexpr double kLength = 1.0;
inline constexpr double kMass = 1.0;

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

}  // namespace mobula::rl::pendulum
