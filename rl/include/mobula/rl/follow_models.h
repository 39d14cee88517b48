#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>

namespace mobula::rl {

// Car-following models besides the intelligent driver model, with the parameters that the Flow project used. Each is a
// value that gives an acceleration (m/s^2) from `speed`, `lead_speed` (m/s) and `gap` (m, bumper to bumper). None knows
// limits of the car: whoever drives by one clips what it asks for.

// Optimal velocity model with a term for the speed difference (Bando et al., Phys. Rev. E 51, 1995): the wanted speed
// rises from 0 at `stop_gap` to `max_speed` at `go_gap` along half a cosine.
struct OptimalVelocity {
  double gain = 1, lead_gain = 1;    // 1/s
  double stop_gap = 2, go_gap = 15;  // m
  double max_speed = 30;             // m/s

  double operator()(double speed, double lead_speed, double gap) const {
    const double share = std::clamp((gap - stop_gap) / (go_gap - stop_gap), 0.0, 1.0);
    const double wanted = max_speed / 2 * (1 - std::cos(std::numbers::pi * share));
    return gain * (wanted - speed) + lead_gain * (lead_speed - speed);
  }
};

// The same with a wanted speed linear in the gap (Nakayama et al., New J. Phys. 11, 2009: the slope of the ring
// experiment); the car ahead's speed does not matter.
struct LinearOptimalVelocity {
  double slope = 1.689;      // 1/s
  double stop_gap = 5;       // m
  double max_speed = 30;     // m/s
  double adaptation = 0.65;  // s

  double operator()(double speed, double, double gap) const {
    return (std::clamp(slope * (gap - stop_gap), 0.0, max_speed) - speed) / adaptation;
  }
};

// Optimal velocity and follow-the-leader together (Stern et al., Transp. Res. C 89, 2018).
struct BandoFollowTheLeader {
  double gain = 0.5;      // 1/s
  double lead_gain = 20;  // m^2/s
  double stop_gap = 2;    // m
  double max_speed = 32;  // m/s

  double operator()(double speed, double lead_speed, double gap) const {
    const double offset = std::tanh(2.0);
    const double wanted = max_speed * (std::tanh(gap / stop_gap - 2) + offset) / (1 + offset);
    return gain * (wanted - speed) + lead_gain * (lead_speed - speed) / (gap * gap);
  }
};

// Linear in the gap, the speed difference and the wanted speed.
struct LinearFollowing {
  double gap_gain = 1;      // 1/s^2
  double lead_gain = 1;     // 1/s
  double speed_gain = 1;    // 1/s
  double wanted_gap = 1;    // m
  double wanted_speed = 8;  // m/s

  double operator()(double speed, double lead_speed, double gap) const {
    return gap_gain * (gap - wanted_gap) + lead_gain * (lead_speed - speed) + speed_gain * (wanted_speed - speed);
  }
};

// Bilateral control (Horn, IEEE ITSC 2013): the same with an eye on the car behind.
struct BilateralFollowing {
  double gap_gain = 1, lead_gain = 1, speed_gain = 1;
  double wanted_speed = 8;  // m/s

  double operator()(double speed, double lead_speed, double gap, double follower_speed, double gap_behind) const {
    return gap_gain * (gap - gap_behind) + lead_gain * ((lead_speed - speed) - (speed - follower_speed)) +
           speed_gain * (wanted_speed - speed);
  }
};

// Linear adaptive cruise control behind a first-order lag; `acceleration` is its state. A step takes `dt` seconds.
// Flow takes the car's length from the gap once more; its gaps are bumper to bumper already, so here it is not.
struct LinearCruiseControl {
  double gap_gain = 0.3, speed_gain = 0.4;
  double time_headway = 1;  // s
  double lag = 0.1;         // s
  double acceleration = 0;  // m/s^2

  double step(double speed, double lead_speed, double gap, double dt) {
    const double wanted = gap_gain * (gap - time_headway * speed) + speed_gain * (lead_speed - speed);
    return acceleration += (wanted - acceleration) * dt / lag;
  }
};

// Gipps (Transp. Res. B 15, 1981): the smaller of a free and a safe speed, reached within `dt`. Not a number where no
// speed is safe (the root of a negative number), which is what the formula says.
struct Gipps {
  double desired_speed = 30;  // m/s
  double acceleration = 1.5;  // m/s^2
  double braking = -1, lead_braking = -1;
  double standstill_gap = 2;  // m
  double reaction_time = 1;   // s

  double operator()(double speed, double lead_speed, double gap, double dt) const {
    const double ratio = speed / desired_speed, tau = reaction_time;
    const double free = speed + 2.5 * acceleration * tau * (1 - ratio) * std::sqrt(0.025 + ratio);
    const double root = tau * tau * braking * braking -
                        braking * (2 * (gap - standstill_gap) - tau * speed - lead_speed * lead_speed / lead_braking);
    const double safe = tau * braking + std::sqrt(root);
    return std::isnan(safe) ? safe : (std::min({free, safe, desired_speed}) - speed) / dt;
  }
};

// Krauss (dissertation, Cologne 1998): the highest speed from which a car that reacts after tau and brakes at b still
// stops behind one that brakes at b too:  -b tau + sqrt(b^2 tau^2 + v_lead^2 + 2 b (gap - s0)). At least 0.
struct Krauss {
  double desired_speed = 30;                 // m/s
  double acceleration = 2.6, braking = 4.5;  // m/s^2
  double reaction_time = 1;                  // s
  double standstill_gap = 2.5;               // m

  double safe_speed(double lead_speed, double gap) const {
    const double bt = braking * reaction_time;
    const double squared = bt * bt + lead_speed * lead_speed + 2 * braking * (gap - standstill_gap);
    return std::max(0.0, std::sqrt(std::max(0.0, squared)) - bt);
  }
  double operator()(double speed, double lead_speed, double gap, double dt) const {
    const double wanted = std::min({desired_speed, speed + acceleration * dt, safe_speed(lead_speed, gap)});
    return (std::max({0.0, speed - braking * dt, wanted}) - speed) / dt;
  }
};

}  // namespace mobula::rl
