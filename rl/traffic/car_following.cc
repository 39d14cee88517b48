#include <mobula/fields.h>
#include <mobula/rl/car_following.h>

namespace mobula::rl {

void Idm::describe(Fields& f) {
  f("desired_speed", desired_speed, {.unit = "m/s", .min = 5, .max = 40, .help = "Speed on a free road."});
  f("time_headway", time_headway, {.unit = "s", .min = 0.8, .max = 3, .help = "Time gap kept to the car ahead."});
  f("acceleration", acceleration, {.unit = "m/s^2", .min = 0.5, .max = 4, .help = "Acceleration from standstill."});
  f("deceleration", deceleration, {.unit = "m/s^2", .min = 1, .max = 6, .help = "Comfortable braking."});
  f("standstill_gap", standstill_gap, {.unit = "m", .min = 1.5, .max = 4, .help = "Gap between cars in a queue."});
  f("length", length, {.unit = "m", .min = 3.5, .max = 8, .help = "Length of a car."});
}

double equilibrium_gap(const Idm& driver, double speed) {
  const double free = 1 - std::pow(speed / driver.desired_speed, 4);
  return (driver.standstill_gap + speed * driver.time_headway) / std::sqrt(free);
}

double equilibrium_speed(const Idm& driver, double gap) {
  double low = 0, high = driver.desired_speed;  // the gap grows with the speed: bisection to the last bit
  for (double middle = high / 2; low < middle && middle < high; middle = low + (high - low) / 2)
    (equilibrium_gap(driver, middle) < gap ? low : high) = middle;
  return low;
}

double capacity(const Idm& driver) {
  // The flow has one maximum over (0, v0): golden-section search.
  const auto flow = [&](double speed) { return 3600 * speed / (equilibrium_gap(driver, speed) + driver.length); };
  const double ratio = (std::sqrt(5.0) - 1) / 2;
  double low = 0, high = driver.desired_speed * (1 - 1e-9);
  while (high - low > 1e-9) {
    const double left = high - ratio * (high - low), right = low + ratio * (high - low);
    if (flow(left) < flow(right)) {
      low = left;
    } else {
      high = right;
    }
  }
  return flow((low + high) / 2);
}

}  // namespace mobula::rl
