#include <mobula/rl/vec_env.h>

#include "runtime/config/read.h"

namespace mobula::rl {

void read_environment_config(const std::string& config_yaml, Fields::Group& config) {
  const auto document = config_yaml.find_first_not_of(" \t\r\n") == std::string::npos
                            ? config::Document::empty("the environment's configuration")
                            : config::Document::parse(config_yaml, "the environment's configuration");
  config::read_group(document, "", config, {"name"});
}

}  // namespace mobula::rl
