// Steps of environments: calls that make so many of them, through VecEnv and as bare physics, for the programs that
// measure them.
#pragma once

#include <mobula/rl/vec_env.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <vector>

#include "rl/envs/acrobot_physics.h"
#include "rl/envs/cartpole_physics.h"
#include "rl/envs/lanes.h"
#include "rl/envs/pendulum_physics.h"

namespace mobula::bench {

/// 64 rounds of actions for so many environments.
inline std::vector<std::vector<float>> random_actions(const rl::ActionSpace& space, int envs) {
  std::vector<std::vector<float>> all(64);
  Random random(1, Stream::user);
  for (auto& actions : all) {
    for (int k = 0; k < envs * space.dimensions; ++k) {
      actions.push_back(space.kind == rl::ActionSpace::Kind::box
                            ? space.low + (space.high - space.low) * random.uniform_float()
                            : static_cast<float>(random.below(static_cast<std::uint32_t>(space.sizes[0]))));
    }
  }
  return all;
}

/// Each call steps `envs` copies of E `steps` times, with actions made beforehand; episodes and resets included.
template <class E>
std::function<void()> through_vec_env(int envs, int steps) {
  auto env = std::make_shared<rl::VecEnv<E>>(typename E::Config{}, rl::VecEnvOptions{.count = envs, .seed = 1});
  env->reset();
  auto actions = std::make_shared<const std::vector<std::vector<float>>>(random_actions(env->info().action, envs));
  return [=] {
    for (int t = 0; t < steps; ++t) env->step((*actions)[t % 64]);
  };
}

/// How many a bare loop steps.
inline constexpr int bare_envs = 1024;

/// The floor: `advance` on N arrays of bare_envs numbers, a block of eight after another, with neither episodes nor
/// observations. Bounded states stay so by being set back now and then.
template <int N, class Advance>
std::function<void()> bare(int steps, const Advance& advance) {
  using rl::lanes::Doubles;
  auto arrays = std::make_shared<std::vector<Doubles>>(N * bare_envs / rl::lanes::kWidth);
  return [=] {
    for (int t = 0; t < steps; ++t) {
      if (t % 64 == 0) std::fill(arrays->begin(), arrays->end(), Doubles{} + 0.01);
      Doubles* at = arrays->data();
      for (int block = 0; block < bare_envs / rl::lanes::kWidth; ++block, at += N) advance(at, t + block);
    }
    if ((*arrays)[0][0] > 1e9) std::puts("the bare loop diverged");  // (keeps it from being optimised away)
  };
}

inline std::function<void()> bare_cartpole(int steps) {
  using rl::lanes::Doubles;
  return bare<4>(steps, [](Doubles* s, int t) {
    rl::CartPolePhysics::advance(s[0], s[1], s[2], s[3], Doubles{} + (t % 2 ? 10.0 : -10.0));
  });
}
inline std::function<void()> bare_pendulum(int steps) {
  using rl::lanes::Doubles;
  return bare<3>(steps, [](Doubles* s, int t) {
    s[2] = rl::pendulum::swing(s[0], s[1], Doubles{} + (t % 2 ? 3.0 : -3.0), Doubles{} + 0.001, Doubles{} + 10.0);
  });
}
inline std::function<void()> bare_acrobot(int steps) {
  using rl::lanes::Doubles;
  return bare<4>(steps, [](Doubles* s, int t) {
    rl::acrobot::Links<Doubles> links{s[0], s[1], s[2], s[3]};
    rl::acrobot::swing(links, Doubles{} + (t % 3 - 1.0));
    s[0] = links.angle1, s[1] = links.angle2, s[2] = links.speed1, s[3] = links.speed2;
  });
}

}  // namespace mobula::bench
