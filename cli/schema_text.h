#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "rl/train/schema.h"

namespace mobula::cli {

/// Everything that a configuration file may say: what `mobula train` takes, then the section `tune`.
std::vector<rl::SchemaPart> whole_schema();

/// What there is, for `mobula config` alone.
std::string schema_overview(const std::vector<rl::SchemaPart>& parts, int width);
/// Every key of a part, for a terminal.
std::string schema_part_text(const rl::SchemaPart& part);
/// The page docs/guide/configuration.md.
std::string schema_page(const std::vector<rl::SchemaPart>& parts);
nlohmann::ordered_json schema_json(const rl::SchemaPart& part);

/// "environment intersection", "section stop", "the top of the file".
std::string title_of(const rl::SchemaPart& part);

}  // namespace mobula::cli
