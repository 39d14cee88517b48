#include "rl/box2d/bipedal_walker.h"

#include <algorithm>
#include <cstdio>

#include "rl/box2d/walker_world.h"

namespace mobula::rl {

BipedalWalker::Observation BipedalWalker::reset(Random& random) {
  steps = 0;
  WalkerWorld::Result first{};
  replay.begin(random, [&](Random& numbers) {
    auto world = std::make_shared<WalkerWorld>(config, numbers);
    first = world->step({});  // an episode begins with a step of doing nothing
    return world;
  });
  return observation = first.observation;
}

Step<BipedalWalker::Observation> BipedalWalker::step(const Action& action, Random&) {
  WalkerWorld& world = replay.next(action.value, [this](Random& random) {
    auto made = std::make_shared<WalkerWorld>(config, random);
    made->step({});
    return made;
  });
  const auto result = world.step(action.value);
  observation = result.observation;
  box2d_seconds += result.box2d_seconds;
  return {observation, result.reward, result.terminated, ++steps >= config.time_limit};
}

std::string BipedalWalker::render_text() const {
  // The ground as the ten rays see it, the hull above it.
  std::string text;
  for (int i = 0; i < 10; ++i) {
    text += (i == 0   ? "below "
             : i == 9 ? "ahead "
                      : "      ") +
            std::string(static_cast<std::size_t>(std::clamp(observation[14 + i], 0.0f, 1.0f) * 60), '-') + "|\n";
  }
  char line[120];
  std::snprintf(line, sizeof line, "step %d  hull %+.2f rad  speed %+.2f %+.2f  feet %d %d\n", steps, observation[0],
                observation[2], observation[3], observation[8] != 0, observation[13] != 0);
  return text + line;
}

}  // namespace mobula::rl
