// What vectors of environments show, to compare them.
#pragma once

#include <mobula/rl/any_vec_env.h>

#include <vector>

namespace mobula::rl::test {

// All that the columns of a vector show after a step, one row an environment.
inline std::vector<std::vector<double>> rows_of(const AnyVecEnv& env) {
  std::vector<std::vector<double>> rows(env.size());
  const auto add = [&](const auto& table) {
    const std::size_t width = table.size() / env.size();
    for (std::size_t k = 0; k < table.size(); ++k) rows[k / width].push_back(static_cast<double>(table[k]));
  };
  add(env.observations());
  add(env.rewards());
  add(env.terminated());
  add(env.truncated());
  add(env.costs());
  add(env.groups());
  add(env.masks());
  add(env.episodes());
  for (int i = 0; i < env.size(); ++i) {
    if (!env.terminated()[i] && !env.truncated()[i]) continue;
    const auto* last = env.final_observations().data() + i * env.info().observation_size;
    rows[i].insert(rows[i].end(), last, last + env.info().observation_size);
  }
  return rows;
}

// Actions of any space, boxes also beyond their bounds: a policy may propose that.
inline std::vector<float> random_actions(const AnyVecEnv& env, Random& random) {
  std::vector<float> actions;
  const ActionSpace& space = env.info().action;
  for (int i = 0; i < env.size(); ++i) {
    for (int d = 0; d < space.dimensions; ++d) {
      actions.push_back(space.kind == ActionSpace::Kind::box ? 6 * random.uniform_float() - 3
                                                             : static_cast<float>(random.below(space.sizes[d])));
    }
  }
  return actions;
}

}  // namespace mobula::rl::test
