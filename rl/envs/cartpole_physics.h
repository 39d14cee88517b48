#pragma once

#include "rl/envs/lanes.h"

namespace mobula::rl {

// The motion of the cart and its pole during one step, for V of lanes.h: one cart, or eight side by side.
struct CartPolePhysics {
  static constexpr double gravity = 9.8;
  static constexpr double pole_mass = 0.1;
  static constexpr double total_mass = pole_mass + 1.0;
  static constexpr double half_length = 0.5;
  static constexpr double pole_moment = pole_mass * half_length;
  static constexpr double force = 10.0;
  static constexpr double time_step = 0.02;

  template <class V>
  static MOBULA_LANES void advance(V& x, V& x_dot, V& theta, V& theta_dot, V applied) {
    V sine, cosine;
    lanes::sincos(theta, sine, cosine);
    const V push = (applied + pole_moment * (theta_dot * theta_dot) * sine) / total_mass;
    const V angular_acceleration =
        (gravity * sine - cosine * push) / (half_length * (4.0 / 3.0 - pole_mass * (cosine * cosine) / total_mass));
    const V acceleration = push - pole_moment * angular_acceleration * cosine / total_mass;
    x = x + time_step * x_dot;
    x_dot = x_dot + time_step * acceleration;
    theta = theta + time_step * theta_dot;
    theta_dot = theta_dot + time_step * angular_acceleration;
  }
};

}  // namespace mobula::rl
