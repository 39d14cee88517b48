#pragma once

#include <mobula/rl/moments.h>
#include <mobula/rl/wrapper.h>

#include <algorithm>
#include <array>

// Wrappers that change the numbers of observations and rewards.
namespace mobula::rl {

// Cuts observations to [-limit, limit].
template <Environment E>
struct ClipObservation : Wrapper<ClipObservation<E>, E> {
  struct Config : Wrapper<ClipObservation, E>::Config {
    double limit = 10;
    void describe(Fields& f) {
      this->env.describe(f);
      f("clip_observation", limit, {.above = 0, .help = "Observations are cut to this size."});
    }
  };
  explicit ClipObservation(const Config& config)
      : Wrapper<ClipObservation, E>(config.env), limit(static_cast<float>(config.limit)) {}

  typename E::Observation reset(Random& random) { return cut(this->env.reset(random)); }
  Step<typename E::Observation> step(const typename E::Action& action, Random& random) {
    auto step = this->env.step(action, random);
    step.observation = cut(step.observation);
    return step;
  }
  template <class A>
  void serialize(A& archive) {
    wrapper_detail::serialize_inner(archive, this->env);
  }
  float limit;

 private:
  typename E::Observation cut(typename E::Observation row) const {
    for (float& x : row) x = std::clamp(x, -limit, limit);
    return row;
  }
};

// Cuts rewards to [-limit, limit].
template <Environment E>
struct ClipReward : Wrapper<ClipReward<E>, E> {
  struct Config : Wrapper<ClipReward, E>::Config {
    double limit = 1;
    void describe(Fields& f) {
      this->env.describe(f);
      f("clip_reward", limit, {.above = 0, .help = "Rewards are cut to this size."});
    }
  };
  explicit ClipReward(const Config& config) : Wrapper<ClipReward, E>(config.env), limit(config.limit) {}

  typename E::Observation reset(Random& random) { return this->env.reset(random); }
  Step<typename E::Observation> step(const typename E::Action& action, Random& random) {
    auto step = this->env.step(action, random);
    step.reward = std::clamp(step.reward, -limit, limit);
    return step;
  }
  template <class A>
  void serialize(A& archive) {
    wrapper_detail::serialize_inner(archive, this->env);
  }
  double limit;
};

// Shifts and scales observations by their running mean and deviation. The statistics are those of this one environment
// and are part of its state; to share them among all environments, use the algorithm's normalize_observation.
template <Environment E>
struct NormalizeObservation : Wrapper<NormalizeObservation<E>, E> {
  using Config = typename Wrapper<NormalizeObservation, E>::Config;
  explicit NormalizeObservation(const Config& config) : Wrapper<NormalizeObservation, E>(config.env) {}

  typename E::Observation reset(Random& random) { return normalized(this->env.reset(random)); }
  Step<typename E::Observation> step(const typename E::Action& action, Random& random) {
    auto step = this->env.step(action, random);
    step.observation = normalized(step.observation);
    return step;
  }
  template <class A>
  void serialize(A& archive) {
    wrapper_detail::serialize_inner(archive, this->env);
    archive(moments);
  }
  Moments<std::array<double, observation_size<E>>> moments;

 private:
  typename E::Observation normalized(typename E::Observation row) {
    moments.add(row.data());
    moments.normalize(row.data(), row.data());
    return row;
  }
};

// Divides rewards by the running deviation of the discounted return.
template <Environment E>
struct NormalizeReward : Wrapper<NormalizeReward<E>, E> {
  struct Config : Wrapper<NormalizeReward, E>::Config {
    double gamma = 0.99;
    void describe(Fields& f) {
      this->env.describe(f);
      f("normalize_reward", gamma, {.min = 0, .max = 1, .help = "Discount of the return that rewards are scaled by."});
    }
  };
  explicit NormalizeReward(const Config& config) : Wrapper<NormalizeReward, E>(config.env) {
    scale.gamma = config.gamma;
  }

  typename E::Observation reset(Random& random) { return this->env.reset(random); }
  Step<typename E::Observation> step(const typename E::Action& action, Random& random) {
    auto step = this->env.step(action, random);
    step.reward = scale.scale(step.reward, step.terminated || step.truncated);
    return step;
  }
  template <class A>
  void serialize(A& archive) {
    wrapper_detail::serialize_inner(archive, this->env);
    archive(scale);
  }
  RewardScale scale;
};

}  // namespace mobula::rl
