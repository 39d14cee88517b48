#pragma once

#include <mobula/fields.h>
#include <mobula/rl/environment.h>

#include <array>
#include <cmath>

namespace mobula::rl {

// The cheapest test that a learner learns: the right action is the one that the observation shows (as the identity
// environments of Stable-Baselines3's tests). Episodes are truncated after `episode_length` steps.
struct IdentityConfig {
  int episode_length = 100;
  void describe(Fields& f) {
    f("episode_length", episode_length, {.unit = "steps", .min = 1, .help = "Steps in an episode."});
  }
};

// The observation marks one of N actions; reward 1 for taking it, else 0. The next mark is drawn anew each step.
template <int N>
struct IdentityDiscrete {
  using Config = IdentityConfig;
  using Observation = std::array<float, N>;
  using Action = Discrete<N>;

  explicit IdentityDiscrete(const Config& config) : episode_length(config.episode_length) {}

  Observation reset(Random& random) {
    steps = 0;
    return draw(random);
  }
  Step<Observation> step(const Action& action, Random& random) {
    const double reward = action.index == goal ? 1.0 : 0.0;
    const Observation next = draw(random);
    return {next, reward, false, ++steps >= episode_length};
  }

  int goal = 0;
  int steps = 0;
  int episode_length = 100;

 private:
  Observation draw(Random& random) {
    goal = static_cast<int>(random.below(N));
    Observation observation{};
    observation[goal] = 1.0f;
    return observation;
  }
};

// The observation is a point of [-1, 1]^D; the reward is minus the squared distance of the action from it.
template <int D>
struct IdentityBox {
  using Config = IdentityConfig;
  using Observation = std::array<float, D>;
  using Action = Box<D, -1.0f, 1.0f>;

  explicit IdentityBox(const Config& config) : episode_length(config.episode_length) {}

  Observation reset(Random& random) {
    steps = 0;
    return draw(random);
  }
  Step<Observation> step(const Action& action, Random& random) {
    double reward = 0;
    for (int d = 0; d < D; ++d) {
      const double miss = static_cast<double>(action.value[d]) - goal[d];
      reward -= miss * miss;
    }
    const Observation next = draw(random);
    return {next, reward, false, ++steps >= episode_length};
  }

  Observation goal{};
  int steps = 0;
  int episode_length = 100;

 private:
  Observation draw(Random& random) {
    for (float& x : goal) x = 2.0f * random.uniform_float() - 1.0f;
    return goal;
  }
};

}  // namespace mobula::rl
