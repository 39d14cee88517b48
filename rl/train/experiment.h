#pragma once

#include <mobula/rl/train.h>

#include <filesystem>
#include <string>
#include <vector>

namespace mobula::config {
class Document;
}

namespace mobula::rl {

/// A training run from a configuration file:
///
///   experiment: cartpole
///   env: {name: cartpole}
///   algorithm: {name: ppo, lr: 1.0e-3}
///   workers: 2
///   seed: 0
///   stop: {env_steps: 100000}
///   evaluate: {episodes: 100}
///   checkpoint: {keep: 3}
///
/// Only `env` has to be written. Throws config::ConfigError, with file, line and column, for anything that is not in
/// the schema or cannot work.
TrainOptions read_experiment(const config::Document& document);

/// The same as a file that reads back to equal options; every setting is written.
std::string write_experiment(const TrainOptions& options);

/// What is wrong with options that were put together in a program; empty if they can work.
std::string problem_with(const TrainOptions& options);

/// What works, but perhaps not as whoever wrote it thinks; a sentence each.
std::vector<std::string> advice(const TrainOptions& options);

/// Throws config::ConfigError if a run of these options, which were read from the document, needs more memory than
/// there is.
void check_memory(const config::Document& document, const TrainOptions& options);

/// Throws TrainError if a run whose settings are stored in `config` cannot be gone on with under these options: another
/// environment, algorithm or seed would make it another run.
void check_same_run(const TrainOptions& options, const std::filesystem::path& config);

}  // namespace mobula::rl
