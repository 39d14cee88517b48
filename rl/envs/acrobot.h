#pragma once

#include <mobula/fields.h>
#include <mobula/rl/environment.h>

#include <array>
#include <span>
#include <string>

namespace mobula::rl {

// Acrobot-v1: two hanging links with a motor at the joint between them (torque -1, 0, +1 Nm) swing their tip above the
// height of one link over the pivot. Reward -1 a step, 0 for the one that reaches it; truncated after 500 steps.
//
// Sutton 1996 and Sutton & Barto's book ("book" dynamics), with the constants and the single Runge-Kutta step of 0.2 s
// of Gymnasium's AcrobotEnv. State in double, observations in float.
struct Acrobot {
  struct Config {
    int time_limit = 500;
    void describe(Fields& f) {
      f("time_limit", time_limit, {.unit = "steps", .min = 1, .help = "Steps after which an episode is truncated."});
    }
  };
  // Cosine and sine of the first link's angle from hanging, of the second's from the first, both velocities (rad/s).
  using Observation = std::array<float, 6>;
  using Action = Discrete<3>;

  explicit Acrobot(const Config& config) : time_limit(config.time_limit) {}

  // Each component of the state uniform in [-0.1, 0.1), rounded to float.
  Observation reset(Random& random);
  Step<Observation> step(const Action& action, Random& random);
  static void step_batch(std::span<Acrobot> envs, std::span<const float> actions, const StepRows& rows);

  // `pump`: torque along the second link's motion.
  static std::span<const Baseline<Acrobot>> baselines();
  std::string render_text() const;

  Observation observation() const;

  std::array<double, 4> state{};  // the angles in [-pi, pi], then their velocities
  int steps = 0;
  int time_limit = 500;
};

}  // namespace mobula::rl
