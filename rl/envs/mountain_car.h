#pragma once

#include <mobula/fields.h>
#include <mobula/rl/environment.h>

#include <array>
#include <span>
#include <string>

namespace mobula::rl {

// MountainCar-v0: a car in a valley, too weak to climb straight out, swings itself up to the flag at 0.5. Actions push
// left (0), not at all (1), right (2); reward -1 a step, the one that arrives included; truncated after 200 steps.
//
// Moore 1990, with the constants of Gymnasium's MountainCarEnv. State in double, observations in float.
struct MountainCar {
  struct Config {
    int time_limit = 200;
    double goal_velocity = 0.0;
    void describe(Fields& f) {
      f("time_limit", time_limit, {.unit = "steps", .min = 1, .help = "Steps after which an episode is truncated."});
      f("goal_velocity", goal_velocity, {.min = 0, .max = 0.07, .help = "Speed that the car must have at the flag."});
    }
  };
  using Observation = std::array<float, 2>;  // position in [-1.2, 0.6], velocity in [-0.07, 0.07]
  using Action = Discrete<3>;

  explicit MountainCar(const Config& config) : goal_velocity(config.goal_velocity), time_limit(config.time_limit) {}

  // Position uniform in [-0.6, -0.4), at rest.
  Observation reset(Random& random);
  Step<Observation> step(const Action& action, Random& random);
  static void step_batch(std::span<MountainCar> envs, std::span<const float> actions, const StepRows& rows);

  // `momentum`: pushes in the direction of motion.
  static std::span<const Baseline<MountainCar>> baselines();
  std::string render_text() const;

  Observation observation() const { return {static_cast<float>(state[0]), static_cast<float>(state[1])}; }

  std::array<double, 2> state{};  // as the observation
  double goal_velocity = 0.0;
  int steps = 0;
  int time_limit = 200;
};

// MountainCarContinuous-v0: the same valley with a force in [-1, 1] and the flag at 0.45. Reward 100 for arriving,
// minus 0.1 force^2 in every step; truncated after 999 steps.
//
// Constants of Gymnasium's Continuous_MountainCarEnv, whose state is float; intermediate results have the precision
// that NumPy 2 gives them there, which depends on that of the action and on whether a limit was hit.
struct MountainCarContinuous {
  struct Config {
    int time_limit = 999;
    double goal_velocity = 0.0;
    void describe(Fields& f) {
      f("time_limit", time_limit, {.unit = "steps", .min = 1, .help = "Steps after which an episode is truncated."});
      f("goal_velocity", goal_velocity, {.min = 0, .max = 0.07, .help = "Speed that the car must have at the flag."});
    }
  };
  using Observation = std::array<float, 2>;
  using Action = Box<1, -1.0f, 1.0f>;

  explicit MountainCarContinuous(const Config& config)
      : goal_velocity(config.goal_velocity), time_limit(config.time_limit) {}

  Observation reset(Random& random);
  Step<Observation> step(const Action& action, Random&) { return advance(action.value[0]); }
  // The step for a force of either precision. The reward charges the force before it is clipped.
  template <class Real>
  Step<Observation> advance(Real force);

  static std::span<const Baseline<MountainCarContinuous>> baselines();
  std::string render_text() const;

  std::array<float, 2> state{};  // as the observation
  double goal_velocity = 0.0;
  int steps = 0;
  int time_limit = 999;
};

}  // namespace mobula::rl
