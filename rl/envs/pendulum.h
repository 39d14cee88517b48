#pragma once

#include <mobula/fields.h>
#include <mobula/rl/environment.h>

#include <array>
#include <span>
#include <string>

namespace mobula::rl {

// Pendulum-v1: swing a pendulum up and hold it there with a torque too weak to lift it at once. The reward of a step is
// -(angle^2 + 0.1 speed^2 + 0.001 torque^2), of the state before it, the angle taken from upright into [-pi, pi);
// between -16.3 and 0. Never terminates; truncated after 200 steps.
//
// Equations, constants and the order of the Euler step (the angle moves with the new speed) of Gymnasium's PendulumEnv.
// State in double; what depends on the action alone is computed in the action's precision, as NumPy 2 does.
struct Pendulum {
  struct Config {
    double gravity = 10.0;
    int time_limit = 200;
    void describe(Fields& f) {
      f("gravity", gravity, {.unit = "m/s^2", .min = 0, .max = 1000, .help = "Acceleration of gravity."});
      f("time_limit", time_limit,
        {.unit = "steps", .min = 1, .max = 1000000, .help = "Steps after which an episode is truncated."});
    }
  };
  using Observation = std::array<float, 3>;  // cosine and sine of the angle, angular velocity (rad/s)
  using Action = Box<1, -2.0f, 2.0f>;        // torque (Nm)

  explicit Pendulum(const Config& config) : gravity(config.gravity), time_limit(config.time_limit) {}

  // Angle uniform in [-pi, pi), speed in [-1, 1).
  Observation reset(Random& random);
  Step<Observation> step(const Action& action, Random&) { return advance(action.value[0]); }
  // The step for a torque of either precision.
  template <class Real>
  Step<Observation> advance(Real torque);
  static void step_batch(std::span<Pendulum> envs, std::span<const float> actions, const StepRows& rows);

  // `swing_up`: pumps energy until the pendulum is nearly upright, then holds it with a linear law.
  static std::span<const Baseline<Pendulum>> baselines();
  std::string render_text() const;

  Observation observation() const;

  std::array<double, 2> state{};  // angle from upright (rad, not wrapped), angular velocity (rad/s)
  double gravity = 10.0;
  int steps = 0;
  int time_limit = 200;
};

}  // namespace mobula::rl
