#pragma once

#include <mobula/fields.h>
#include <mobula/rl/environment.h>

#include <array>
#include <memory>
#include <span>
#include <string>

#include "rl/box2d/replay.h"

namespace mobula::rl {

struct LunarLanderConfig {
  double gravity = -10.0;
  bool wind = false;
  double wind_power = 15.0;
  double turbulence_power = 1.5;
  int time_limit = 1000;
  void describe(Fields& f) {
    f("gravity", gravity, {.unit = "m/s^2", .above = -12, .below = 0, .help = "Acceleration of gravity, downwards."});
    f("wind", wind, {.help = "Wind and turbulence while no leg touches the ground."});
    f("wind_power", wind_power, {.min = 0, .max = 20, .help = "Largest force of the wind."});
    f("turbulence_power", turbulence_power, {.min = 0, .max = 2, .help = "Largest torque of the turbulence."});
    f("time_limit", time_limit, {.unit = "steps", .min = 1, .help = "Steps after which an episode is truncated."});
  }
};

// What a step of the lander depends on.
struct LanderInput {
  double main = 0;  // throttle of the main engine, 0 or in [0.5, 1]
  double side =
      0;  // of the orientation engines: negative fires the left one, positive the right; 0 or in 0.5..1 in size
  std::array<double, 2> dispersion{};  // random direction of the jets, each in [-1, 1) / 30
};

class LanderWorld;

// LunarLander-v3: bring a lander down between the flags, with the rules of Gymnasium's LunarLander on Debian's Box2D.
// Observation: position, velocity, angle, angular velocity, contact of the left and of the right leg, scaled as there.
// Reward: the change of a shaping term (near, slow, upright, legs down) minus fuel; -100 for a crash or for leaving the
// picture, +100 for coming to rest. Actions: nothing, left engine, main engine, right engine; the continuous variant
// takes the throttle of the main engine (off below 0) and of the side engines (off within +-0.5).
template <class Space>
struct Lander {
  using Config = LunarLanderConfig;
  using Observation = std::array<float, 8>;
  using Action = Space;

  explicit Lander(const Config& c) : config(c) {}

  Observation reset(Random& random);
  Step<Observation> step(const Action& action, Random& random);

  // `heuristic`: Gymnasium's own controller, which tilts towards the pad and hovers down.
  static std::span<const Baseline<Lander>> baselines();
  std::string render_text() const;

  template <class A>
  void serialize(A& archive) {
    archive(replay, observation, steps);
  }

  Config config;
  Replay<LanderWorld, LanderInput> replay;
  Observation observation{};  // the last one
  int steps = 0;
  double box2d_seconds = 0;  // spent in Box2D itself by this one's steps, for the benchmark
};
using LunarLander = Lander<Discrete<4>>;
using LunarLanderContinuous = Lander<Box<2, -1.0f, 1.0f>>;

}  // namespace mobula::rl
