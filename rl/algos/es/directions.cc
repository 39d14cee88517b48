#include "rl/algos/es/directions.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>

#include "rl/buffers/normalizer.h"

namespace mobula::rl {

void add_direction(const nn::ParameterLayout& layout, std::uint64_t seed, std::uint32_t index, std::uint32_t iteration,
                   float scale, std::span<float> parameters) {
  Random random(seed, Stream::parameters, index + 1, iteration);
  for (const nn::ParameterBlock& block : layout.blocks()) {
    if (!block.name.starts_with("actor.") || block.name == "actor.log_std") continue;
    for (int r = 0; r < block.rows; ++r) {
      float* row = parameters.data() + block.offset + static_cast<std::size_t>(r) * block.stride;
      for (int c = 0; c < block.columns; ++c) row[c] += scale * static_cast<float>(random.normal());
    }
  }
}

std::vector<EpisodeEnd> play_directions(AnyVecEnv& env, nn::Actor& actor, std::span<const float> parameters,
                                        std::uint32_t iteration, double deviation, Fragment& f, StepTimer& timer) {
  const std::size_t envs = static_cast<std::size_t>(env.size());
  const std::size_t width = static_cast<std::size_t>(env.info().observation_size);
  const std::size_t action = static_cast<std::size_t>(env.info().action.dimensions);
  const std::size_t masks = static_cast<std::size_t>(env.info().mask_size);
  std::vector<std::vector<float>> policies(envs, std::vector<float>(parameters.begin(), parameters.end()));
  for (std::size_t n = 0; n < envs; ++n) {
    const Direction direction = direction_of(env.options().first + static_cast<std::uint32_t>(n));
    add_direction(actor.layout(), env.options().seed, direction.index, iteration,
                  direction.sign * static_cast<float>(deviation), policies[n]);
  }
  const auto zero = [](auto& table) { std::fill(table.begin(), table.end(), 0); };
  zero(f.observations), zero(f.actions), zero(f.log_probs), zero(f.values), zero(f.rewards), zero(f.final_values);
  zero(f.last_values), zero(f.final_observations), zero(f.last_observations), zero(f.initial_states);
  zero(f.last_states), zero(f.costs), zero(f.groups), zero(f.masks), zero(f.terminated), zero(f.truncated);

  std::vector<EpisodeEnd> episodes(envs);
  std::vector<bool> done(envs, false);
  std::vector<std::uint32_t> crashes(envs);
  std::vector<RunningMoments> moments(envs * width);
  std::vector<float> actions(envs * action);
  std::vector<float> states(envs * static_cast<std::size_t>(actor.state_size()));
  env.reset(iteration);
  int steps = 0;
  for (std::size_t left = envs; left > 0;) {
    timer.begin(steps++);
    for (std::size_t n = 0; n < envs; ++n) {
      const auto observation = env.observations().subspan(n * width, width);
      for (std::size_t k = 0; k < width && !done[n]; ++k) {
        if (!std::isfinite(observation[k])) {
          throw std::runtime_error("Collecting steps: environment " + std::to_string(env.options().first + n) +
                                   " gave an observation that is not finite, in its episode " +
                                   std::to_string(iteration) + ". rl::check_environment finds such faults.");
        }
        moments[n * width + k].add(observation[k]);
      }
      if (!states.empty()) {
        const std::size_t size = states.size() / envs;
        actor.bind_states(std::span(states).subspan(n * size, size));
      }
      actor.mode(policies[n], observation, env.masks().subspan(n * masks, masks), actions.data() + n * action);
    }
    timer.inferred();
    env.step(actions);
    timer.stepped();
    // Environments whose episode is over run on into the next one until the last is done; that is not counted.
    for (const EpisodeEnd& end : env.ended()) {
      const std::size_t n = end.env - env.options().first;
      if (done[n]) continue;
      if (end.crashed) {  // the environment broke and was made anew: its next episode counts
        crashes[n] += end.crashes;
        std::fill_n(moments.begin() + static_cast<std::ptrdiff_t>(n * width), width, RunningMoments{});
        continue;
      }
      done[n] = true;
      --left;
      episodes[n] = end;
      episodes[n].crashes += crashes[n];
      f.rewards[n] = static_cast<float>(end.total);
      f.values[n] = static_cast<float>(end.length);
      f.terminated[n] = env.terminated()[n];
      f.truncated[n] = env.truncated()[n];
    }
  }
  env.reset(iteration + 1);  // how far others ran on depends on who was in this vector: nothing of it is left
  for (std::size_t k = 0; k < envs * width; ++k) {
    f.observations[k] = static_cast<float>(moments[k].mean);
    f.final_observations[k] = static_cast<float>(moments[k].squares);
  }
  return episodes;
}

}  // namespace mobula::rl
