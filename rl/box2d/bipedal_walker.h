#pragma once

#include <mobula/fields.h>
#include <mobula/rl/environment.h>

#include <array>
#include <span>
#include <string>

#include "rl/box2d/replay.h"

namespace mobula::rl {

class WalkerWorld;

// BipedalWalker-v3: a robot of a hull and two jointed legs walks over rough ground, with the rules of Gymnasium's
// BipedalWalker on Debian's Box2D. Actions are the torques of hip and knee of both legs, in [-1, 1]; the reward is the
// way forward (300 to the end), less for a hull that tilts and for torque; -100 for falling or for leaving to the left.
// Truncated after 1600 steps.
struct BipedalWalker {
  struct Config {
    bool hardcore = false;
    int time_limit = 1600;
    void describe(Fields& f) {
      f("hardcore", hardcore, {.help = "Stumps, stairs and pits on the way; Gymnasium gives 2000 steps then."});
      f("time_limit", time_limit, {.unit = "steps", .min = 1, .help = "Steps after which an episode is truncated."});
    }
  };
  // Hull: angle, angular velocity, velocity. Each leg: angle and speed of hip and knee, contact with the ground. Then
  // ten distances to the ground, from straight down to ahead. Scaled as Gymnasium does.
  using Observation = std::array<float, 24>;
  using Action = Box<4, -1.0f, 1.0f>;
  using Input = std::array<float, 4>;

  explicit BipedalWalker(const Config& c) : config(c) {}

  Observation reset(Random& random);
  Step<Observation> step(const Action& action, Random& random);
  std::string render_text() const;

  template <class A>
  void serialize(A& archive) {
    archive(replay, observation, steps);
  }

  Config config;
  Replay<WalkerWorld, Input> replay;
  Observation observation{};  // the last one
  int steps = 0;
  double box2d_seconds = 0;  // spent in Box2D itself by this one's steps, for the benchmark
};

}  // namespace mobula::rl
