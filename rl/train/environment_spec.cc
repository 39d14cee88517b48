#include <mobula/rl/environment_spec.h>
#include <mobula/rl/intersection.h>
#include <mobula/rl/ring.h>
#include <mobula/rl/wrappers.h>

#include <algorithm>
#include <vector>

#include "rl/envs/acrobot.h"
#include "rl/envs/cartpole.h"
#include "rl/envs/identity.h"
#include "rl/envs/mountain_car.h"
#include "rl/envs/pendulum.h"
#include "rl/envs/read_config.h"
#include "runtime/config/dump.h"
#ifdef MOBULA_HAVE_BOX2D
#include "rl/box2d/bipedal_walker.h"
#include "rl/box2d/lunar_lander.h"
#endif

namespace mobula::rl {
namespace {

std::vector<EnvironmentSpec>& registry() {
  static std::vector<EnvironmentSpec> specs{
      environment<CartPole>("cartpole"),
      environment<Pendulum>("pendulum"),
      environment<Acrobot>("acrobot"),
      environment<MountainCar>("mountain_car"),
      environment<MountainCarContinuous>("mountain_car_continuous"),
      environment<Partial<CartPole, 0, 2>>("stateless_cartpole"),
      environment<Partial<Pendulum, 0, 1>>("stateless_pendulum"),
      environment<Chaos<CartPole>>("chaos_cartpole"),
      environment<IdentityDiscrete<2>>("identity_discrete"),
      environment<Identity<MultiDiscrete<2, 3>>>("identity_multi_discrete"),
      environment<IdentityBox<2>>("identity_box"),
      environment<IdentityMasked<4>>("identity_masked"),
      environment<Memory<Discrete<2>>>("memory_discrete"),
      environment<Memory<MultiDiscrete<2, 3>>>("memory_multi_discrete"),
      environment<Memory<Box<2>>>("memory_box"),
#ifdef MOBULA_HAVE_BOX2D
      environment<LunarLander>("lunar_lander"),
      environment<LunarLanderContinuous>("lunar_lander_continuous"),
      environment<BipedalWalker>("bipedal_walker"),
#endif
      environment<Intersection>("intersection"),
      environment<Ring>("ring"),
  };
  return specs;
}

}  // namespace

std::string write_environment_config(Fields::Group& config) {
  return config::dump_group(config, {});
}

EnvironmentSpec with_wrappers(EnvironmentSpec spec, std::span<const WrapperOptions> wrappers) {
  const auto held = spec.make_config();
  auto all = read_environment_config(spec.config, held->fields());
  all.insert(all.end(), wrappers.begin(), wrappers.end());
  spec.info = wrapped_info(std::move(spec.info), wrappers);
  spec.config = write_environment_config(held->fields());
  if (!all.empty() && spec.config == "{}\n") spec.config.clear();
  spec.config += wrappers_yaml(all);
  return spec;
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

std::string why_missing(std::string_view name) {
  const bool needs_box2d = name == "lunar_lander" || name == "lunar_lander_continuous" || name == "bipedal_walker";
  if (!needs_box2d || find_environment(name)) return {};
  return "'" + std::string(name) +
         "' needs Box2D, which was not found when this program was built; install libbox2d-dev and build it again";
}

const EnvironmentSpec* find_environment(std::string_view name) {
  for (const auto& spec : registry()) {
    if (spec.name == name) return &spec;
  }
  return nullptr;
}

}  // namespace mobula::rl
