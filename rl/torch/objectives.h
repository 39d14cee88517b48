// The objectives of this folder, a file each.
#pragma once

#include <memory>
#include <string_view>

#include "rl/algos/torch_module.h"

namespace mobula::rl::autograd {

// See TorchObjectives.
template <class T>
std::unique_ptr<ActorCriticObjective<T>> make_actor_critic(const nn::PolicySpec& spec,
                                                           const nn::ParameterLayout& layout, std::string_view device);
template <class T>
std::unique_ptr<DqnObjective<T>> make_dqn(const nn::PolicySpec& spec, const nn::ParameterLayout& layout,
                                          std::string_view device);
template <class T>
std::unique_ptr<SacObjective<T>> make_sac(const nn::PolicySpec& spec, const nn::ParameterLayout& actor,
                                          const nn::ParameterLayout& critics, SquashCorrection correction,
                                          std::string_view device);
template <class T>
std::unique_ptr<DiscreteSacObjective<T>> make_discrete_sac(const nn::PolicySpec& spec, const nn::ParameterLayout& actor,
                                                           const nn::ParameterLayout& critics, std::string_view device);
template <class T>
std::unique_ptr<Td3Objective<T>> make_td3(const nn::PolicySpec& spec, const nn::ParameterLayout& actor,
                                          const nn::ParameterLayout& critics, std::string_view device);

}  // namespace mobula::rl::autograd
