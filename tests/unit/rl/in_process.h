// Training in one process without the runtime: what the trainer does, at its plainest.
#pragma once

#include <mobula/rl/any_vec_env.h>
#include <mobula/rl/ppo_options.h>

#include <cstddef>
#include <cstring>
#include <deque>
#include <memory>
#include <numeric>
#include <vector>

#include "rl/algos/collect.h"
#include "rl/algos/ppo/ppo.h"
#include "rl/nn/parameters.h"

namespace mobula::rl::test {

// A fragment with its own memory.
struct OwnedFragment {
  explicit OwnedFragment(const FragmentLayout& l) : layout(l), bytes(l.bytes()), view(l, bytes) {}
  ConstFragment read() const { return {layout, bytes}; }
  FragmentLayout layout;
  nn::AlignedVector<std::byte> bytes;
  Fragment view;
};

template <class AnyLearner>
struct Training {
  // `split`: over how many vectors the environments are spread.
  template <class Options>
  Training(VecEnvFactory factory, const Options& options, std::uint64_t seed, std::int64_t total_steps, int split = 1)
      : learner(factory("", {.count = 1})->info(), options, seed, total_steps),
        actor(nn::make_actor(learner.spec())),
        whole(FragmentLayout(factory("", {.count = 1})->info(), learner.rollout().steps, learner.rollout().envs)) {
    const auto [all, steps] = learner.rollout();
    for (int k = 0, first = 0; k < split; ++k) {
      const int count = all / split + (k < all % split ? 1 : 0);
      envs.push_back(factory("", {.count = count, .first = static_cast<std::uint32_t>(first), .seed = seed}));
      envs.back()->reset();
      parts.push_back(std::make_unique<OwnedFragment>(FragmentLayout(envs.back()->info(), steps, count)));
      first += count;
    }
  }

  // What the learner's update, or learn, says.
  auto iterate() {
    int first = 0;
    for (std::size_t k = 0; k < envs.size(); ++k) {
      const auto ended =
          collect(*envs[k], *actor, learner.policy(), learner.iteration(), learner.exploration(), parts[k]->view);
      for (const EpisodeEnd& end : ended) {
        returns.push_back(end.total);
        if (returns.size() > 100) returns.pop_front();
      }
      place_columns(parts[k]->read(), whole.view, first);
      first += envs[k]->size();
    }
    if constexpr (requires { learner.update(whole.read()); }) {
      return learner.update(whole.read());
    } else {
      return learner.learn(whole.read());
    }
  }

  // Mean return of the last 100 episodes; 0 before there are as many.
  double recent_return() const {
    if (returns.size() < 100) return 0;
    return std::accumulate(returns.begin(), returns.end(), 0.0) / static_cast<double>(returns.size());
  }

  std::vector<float> parameters() const { return {learner.parameters().begin(), learner.parameters().end()}; }

  AnyLearner learner;
  std::unique_ptr<nn::Actor> actor;
  OwnedFragment whole;
  std::vector<std::unique_ptr<AnyVecEnv>> envs;
  std::vector<std::unique_ptr<OwnedFragment>> parts;
  std::deque<double> returns;
};
using InProcessTraining = Training<PpoLearner>;

// rl-baselines3-zoo's settings for CartPole-v1, of 100,000 steps in all.
inline PpoOptions zoo_cartpole() {
  PpoOptions options;
  options.lr = 1e-3;
  options.lr_schedule = "linear";
  options.n_envs = 8;
  options.n_steps = 32;
  options.batch_size = 256;
  options.n_epochs = 20;
  options.gamma = 0.98;
  options.gae_lambda = 0.8;
  options.clip_range = 0.2;
  options.clip_schedule = "linear";
  return options;
}

}  // namespace mobula::rl::test
