#pragma once

#include <mobula/fields.h>
#include <mobula/function.h>
#include <mobula/rl/vec_env.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace mobula::rl {

/// The configuration of an environment whose type is not known here.
class AnyConfig {
 public:
  virtual ~AnyConfig() = default;
  virtual Fields::Group& fields() = 0;
  /// What a Config with `std::string overload() const` says: why nothing can cope with what it asks for, or empty.
  virtual std::string overload() const = 0;
};

/// The code that makes vectors of an environment, as a value that workers understand.
using VecEnvFunction = Function<std::unique_ptr<AnyVecEnv>(const std::string&, const VecEnvOptions&)>;

/// Everything that training has to know of an environment. `factory` is the code that makes vectors of it, known to the
/// workers because they run the same program; the name is for people and files.
struct EnvironmentSpec {
  std::string name;
  std::string config;  ///< its Config as YAML, every field written; and its wrappers, where it has some
  EnvironmentInfo info;
  VecEnvFunction factory;
  std::unique_ptr<AnyConfig> (*make_config)() = nullptr;  ///< a Config with its defaults
};

/// Writes the fields as YAML.
std::string write_environment_config(Fields::Group& config);

namespace environment_detail {

template <class Config>
struct HeldConfig final : AnyConfig {
  explicit HeldConfig(Config c = {}) : config(std::move(c)), group(config) {}
  Fields::Group& fields() override { return group; }
  std::string overload() const override {
    if constexpr (requires { std::string(config.overload()); }) {
      return config.overload();
    } else {
      return {};
    }
  }
  Config config;
  fields_detail::GroupOf<Config> group;
};

template <class Config>
std::unique_ptr<AnyConfig> make_config() {
  return std::make_unique<HeldConfig<Config>>();
}

void add(EnvironmentSpec spec);

}  // namespace environment_detail

/// The environment E under this name with this configuration.
template <Environment E>
EnvironmentSpec environment(std::string name, const typename E::Config& config = {}) {
  environment_detail::HeldConfig<typename E::Config> held(config);
  return {std::move(name), write_environment_config(held.fields()), environment_info<E>(),
          mobula::function<&make_vec_env<E>>(), &environment_detail::make_config<typename E::Config>};
}

/// The same inside these wrappers, around those it may have already. Throws std::invalid_argument where one does not
/// fit.
EnvironmentSpec with_wrappers(EnvironmentSpec spec, std::span<const WrapperOptions> wrappers);

/// Makes E known to configuration files as `env: {name: NAME}`. Called before mobula::command_line; a name that exists
/// is replaced. Not synchronised.
template <Environment E>
void register_environment(std::string name) {
  environment_detail::add(environment<E>(std::move(name)));
}

/// The registered environments, by name; those of the library (cartpole, intersection, ...) are always there.
std::span<const EnvironmentSpec> registered_environments();

/// Null if there is none of this name.
const EnvironmentSpec* find_environment(std::string_view name);

/// Why this program was built without one of the library's environments; empty where that is not what is wrong.
std::string why_missing(std::string_view name);

}  // namespace mobula::rl
