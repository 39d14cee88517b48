// Training of any algorithm in one process without the runtime: what the trainer does, at its plainest.
#pragma once

#include <mobula/rl/any_vec_env.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <numeric>
#include <vector>

#include "rl/algos/algorithms.h"
#include "rl/algos/collect.h"
#include "tests/unit/rl/in_process.h"

namespace mobula::rl::test {

struct AnyTraining {
  // `split`: over how many vectors the environments are spread.
  AnyTraining(VecEnvFactory factory, const AlgorithmOptions& options, std::uint64_t seed, std::int64_t total_steps,
              int split = 1)
      : info(factory("", {.count = 1})->info()),
        learner(make_learner(info, options, seed, total_steps)),
        actor(nn::make_actor(learner->spec())) {
    const RolloutSize size = learner->rollout();
    whole = std::make_unique<OwnedFragment>(FragmentLayout(info, size.steps, size.envs, size.state_size));
    for (int k = 0; k < split; ++k) {
      const int first = size.envs * k / split, count = size.envs * (k + 1) / split - first;
      envs.push_back(factory("", {.count = count, .first = static_cast<std::uint32_t>(first), .seed = seed}));
      envs.back()->reset();
      parts.push_back(std::make_unique<OwnedFragment>(FragmentLayout(info, size.steps, count, size.state_size)));
    }
  }

  // The mean return of the last 100 episodes; far below any before there are as many.
  double recent_return() const {
    if (returns.size() < 100) return -1e9;
    return std::accumulate(returns.begin(), returns.end(), 0.0) / static_cast<double>(returns.size());
  }

  Statistics round() {
    int first = 0;
    for (std::size_t k = 0; k < envs.size(); ++k) {
      const auto ended =
          collect(*envs[k], *actor, learner->behaviour(), learner->iteration(), learner->exploration(), parts[k]->view);
      for (const EpisodeEnd& end : ended) {
        returns.push_back(end.total);
        if (returns.size() > 100) returns.pop_front();
      }
      place_columns(parts[k]->read(), whole->view, first);
      std::ranges::copy(parts[k]->view.last_states, parts[k]->view.initial_states.begin());
      first += envs[k]->size();
    }
    return learner->learn(whole->read());
  }
  std::vector<float> parameters() const { return {learner->parameters().begin(), learner->parameters().end()}; }

  EnvironmentInfo info;
  std::unique_ptr<Learner> learner;
  std::unique_ptr<nn::Actor> actor;
  std::unique_ptr<OwnedFragment> whole;
  std::vector<std::unique_ptr<AnyVecEnv>> envs;
  std::vector<std::unique_ptr<OwnedFragment>> parts;
  std::deque<double> returns;
};

}  // namespace mobula::rl::test
