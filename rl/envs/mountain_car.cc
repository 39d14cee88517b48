#include "rl/envs/mountain_car.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <type_traits>

#include "rl/envs/lanes.h"

namespace mobula::rl {
namespace {

constexpr double kLeft = -1.2, kRight = 0.6;
constexpr double kMaxSpeed = 0.07;
constexpr double kGravity = 0.0025;
constexpr double kForce = 0.001, kGoal = 0.5;
constexpr double kPower = 0.0015, kContinuousGoal = 0.45;

template <class V>
MOBULA_LANES void drive(V& position, V& velocity, V push) {
  V sine, cosine;
  lanes::sincos(3.0 * position, sine, cosine);
  velocity = lanes::clip(velocity + (push + cosine * -kGravity), -kMaxSpeed, kMaxSpeed);
  position = lanes::clip(position + velocity, kLeft, kRight);
  velocity = position == kLeft ? (velocity < 0.0 ? lanes::number<V>(0) : velocity) : velocity;
}

std::string picture(double position, double velocity, double goal, int steps) {
  constexpr int kWidth = 55, kHeight = 9;
  const auto column_of = [](double x) {
    return static_cast<int>(std::lround((x - kLeft) / (kRight - kLeft) * (kWidth - 1)));
  };
  std::string rows[kHeight + 1];
  for (auto& row : rows) row.assign(kWidth, ' ');
  for (int column = 0; column < kWidth; ++column) {
    const double x = kLeft + (kRight - kLeft) * column / (kWidth - 1);
    const int height = static_cast<int>(std::lround((std::sin(3 * x) + 1) / 2 * (kHeight - 1)));
    rows[kHeight - height][column] = '.';
    if (column == column_of(goal)) rows[kHeight - height - 1][column] = 'P';
    if (column == column_of(position)) rows[kHeight - height - 1][column] = '#';
  }
  std::string text;
  for (const auto& row : rows) text += row + '\n';
  char line[80];
  std::snprintf(line, sizeof line, "step %d  position %+.3f  velocity %+.4f\n", steps, position, velocity);
  return text + line;
}

}  // namespace

MountainCar::Observation MountainCar::reset(Random& random) {
  state = {random.uniform(-0.6, -0.4), 0.0};
  steps = 0;
  return observation();
}

Step<MountainCar::Observation> MountainCar::step(const Action& action, Random&) {
  drive(state[0], state[1], (action.index - 1) * kForce);
  const bool arrived = state[0] >= kGoal && state[1] >= goal_velocity;
  return {observation(), -1.0, arrived, ++steps >= time_limit};
}

void MountainCar::step_batch(std::span<MountainCar> envs, std::span<const float> actions, const StepRows& rows) {
  using namespace lanes;
  for_blocks(
      envs.size(), [&](std::size_t first, auto n) __attribute__((always_inline)) {
        MountainCar* env = envs.data() + first;
        Doubles position = gather(n, [&](int k) { return env[k].state[0]; });
        Doubles velocity = gather(n, [&](int k) { return env[k].state[1]; });
        drive(position, velocity,
              gather(n, [&](int k) { return (static_cast<int>(actions[first + k]) - 1) * kForce; }));
        const Unpacked x(position), v(velocity);
        for (int k = 0; k < n; ++k) {
          env[k].state = {x[k], v[k]};
          float* row = rows.observations + (first + k) * 2;
          row[0] = static_cast<float>(x[k]), row[1] = static_cast<float>(v[k]);
          rows.rewards[first + k] = -1.0;
          rows.terminated[first + k] = x[k] >= kGoal && v[k] >= env[k].goal_velocity;
          rows.truncated[first + k] = ++env[k].steps >= env[k].time_limit;
        }
      });
}

std::span<const Baseline<MountainCar>> MountainCar::baselines() {
  static constexpr Baseline<MountainCar> all[] = {
      {"momentum", [](const MountainCar& env) { return Action{env.state[1] >= 0 ? 2 : 0}; }}};
  return all;
}

std::string MountainCar::render_text() const {
  return picture(state[0], state[1], kGoal, steps);
}

MountainCarContinuous::Observation MountainCarContinuous::reset(Random& random) {
  state = {static_cast<float>(random.uniform(-0.6, -0.4)), 0.0f};
  steps = 0;
  return state;
}

template <class Real>
Step<MountainCarContinuous::Observation> MountainCarContinuous::advance(Real force) {
  auto [position, velocity] = state;
  double sine, cosine;
  lanes::sincos(static_cast<double>(3.0f * position), sine, cosine);
  const double slope = kGravity * cosine;
  // A force that was cut to a limit is a plain Python number there, which takes the precision of what it meets.
  Real speed;
  if (force < Real(-1) || force > Real(1)) {
    const double push = (force < Real(-1) ? -1.0 : 1.0) * kPower - slope;
    speed = velocity + static_cast<float>(push);
  } else {
    speed = velocity + (force * static_cast<Real>(kPower) - static_cast<Real>(slope));
  }
  const bool cut = std::abs(speed) > static_cast<Real>(kMaxSpeed);
  if (cut) {
    const float limit = std::copysign(static_cast<float>(kMaxSpeed), static_cast<float>(speed));
    speed = limit;
  }
  // float + float where the speed was cut, else in the precision of the speed.
  Real place = cut ? static_cast<Real>(position + static_cast<float>(speed)) : static_cast<Real>(position) + speed;
  place = std::clamp(place, static_cast<Real>(kLeft), static_cast<Real>(kRight));
  if (place == static_cast<Real>(kLeft) && speed < 0) speed = 0;
  state = {static_cast<float>(place), static_cast<float>(speed)};
  const bool arrived = place >= static_cast<Real>(kContinuousGoal) && speed >= static_cast<Real>(goal_velocity);
  const double charged = static_cast<double>(force);
  return {state, (arrived ? 100.0 : 0.0) - charged * charged * 0.1, arrived, ++steps >= time_limit};
}
template Step<MountainCarContinuous::Observation> MountainCarContinuous::advance(float);
template Step<MountainCarContinuous::Observation> MountainCarContinuous::advance(double);

std::span<const Baseline<MountainCarContinuous>> MountainCarContinuous::baselines() {
  static constexpr Baseline<MountainCarContinuous> all[] = {
      {"momentum", [](const MountainCarContinuous& env) { return Action{{env.state[1] >= 0 ? 1.0f : -1.0f}}; }}};
  return all;
}

std::string MountainCarContinuous::render_text() const {
  return picture(state[0], state[1], kContinuousGoal, steps);
}

}  // namespace mobula::rl
