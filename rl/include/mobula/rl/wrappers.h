#pragma once

#include <mobula/rl/value_wrappers.h>
#include <mobula/rl/wrapper.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <stdexcept>

// Wrappers: environments made of environments. They compose, as in FrameStack<RescaleAction<Pendulum>, 4>, and pass on
// whatever else the inner environment has (costs, reports, masks, baselines, pictures, snapshots). A wrapper's Config
// holds that of the inner environment as `env` and, in a file, adds its keys to the same mapping. For configuration
// files there are the same wrappers by name: see <mobula/rl/wrapper_options.h>.
namespace mobula::rl {

// Truncates an episode after so many steps, where the inner environment does not end it earlier.
template <Environment E>
struct TimeLimit : Wrapper<TimeLimit<E>, E> {
  struct Config : Wrapper<TimeLimit, E>::Config {
    int limit = 1000;
    void describe(Fields& f) {
      this->env.describe(f);
      f("limit", limit, {.unit = "steps", .min = 1, .help = "Steps after which an episode is truncated."});
    }
  };
  explicit TimeLimit(const Config& config) : Wrapper<TimeLimit, E>(config.env), limit(config.limit) {}

  typename E::Observation reset(Random& random) {
    steps = 0;
    return this->env.reset(random);
  }
  Step<typename E::Observation> step(const typename E::Action& action, Random& random) {
    auto step = this->env.step(action, random);
    if (++steps >= limit && !step.terminated) step.truncated = true;
    return step;
  }
  template <class A>
  void serialize(A& archive) {
    wrapper_detail::serialize_inner(archive, this->env);
    archive(steps);
  }
  int limit;
  int steps = 0;
};

// The observation is the last N observations, oldest first; at a start the first is repeated.
template <Environment E, int N>
struct FrameStack : Wrapper<FrameStack<E, N>, E> {
  static_assert(N >= 1);
  static constexpr std::size_t K = observation_size<E>;
  using Config = typename Wrapper<FrameStack, E>::Config;
  using Observation = std::array<float, N * K>;
  explicit FrameStack(const Config& config) : Wrapper<FrameStack, E>(config.env) {}

  Observation reset(Random& random) {
    const auto first = this->env.reset(random);
    for (int k = 0; k < N; ++k) std::copy(first.begin(), first.end(), stacked.begin() + k * K);
    return stacked;
  }
  Step<Observation> step(const typename E::Action& action, Random& random) {
    const auto step = this->env.step(action, random);
    std::copy(stacked.begin() + K, stacked.end(), stacked.begin());
    std::copy(step.observation.begin(), step.observation.end(), stacked.end() - K);
    return {stacked, step.reward, step.terminated, step.truncated};
  }
  template <class A>
  void serialize(A& archive) {
    wrapper_detail::serialize_inner(archive, this->env);
    archive(stacked);
  }
  Observation stacked{};
};

// Shows only some components of the observation: Partial<CartPole, 0, 2> hides the velocities.
template <Environment E, int... kept>
struct Partial : Wrapper<Partial<E, kept...>, E> {
  static_assert(((kept >= 0 && kept < observation_size<E>)&&...));
  using Config = typename Wrapper<Partial, E>::Config;
  using Observation = std::array<float, sizeof...(kept)>;
  explicit Partial(const Config& config) : Wrapper<Partial, E>(config.env) {}

  Observation reset(Random& random) { return part(this->env.reset(random)); }
  Step<Observation> step(const typename E::Action& action, Random& random) {
    const auto step = this->env.step(action, random);
    return {part(step.observation), step.reward, step.terminated, step.truncated};
  }
  template <class A>
  void serialize(A& archive) {
    wrapper_detail::serialize_inner(archive, this->env);
  }

 private:
  static Observation part(const typename E::Observation& whole) { return {whole[kept]...}; }
};

namespace wrapper_detail {
template <class Action>
struct Rescaled;
template <int D, Bound low, Bound high>
struct Rescaled<Box<D, low, high>> {
  using Outer = Box<D, -1.0f, 1.0f>;
  static Box<D, low, high> inward(const Outer& action) {
    Box<D, low, high> inner;
    for (int d = 0; d < D; ++d) {
      inner.value[d] = std::clamp<float>(low + (action.value[d] + 1) * 0.5f * (high - low), low, high);
    }
    return inner;
  }
  static Outer outward(const Box<D, low, high>& action) {
    Outer outer;
    for (int d = 0; d < D; ++d) {
      outer.value[d] = std::clamp((action.value[d] - low) / (high - low) * 2 - 1, -1.0f, 1.0f);
    }
    return outer;
  }
};
}  // namespace wrapper_detail

// The actions of a box as numbers in [-1, 1].
template <Environment E>
struct RescaleAction : Wrapper<RescaleAction<E>, E> {
  using Scale = wrapper_detail::Rescaled<typename E::Action>;
  using Config = typename Wrapper<RescaleAction, E>::Config;
  using Action = typename Scale::Outer;
  explicit RescaleAction(const Config& config) : Wrapper<RescaleAction, E>(config.env) {}

  typename E::Observation reset(Random& random) { return this->env.reset(random); }
  Step<typename E::Observation> step(const Action& action, Random& random) {
    return this->env.step(Scale::inward(action), random);
  }
  static Action outward(const typename E::Action& action) { return Scale::outward(action); }
  template <class A>
  void serialize(A& archive) {
    wrapper_detail::serialize_inner(archive, this->env);
  }
};

// Breaks, for tests of what is built around environments: throws in a step or a reset with the given probabilities.
// What it does follows from the random numbers that it is given, so a run with it repeats.
template <Environment E>
struct Chaos : Wrapper<Chaos<E>, E> {
  struct Config : Wrapper<Chaos, E>::Config {
    double crash_step = 1e-4;
    double crash_reset = 0;
    void describe(Fields& f) {
      this->env.describe(f);
      f("crash_step", crash_step, {.min = 0, .max = 1, .help = "Probability that a step throws."});
      f("crash_reset", crash_reset, {.min = 0, .max = 1, .help = "Probability that a reset throws."});
    }
  };
  explicit Chaos(const Config& config)
      : Wrapper<Chaos, E>(config.env), crash_step(config.crash_step), crash_reset(config.crash_reset) {}

  typename E::Observation reset(Random& random) {
    if (random.uniform() < crash_reset) throw std::runtime_error("Chaos: the environment crashed in a reset.");
    return this->env.reset(random);
  }
  Step<typename E::Observation> step(const typename E::Action& action, Random& random) {
    if (random.uniform() < crash_step) throw std::runtime_error("Chaos: the environment crashed in a step.");
    return this->env.step(action, random);
  }
  template <class A>
  void serialize(A& archive) {
    wrapper_detail::serialize_inner(archive, this->env);
  }
  double crash_step, crash_reset;
};

}  // namespace mobula::rl
