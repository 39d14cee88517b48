// What libmobula_torch.so exports.
#include <torch/version.h>

#include "rl/torch/objectives.h"

namespace mobula::rl::autograd {
namespace {

template <class T>
class Objectives final : public TorchObjectives<T> {
 public:
  std::unique_ptr<ActorCriticObjective<T>> actor_critic(const nn::PolicySpec& spec, const nn::ParameterLayout& layout,
                                                        std::string_view device) override {
    return make_actor_critic<T>(spec, layout, device);
  }
  std::unique_ptr<DqnObjective<T>> dqn(const nn::PolicySpec& spec, const nn::ParameterLayout& layout,
                                       std::string_view device) override {
    return make_dqn<T>(spec, layout, device);
  }
  std::unique_ptr<SacObjective<T>> sac(const nn::PolicySpec& spec, const nn::ParameterLayout& actor,
                                       const nn::ParameterLayout& critics, SquashCorrection correction,
                                       std::string_view device) override {
    return make_sac<T>(spec, actor, critics, correction, device);
  }
  std::unique_ptr<DiscreteSacObjective<T>> discrete_sac(const nn::PolicySpec& spec, const nn::ParameterLayout& actor,
                                                        const nn::ParameterLayout& critics,
                                                        std::string_view device) override {
    return make_discrete_sac<T>(spec, actor, critics, device);
  }
  std::unique_ptr<Td3Objective<T>> td3(const nn::PolicySpec& spec, const nn::ParameterLayout& actor,
                                       const nn::ParameterLayout& critics, std::string_view device) override {
    return make_td3<T>(spec, actor, critics, device);
  }
};

class Module final : public TorchModule {
 public:
  std::string_view version() const override { return TORCH_VERSION; }
  TorchObjectives<float>& floats() override { return floats_; }
  TorchObjectives<double>& doubles() override { return doubles_; }

 private:
  Objectives<float> floats_;
  Objectives<double> doubles_;
};

}  // namespace
}  // namespace mobula::rl::autograd

extern "C" [[gnu::visibility("default")]] mobula::rl::TorchModule* mobula_torch_module_v1(std::uint64_t fingerprint) {
  static mobula::rl::autograd::Module module;
  return fingerprint == mobula::rl::torch_fingerprint() ? &module : nullptr;
}
