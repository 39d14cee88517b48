// Parameter noise (Plappert et al. 2018): the policy that collects differs from the one that is learnt by noise on its
// parameters, the same for a whole episode of an environment.
#pragma once

#include <mobula/random.h>

#include <cstdint>
#include <span>
#include <vector>

#include "rl/nn/actor.h"
#include "rl/nn/parameters.h"

namespace mobula::rl {

// A standard normal number for each weight and bias of actor.* or q.*, in the order of the layout; 0 for everything
// else.
void draw_parameter_noise(const nn::ParameterLayout& layout, Random& random, std::span<float> noise);

// The parameters with such noise, times `deviation`, on them.
std::vector<float> perturbed(std::span<const float> parameters, const nn::ParameterLayout& layout, double deviation,
                             Random& random);

// The noise of an environment's episode: from Random(seed, Stream::parameters, env + 1, episode). `row` is where the
// cache of the actor keeps it.
std::span<const float> episode_noise(nn::Actor& actor, std::size_t row, std::uint64_t seed, std::uint32_t env,
                                     std::uint32_t episode);

// How large the noise has to be so that what the two policies do differs by `wanted`, in whatever measure (of actions
// of a box: a root mean square in units of [-1, 1]; of one of N: a divergence): grows while it differs by less, and
// shrinks.
inline double adapted(double deviation, double distance, double wanted) {
  constexpr double kStep = 1.01;  // that of the paper
  return distance <= wanted ? deviation * kStep : deviation / kStep;
}

}  // namespace mobula::rl
