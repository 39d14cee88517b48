// Evaluating perturbed policies: each environment plays one episode under a policy of its own.
#pragma once

#include <mobula/rl/any_vec_env.h>

#include <cstdint>
#include <span>
#include <vector>

#include "rl/algos/sampling_seconds.h"
#include "rl/buffers/fragment.h"
#include "rl/nn/actor.h"
#include "rl/nn/parameters.h"

namespace mobula::rl {

// Environment 2 d of a run follows the policy moved by +deviation along direction d, environment 2 d + 1 the one moved
// the other way (mirrored sampling).
struct Direction {
  std::uint32_t index = 0;
  float sign = 1;
};
inline Direction direction_of(std::uint32_t env) {
  return {env / 2, env % 2 == 0 ? 1.0f : -1.0f};
}

// Adds scale times the direction to `parameters`: independent standard normal numbers for the weights and biases of
// actor.*, from Random(seed, Stream::parameters, index + 1, iteration), in the order of the layout. So worker and
// learner draw the same ones, and none travels.
void add_direction(const nn::ParameterLayout& layout, std::uint64_t seed, std::uint32_t index, std::uint32_t iteration,
                   float scale, std::span<float> parameters);

// What collect() does where exploration.perturbation > 0. Starts episode `iteration` in every environment and plays it
// to its end, with the most likely actions. Of the fragment, one step long, it fills in for each environment: rewards
// (the undiscounted return), values (the number of steps), terminated or truncated, and as observations and
// final_observations the mean and the sum of squared deviations of the observations that were acted on. The rest is 0.
// Leaves the environments at the beginning of episode iteration + 1. Returns the episodes, by environment.
std::vector<EpisodeEnd> play_directions(AnyVecEnv& env, nn::Actor& actor, std::span<const float> parameters,
                                        std::uint32_t iteration, double deviation, Fragment& fragment,
                                        StepTimer& timer);

}  // namespace mobula::rl
