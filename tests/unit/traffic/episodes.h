#pragma once

#include <mobula/rl/intersection.h>
#include <mobula/rl/snapshot.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mobula::rl {

inline Random episode_random(std::uint32_t episode, std::uint64_t seed = 7) {
  return Random(seed, Stream::environment, 0, episode);
}

inline std::vector<std::byte> bytes_of(const Intersection& env) {
  std::vector<std::byte> bytes;
  append_snapshot(bytes, env);
  return bytes;
}

/// Runs one whole episode; `act` gives the phase, `look` is called after each step with (env, Step).
template <class Act, class Look>
void run_episode(Intersection& env, Random random, Act act, Look look) {
  env.reset(random);
  for (bool end = false; !end;) {
    const auto step = env.step({act(env)}, random);
    end = step.truncated;
    look(env, step);
  }
}
template <class Act>
void run_episode(Intersection& env, Random random, Act act) {
  run_episode(env, random, act, [](const Intersection&, const Step<Intersection::Observation>&) {});
}

}  // namespace mobula::rl
