// A corridor with a prize at its right end.
#pragma once

#include <mobula/fields.h>
#include <mobula/rl/environment.h>

#include <array>

struct Corridor {
  struct Config {
    int length = 8;
    void describe(mobula::Fields& f) {
      f("length", length, {.unit = "cells", .min = 2, .max = 100, .help = "Cells from one end to the other."});
    }
  };
  using Observation = std::array<float, 1>;
  using Action = mobula::rl::Discrete<2>;

  explicit Corridor(const Config& config) : length(config.length) {}

  Observation reset(mobula::Random& random) {
    cell = static_cast<int>(random.below(static_cast<std::uint32_t>(length - 1)));
    steps = 0;
    return observation();
  }

  mobula::rl::Step<Observation> step(const Action& action, mobula::Random&) {
    cell = action.index == 1 ? cell + 1 : cell > 0 ? cell - 1 : 0;
    ++steps;
    const bool there = cell == length - 1;
    return {observation(), there ? 1.0 : -0.01, there, !there && steps >= 4 * length};
  }

  Observation observation() const { return {static_cast<float>(cell) / static_cast<float>(length)}; }

  int length;
  int cell = 0;
  int steps = 0;
};
