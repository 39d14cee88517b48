#pragma once

#include <mobula/fields.h>
#include <mobula/rl/wrapper_options.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/config/document.h"

namespace mobula::rl {

// Reads the environment's settings at `path` into `config`, and returns the wrappers that are named there. Throws
// config::ConfigError.
std::vector<WrapperOptions> read_environment(const config::Document& document, std::string_view path,
                                             Fields::Group& config);

// The `wrappers` of an environment as a line of YAML with its end; empty where there are none.
std::string wrappers_yaml(std::span<const WrapperOptions> wrappers);

}  // namespace mobula::rl
