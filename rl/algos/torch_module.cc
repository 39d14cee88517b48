#include "rl/algos/torch_module.h"

#include "rl/nn/torch_library.h"

namespace mobula::rl {

TorchModule& torch_module() {
  const auto factory = reinterpret_cast<TorchFactory>(nn::torch_function(kTorchFactory));
  if (TorchModule* module = factory(torch_fingerprint())) return *module;
  throw nn::torch_of_another_version();
}

template <>
TorchObjectives<float>& torch_objectives<float>() {
  return torch_module().floats();
}
template <>
TorchObjectives<double>& torch_objectives<double>() {
  return torch_module().doubles();
}

std::string problem_with_learner(std::string_view learner, std::string_view device) {
  if (learner != "torch") {
    if (device == "cpu") return {};
    return "device: '" + std::string(device) + "' needs learner: torch; the native learner computes on the cpu";
  }
  const bool numbered = device.starts_with("cuda:") && device.size() > 5 &&
                        device.find_first_not_of("0123456789", 5) == std::string_view::npos;
  if (device != "cpu" && device != "cuda" && !numbered) {
    return "device: '" + std::string(device) + "' is none; there are cpu, cuda and cuda:<n>";
  }
  const std::string problem = nn::problem_with_torch();
  return problem.empty() ? problem : "learner: " + problem;
}

}  // namespace mobula::rl
