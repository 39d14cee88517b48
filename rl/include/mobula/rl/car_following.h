#pragma once

#include <algorithm>
#include <cmath>

namespace mobula {
class Fields;
}

namespace mobula::rl {

// The driver of the intelligent driver model (Treiber, Hennecke, Helbing, Phys. Rev. E 62, 2000), the exponent of the
// free term being 4. The defaults are a city driver, calibrated at steps of 0.5 s to what the Highway Capacity Manual
// expects of a lane in a city: a queue discharges at 1,800 vehicles an hour after a start-up loss of 2 s.
struct Idm {
  double desired_speed = 13.9;  // m/s (50 km/h)
  double time_headway = 0.95;   // s, to the car ahead
  double acceleration = 1.6;    // m/s^2, from standstill on a free road
  double deceleration = 3.0;    // m/s^2, comfortable
  double standstill_gap = 2.0;  // m, bumper to bumper in a queue
  double length = 5.0;          // m, of the car itself

  void describe(Fields& fields);
};

// Acceleration (m/s^2) at `speed` behind a car with `lead_speed`, `gap` metres ahead (bumper to bumper, positive):
//   a (1 - (v/v0)^4 - (s*/s)^2),  s* = s0 + max(0, v T + v (v - v_lead) / (2 sqrt(a b)))
// The desired gap s* never falls below s0, as in Flow and SUMO. Plain arithmetic without branches: a loop over arrays
// becomes vector code.
template <class Real>
struct IdmLaw {
  Real acceleration, inverse_desired_speed, time_headway, inverse_two_sqrt_ab, standstill_gap;

  explicit IdmLaw(const Idm& driver)
      : acceleration(static_cast<Real>(driver.acceleration)),
        inverse_desired_speed(static_cast<Real>(1 / driver.desired_speed)),
        time_headway(static_cast<Real>(driver.time_headway)),
        inverse_two_sqrt_ab(static_cast<Real>(0.5 / std::sqrt(driver.acceleration * driver.deceleration))),
        standstill_gap(static_cast<Real>(driver.standstill_gap)) {}

  Real operator()(Real speed, Real lead_speed, Real gap) const {
    const Real ratio = speed * inverse_desired_speed;
    const Real squared = ratio * ratio;
    const Real dynamic = speed * time_headway + speed * (speed - lead_speed) * inverse_two_sqrt_ab;
    const Real desired = (standstill_gap + std::max(Real(0), dynamic)) / gap;
    return acceleration * (Real(1) - squared * squared - desired * desired);
  }
};

// The gap (m) at which a platoon keeps `speed` (below the desired one) for ever.
double equilibrium_gap(const Idm& driver, double speed);

// The inverse: the speed (m/s) that a platoon keeps at this gap; 0 at the standstill gap and below.
double equilibrium_speed(const Idm& driver, double gap);

// The highest flow (vehicles/h) that a platoon in equilibrium can carry: the largest 3600 v / (gap(v) + length).
double capacity(const Idm& driver);

}  // namespace mobula::rl
