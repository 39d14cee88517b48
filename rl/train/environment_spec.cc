#include <mobula/rl/environment_spec.h>
#include <mobula/rl/intersection.h>
#include <mobula/rl/ring.h>

#include <algorithm>
#include <vector>

#include "rl/envs/acrobot.h"
#include "rl/envs/cartpole.h"
#include "rl/envs/identity.h"
#include "rl/envs/mountain_car.h"
#include "rl/envs/pendulum.h"
#include "runtime/config/dump.h"

namespace mobula::rl {
namespace {

std::vector<EnvironmentSpec>& registry() {
  static std::vector<EnvironmentSpec> specs{
      environment<CartPole>("cartpole"),
      environment<Pendulum>("pendulum"),
      environment<Acrobot>("acrobot"),
      environment<MountainCar>("mountain_car"),
      environment<MountainCarContinuous>("mountain_car_continuous"),
      environment<IdentityDiscrete<2>>("identity_discrete"),
      environment<IdentityBox<2>>("identity_box"),
      environment<Intersection>("intersection"),
      environment<Ring>("ring"),
  };
  return specs;
}

}  // namespace

std::string write_environment_config(Fields::Group& config) {
  return config::dump_group(config, {});
}

void environment_detail::add(EnvironmentSpec spec) {
  auto& specs = registry();
  const auto same = std::find_if(specs.begin(), specs.end(), [&](const auto& s) { return s.name == spec.name; });
  if (same != specs.end()) {
    *same = std::move(spec);
  } else {
    specs.push_back(std::move(spec));
  }
}

std::span<const EnvironmentSpec> registered_environments() {
  return registry();
}

const EnvironmentSpec* find_environment(std::string_view name) {
  for (const auto& spec : registry()) {
    if (spec.name == name) return &spec;
  }
  return nullptr;
}

}  // namespace mobula::rl
