#include "rl/algos/collect.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>

#include "rl/algos/es/directions.h"
#include "rl/algos/offpolicy/parameter_noise.h"

namespace mobula::rl {
namespace {

bool all_finite(const float* x, int n) {
  for (int k = 0; k < n; ++k) {
    if (!std::isfinite(x[k])) return false;
  }
  return true;
}

[[noreturn]] void refuse(const char* what, std::uint32_t env, std::uint32_t episode) {
  throw std::runtime_error(std::string("Collecting steps: environment ") + std::to_string(env) + " gave " + what +
                           " that is not finite, in its episode " + std::to_string(episode) +
                           ". rl::check_environment finds such faults.");
}

// Of policies without a value function: each environment follows a policy of its own.
void sample_perturbed(AnyVecEnv& env, nn::Actor& actor, std::span<const float> parameters,
                      const nn::Exploration& exploration, std::span<Random> random, std::span<float> states,
                      std::span<float> actions, std::span<float> log_probs) {
  const auto part = [envs = static_cast<std::size_t>(env.size())](auto table, std::size_t n) {
    return table.subspan(n * (table.size() / envs), table.size() / envs);
  };
  std::vector<float> moved(parameters.size());
  for (std::size_t n = 0; n < random.size(); ++n) {
    const auto noise = episode_noise(actor, n, env.options().seed, env.options().first + static_cast<std::uint32_t>(n),
                                     env.episodes()[n]);
    const auto deviation = static_cast<float>(exploration.parameter_noise);
    for (std::size_t k = 0; k < moved.size(); ++k) moved[k] = parameters[k] + deviation * noise[k];
    if (!states.empty()) actor.bind_states(part(states, n));
    actor.sample(moved, part(env.observations(), n), part(env.masks(), n), random.subspan(n, 1), exploration,
                 part(actions, n).data(), &log_probs[n], nullptr);
  }
}

}  // namespace

std::vector<EpisodeEnd> collect(AnyVecEnv& env, nn::Actor& actor, std::span<const float> parameters,
                                std::uint32_t iteration, const nn::Exploration& exploration, Fragment& f,
                                SamplingSeconds* seconds) {
  StepTimer timer;
  if (exploration.perturbation > 0) {
    auto episodes = play_directions(env, actor, parameters, iteration, exploration.perturbation, f, timer);
    if (seconds) *seconds = timer.seconds();
    return episodes;
  }
  const FragmentLayout& layout = f.layout;
  const int envs = env.size();
  const int width = layout.observation_size;
  const std::size_t row = static_cast<std::size_t>(envs);
  const bool values = actor.has_values();
  if (!values) {
    std::fill(f.values.begin(), f.values.end(), 0.0f);
    std::fill(f.last_values.begin(), f.last_values.end(), 0.0f);
  }
  std::vector<EpisodeEnd> ended;
  std::vector<Random> random;
  for (int n = 0; n < envs; ++n) {
    random.emplace_back(env.options().seed, Stream::action, env.options().first + static_cast<std::uint32_t>(n),
                        iteration);
  }
  const std::size_t state = static_cast<std::size_t>(layout.state_size);
  const std::span<float> states = f.last_states;
  std::copy(f.initial_states.begin(), f.initial_states.end(), states.begin());
  for (int t = 0; t < layout.steps; ++t) {
    timer.begin(t);
    const std::size_t at = t * row;
    const auto observations = env.observations();
    for (int n = 0; n < envs; ++n) {
      if (!all_finite(observations.data() + n * width, width)) {
        refuse("an observation", env.options().first + n, env.episodes()[n]);
      }
    }
    std::copy(observations.begin(), observations.end(), f.observations.begin() + at * width);
    std::copy(env.masks().begin(), env.masks().end(), f.masks.begin() + at * layout.mask_size);
    timer.carried();
    float* actions = f.actions.data() + at * layout.action_size;
    if (t == 0 || (exploration.resample_every > 0 && t % exploration.resample_every == 0)) actor.draw_noise(random);
    if (exploration.parameter_noise > 0 && !exploration.uniform) {
      sample_perturbed(env, actor, parameters, exploration, random, states, {actions, row * layout.action_size},
                       f.log_probs.subspan(at, row));
    } else {
      if (state) actor.bind_states(states);
      actor.sample(parameters, observations, env.masks(), random, exploration, actions, f.log_probs.data() + at,
                   values ? f.values.data() + at : nullptr);
    }
    timer.inferred();
    env.step({actions, row * layout.action_size});
    timer.stepped();

    std::copy(env.costs().begin(), env.costs().end(), f.costs.begin() + at * layout.costs);
    std::copy(env.groups().begin(), env.groups().end(), f.groups.begin() + at * layout.costs);
    std::copy(env.terminated().begin(), env.terminated().end(), f.terminated.begin() + at);
    std::copy(env.truncated().begin(), env.truncated().end(), f.truncated.begin() + at);
    for (int n = 0; n < envs; ++n) {
      const double reward = env.rewards()[n];
      if (!std::isfinite(reward)) refuse("a reward", env.options().first + n, env.episodes()[n]);
      f.rewards[at + n] = static_cast<float>(reward);
      f.final_values[at + n] = 0;
      float* final_row = f.final_observations.data() + (at + n) * width;
      if (!env.terminated()[n] && !env.truncated()[n]) {
        std::fill_n(final_row, width, 0.0f);
        continue;
      }
      const float* final_observation = env.final_observations().data() + n * width;
      if (!all_finite(final_observation, width)) {
        refuse("a final observation", env.options().first + n, env.episodes()[n] - 1);
      }
      std::copy_n(final_observation, width, final_row);
      const auto memory = states.subspan(n * state, state);
      if (values && !env.terminated()[n]) {
        if (state) actor.bind_states(memory);
        actor.values(parameters, {final_row, static_cast<std::size_t>(width)}, &f.final_values[at + n]);
      }
      std::fill(memory.begin(), memory.end(), 0.0f);
    }
    ended.insert(ended.end(), env.ended().begin(), env.ended().end());
    timer.carried();
  }
  const auto last = env.observations();
  for (int n = 0; n < envs; ++n) {
    if (!all_finite(last.data() + n * width, width)) {
      refuse("an observation", env.options().first + n, env.episodes()[n]);
    }
  }
  std::copy(last.begin(), last.end(), f.last_observations.begin());
  if (state) actor.bind_states(states);
  std::copy(env.masks().begin(), env.masks().end(), f.last_masks.begin());
  if (values) actor.values(parameters, last, f.last_values.data());
  if (seconds) *seconds = timer.seconds();
  return ended;
}

}  // namespace mobula::rl
