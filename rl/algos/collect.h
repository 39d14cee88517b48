// Sampling: runs environments under a policy and writes what happened into a fragment.
#pragma once

#include <mobula/rl/any_vec_env.h>

#include <cstdint>
#include <span>
#include <vector>

#include "rl/algos/sampling_seconds.h"
#include "rl/buffers/fragment.h"
#include "rl/nn/actor.h"

namespace mobula::rl {

// Steps `env` fragment.layout.steps times from its present observations (so it has been reset or restored before) and
// fills the fragment. Returns the episodes that ended, by step, then environment.
//
// `parameters` is the policy's flat array, as the actor's layout() has it. Values are 0 where the policy has none.
// `iteration` numbers the fragments of a run: the random numbers that actions are drawn with are
// Random(env.options().seed, Stream::action, environment's index, iteration). So the bytes depend on the parameters,
// the exploration, the state of the environments, the seed and the iteration only. Throws std::runtime_error, naming
// environment and step, when an observation or reward is not finite. `seconds`, where given, is set to where the time
// went.
std::vector<EpisodeEnd> collect(AnyVecEnv& env, nn::Actor& actor, std::span<const float> parameters,
                                std::uint32_t iteration, const nn::Exploration& exploration, Fragment& fragment,
                                SamplingSeconds* seconds = nullptr);

}  // namespace mobula::rl
