#pragma once

#include <mobula/rl/train.h>

#include <cstdint>
#include <string>

namespace mobula::rl {

/// The text of result.json: docs/guide/training.md lists its keys.
std::string result_json(const TrainOptions& options, const TrainResult& result);

/// The text of metadata.json: program, compiler, packages, machine, command line, and when the run was started and
/// resumed
/// (`before` is the file as it stands, empty at the start).
std::string metadata_json(const std::string& experiment, std::uint64_t seed, const std::string& before);

}  // namespace mobula::rl
