#pragma once

#include <mobula/fields.h>
#include <mobula/rl/environment.h>

#include <array>
#include <cstddef>
#include <utility>

namespace mobula::rl {

// The cheapest tests that a learner learns, one for each space of actions (as the identity environments of
// Stable-Baselines3's tests): the right action is the one that the observation shows, or showed some steps ago.

// How an action is drawn, shown and judged. `width` floats show it.
template <class Space>
struct Mark;

// The observation marks one of N actions; reward 1 for taking it, else 0.
template <int N>
struct Mark<Discrete<N>> {
  static constexpr int width = N;
  static Discrete<N> draw(Random& random) { return {static_cast<int>(random.below(N))}; }
  static void show(const Discrete<N>& mark, float* row) { row[mark.index] = 1.0f; }
  static double reward(const Discrete<N>& action, const Discrete<N>& mark) { return action == mark ? 1.0 : 0.0; }
};

// Marks one of each choice; the reward is the share of those that are taken.
template <int... Ns>
struct Mark<MultiDiscrete<Ns...>> {
  using Space = MultiDiscrete<Ns...>;
  static constexpr std::array<int, sizeof...(Ns)> sizes{Ns...};
  static constexpr int width = (Ns + ...);
  static Space draw(Random& random) {
    Space mark;
    for (std::size_t k = 0; k < sizes.size(); ++k) mark.index[k] = static_cast<int>(random.below(sizes[k]));
    return mark;
  }
  static void show(const Space& mark, float* row) {
    for (std::size_t k = 0; k < sizes.size(); row += sizes[k], ++k) row[mark.index[k]] = 1.0f;
  }
  static double reward(const Space& action, const Space& mark) {
    int right = 0;
    for (std::size_t k = 0; k < sizes.size(); ++k) right += action.index[k] == mark.index[k];
    return static_cast<double>(right) / static_cast<double>(sizes.size());
  }
};

// A point of the box; the reward is minus the squared distance of the action from it.
template <int D, Bound low, Bound high>
struct Mark<Box<D, low, high>> {
  using Space = Box<D, low, high>;
  static constexpr int width = D;
  static Space draw(Random& random) {
    Space mark;
    for (float& x : mark.value) x = (high - low) * random.uniform_float() + low;
    return mark;
  }
  static void show(const Space& mark, float* row) {
    for (int d = 0; d < D; ++d) row[d] = mark.value[d];
  }
  static double reward(const Space& action, const Space& mark) {
    double reward = 0;
    for (int d = 0; d < D; ++d) {
      const double miss = static_cast<double>(action.value[d]) - mark.value[d];
      reward -= miss * miss;
    }
    return reward;
  }
};

struct IdentityConfig {
  int episode_length = 100;
  void describe(Fields& f) {
    f("episode_length", episode_length, {.unit = "steps", .min = 1, .help = "Steps in an episode."});
  }
};

// The action that is shown is the right one; the next is drawn anew each step. Truncated after `episode_length` steps.
template <class Space>
struct Identity {
  using Config = IdentityConfig;
  using Observation = std::array<float, Mark<Space>::width>;
  using Action = Space;

  explicit Identity(const Config& config) : episode_length(config.episode_length) {}

  Observation reset(Random& random) {
    steps = 0;
    return draw(random);
  }
  Step<Observation> step(const Action& action, Random& random) {
    const double reward = Mark<Space>::reward(action, goal);
    const Observation next = draw(random);
    return {next, reward, false, ++steps >= episode_length};
  }

  Action goal{};
  int steps = 0;
  int episode_length = 100;

 private:
  Observation draw(Random& random) {
    goal = Mark<Space>::draw(random);
    Observation observation{};
    Mark<Space>::show(goal, observation.data());
    return observation;
  }
};
template <int N>
using IdentityDiscrete = Identity<Discrete<N>>;
template <int D>
using IdentityBox = Identity<Box<D, -1.0f, 1.0f>>;

// One of N actions is shown, and of the others about half are not allowed. Reward 1 for the one shown, and -1 for one
// that is not allowed, which a learner that heeds masks never gets.
template <int N>
struct IdentityMasked {
  using Config = IdentityConfig;
  using Observation = std::array<float, N>;
  using Action = Discrete<N>;

  explicit IdentityMasked(const Config& config) : inner(config) {}

  Observation reset(Random& random) {
    const auto first = inner.reset(random);
    forbid(random);
    return first;
  }
  Step<Observation> step(const Action& action, Random& random) {
    const bool forbidden = !allowed[static_cast<std::size_t>(action.index)];
    auto step = inner.step(action, random);
    if (forbidden) step.reward = -1;
    forbid(random);
    return step;
  }
  std::array<bool, N> action_mask() const { return allowed; }

  Identity<Action> inner;
  std::array<bool, N> allowed{};

 private:
  void forbid(Random& random) {
    for (int k = 0; k < N; ++k) allowed[k] = random.below(2) == 0 || k == inner.goal.index;
  }
};

struct MemoryConfig {
  int delay = 1;
  int episode_length = 100;
  void describe(Fields& f) {
    f("delay", delay, {.unit = "steps", .min = 1, .max = 8, .help = "How long ago the right action was shown."});
    f("episode_length", episode_length, {.unit = "steps", .min = 1, .help = "Steps in an episode."});
  }
};

// The action that was shown `delay` steps ago is the right one, so only a policy with a memory, or with stacked
// observations, does better than by chance. The first `delay` steps of an episode give reward 0.
template <class Space>
struct Memory {
  using Config = MemoryConfig;
  using Observation = std::array<float, Mark<Space>::width>;
  using Action = Space;

  explicit Memory(const Config& config) : delay(config.delay), episode_length(config.episode_length) {}

  Observation reset(Random& random) {
    steps = 0;
    shown = {};
    return draw(random);
  }
  Step<Observation> step(const Action& action, Random& random) {
    // shown[0] is what is seen now, so shown[delay] what was seen `delay` steps ago.
    const double reward = steps < delay ? 0.0 : Mark<Space>::reward(action, shown[static_cast<std::size_t>(delay)]);
    const Observation next = draw(random);
    return {next, reward, false, ++steps >= episode_length};
  }

  std::array<Action, 9> shown{};  // newest first
  int steps = 0;
  int delay = 1;
  int episode_length = 100;

 private:
  Observation draw(Random& random) {
    for (std::size_t k = shown.size() - 1; k > 0; --k) shown[k] = shown[k - 1];
    shown[0] = Mark<Space>::draw(random);
    Observation observation{};
    Mark<Space>::show(shown[0], observation.data());
    return observation;
  }
};

}  // namespace mobula::rl
