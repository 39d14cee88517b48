// The torch learner: the objectives of all algorithms by LibTorch's autograd, over the same flat parameters as the
// native one. It is a library of its own, libmobula_torch.so, that is loaded when the first learner asks for it:
// nothing else needs LibTorch, neither to build nor to run, and workers never load it.
//
// Across this border go pure interfaces and plain values. The library exports one function, hides everything else, and
// needs no symbol of ours; rl/torch is its source.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "rl/algos/actor_critic/objective.h"
#include "rl/algos/dqn/objective.h"
#include "rl/algos/sac/objective.h"
#include "rl/algos/td3/objective.h"
#include "rl/nn/parameters.h"
#include "rl/nn/policy.h"

namespace mobula::rl {

// Makes objectives. `device` is "cpu", "cuda" or "cuda:<n>": where LibTorch computes; parameters, batches and gradients
// are in this machine's memory in any case. Layouts are those of nn::Policy, nn::ActionValues, nn::ActorNet and
// TwinCritics for this spec. Throws std::runtime_error where this LibTorch has no such device. T is float or double.
template <class T>
class TorchObjectives {
 public:
  virtual ~TorchObjectives() = default;
  virtual std::unique_ptr<ActorCriticObjective<T>> actor_critic(const nn::PolicySpec& spec,
                                                                const nn::ParameterLayout& layout,
                                                                std::string_view device) = 0;
  virtual std::unique_ptr<DqnObjective<T>> dqn(const nn::PolicySpec& spec, const nn::ParameterLayout& layout,
                                               std::string_view device) = 0;
  virtual std::unique_ptr<SacObjective<T>> sac(const nn::PolicySpec& spec, const nn::ParameterLayout& actor,
                                               const nn::ParameterLayout& critics, SquashCorrection correction,
                                               std::string_view device) = 0;
  virtual std::unique_ptr<DiscreteSacObjective<T>> discrete_sac(const nn::PolicySpec& spec,
                                                                const nn::ParameterLayout& actor,
                                                                const nn::ParameterLayout& critics,
                                                                std::string_view device) = 0;
  virtual std::unique_ptr<Td3Objective<T>> td3(const nn::PolicySpec& spec, const nn::ParameterLayout& actor,
                                               const nn::ParameterLayout& critics, std::string_view device) = 0;
};

class TorchModule {
 public:
  virtual ~TorchModule() = default;
  virtual std::string_view version() const = 0;  // of LibTorch: "1.13.1"
  virtual TorchObjectives<float>& floats() = 0;
  virtual TorchObjectives<double>& doubles() = 0;
};

// The library exports, with C linkage, kTorchFactory: it is given the fingerprint of the program's side of the border
// and answers null if its own differs. The number in the name changes with the interface.
inline constexpr const char* kTorchFactory = "mobula_torch_module_v1";
using TorchFactory = TorchModule* (*)(std::uint64_t fingerprint);
constexpr std::uint64_t torch_fingerprint() {
  std::uint64_t all = 1469598103934665603u;
  for (const std::size_t size :
       {sizeof(nn::PolicySpec), sizeof(nn::ParameterBlock), sizeof(PpoBatch<float>), sizeof(PpoLoss),
        sizeof(PpoLossStats), sizeof(TransitionBatch<float>), sizeof(DqnLoss), sizeof(DqnLossStats), sizeof(CriticFit),
        sizeof(std::string), nn::kAlignment, static_cast<std::size_t>(nn::kPadding)}) {
    all = (all ^ size) * 1099511628211u;
  }
  return all;
}

// Loads it at the first call; throws as nn::torch_function(). Any thread.
TorchModule& torch_module();
template <class T>
TorchObjectives<T>& torch_objectives();

// "learner: ..." or "device: ..." if these two options of an algorithm do not fit each other or this machine.
std::string problem_with_learner(std::string_view learner, std::string_view device);

}  // namespace mobula::rl
