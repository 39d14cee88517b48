#pragma once

#include <mobula/fields.h>
#include <mobula/rl/environment.h>

#include <array>
#include <span>
#include <string>

namespace mobula::rl {

// CartPole-v1: a pole hinged on a cart, pushed left (0) or right (1) by a fixed force; reward 1 for every step, the one
// that fails included. It fails when the cart leaves +-2.4 m or the pole leans more than 12 degrees; 500 steps end an
// episode as truncated.
//
// Barto, Sutton, Anderson 1983, with the equations, constants and Euler step (positions move with the old velocities)
// of Gymnasium's CartPoleEnv. State and arithmetic in double, observations in float.
struct CartPole {
  struct Config {
    int time_limit = 500;
    void describe(Fields& f) {
      f("time_limit", time_limit, {.unit = "steps", .min = 1, .help = "Steps after which an episode is truncated."});
    }
  };
  using Observation = std::array<float, 4>;  // position (m), velocity (m/s), angle (rad), angular velocity (rad/s)
  using Action = Discrete<2>;

  explicit CartPole(const Config& config) : time_limit(config.time_limit) {}

  // Each component of the state uniform in [-0.05, 0.05).
  Observation reset(Random& random);
  Step<Observation> step(const Action& action, Random& random);
  static void step_batch(std::span<CartPole> envs, std::span<const float> actions, const StepRows& rows);
  // `lean`: pushes to the side to which the pole leans and turns. Holds it, but lets the cart drift.
  static std::span<const Baseline<CartPole>> baselines();
  std::string render_text() const;

  Observation observation() const;

  std::array<double, 4> state{};  // as the observation
  int steps = 0;
  int time_limit = 500;
};

}  // namespace mobula::rl
