#pragma once

#include <mobula/rl/dqn_options.h>
#include <mobula/rl/ppo_options.h>
#include <mobula/rl/sac_options.h>
#include <mobula/rl/td3_options.h>

#include <variant>

namespace mobula::rl {

/// The settings of the algorithm that learns, and by their type which one it is. In a file `algorithm.name` says that;
/// without it, and in a program that sets nothing, it is PPO.
///
///   options.algorithm = mobula::rl::PpoOptions{.lr = 1e-3, .n_envs = 16};
using AlgorithmOptions = std::variant<PpoOptions, DqnOptions, SacOptions, Td3Options>;

}  // namespace mobula::rl
