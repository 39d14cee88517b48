#pragma once

#include <string>
#include <vector>

#include "runtime/config/keys.h"

namespace mobula::rl {

/// What may stand somewhere in the file of `mobula train`, for help pages and shell completion.
struct SchemaPart {
  enum class Kind { top, section, algorithm, environment };
  Kind kind = Kind::section;
  std::string name;               ///< "stop", "ppo", "intersection"; empty: the top of the file
  std::string path;               ///< where its keys stand: "stop", "algorithm", "env", ""
  std::string help;               ///< one sentence; may be empty
  std::vector<config::Key> keys;  ///< with paths relative to `path`
};

/// All parts: the top, its sections, the algorithms, then the environments that are registered at this moment.
std::vector<SchemaPart> training_schema();

}  // namespace mobula::rl
