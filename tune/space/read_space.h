#pragma once

#include <mobula/tune/space.h>

#include <string_view>

namespace mobula::config {
class Document;
}

namespace mobula::tune {

/// The spaces that stand in a configuration file in place of literals, named by their dotted keys:
///
///   algorithm:
///     lr: {loguniform: [1.0e-5, 1.0e-2]}
///     n_epochs: {int: [2, 20], step: 2}
///     clip_range: {uniform: [0.1, 0.3]}
///     network: {hidden: {choice: [[32], [64, 64]]}}
///     target_kl: {uniform: [0.01, 0.05], when: {clip_schedule: [constant]}}
///   seed: {grid: [1, 2, 3]}
///
/// `when` names a sibling key or a dotted key of the file that is a space too. `skip` is a key at the top that is not
/// looked into. A condition may stand before what it depends on; the space has them in the order that works. The values
/// of choices and grids are texts, as YAML. Throws config::ConfigError with file, line and column.
Space read_space(const config::Document& document, std::string_view skip = {});

}  // namespace mobula::tune
