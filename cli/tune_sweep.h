#pragma once

#include <mobula/rl/train.h>
#include <mobula/tune/study.h>

#include <string>

namespace mobula::config {
class Document;
}

namespace mobula::cli {

/// A configuration file with spaces in place of literals and a `tune:` section, read and checked.
struct Sweep {
  tune::Space space;
  tune::StudyOptions study;
  std::string base;  ///< the file without spaces and `tune:`, as YAML that rl::read_experiment takes
};

/// Throws config::ConfigError for what cannot be read, and for a space that reaches a value which training refuses:
/// each parameter is tried at its ends (a choice at all of its values) with the others at their first.
Sweep read_sweep(const config::Document& document);

/// Throws config::ConfigError if what is tuned for is not among the metrics of an evaluated policy. Trains one
/// iteration in this process to know them, unless it is one that every environment has.
void check_metric(const config::Document& document, const Sweep& sweep);

/// The training run that a trial stands for.
rl::TrainOptions trial_options(const std::string& base, const tune::Params& params);

/// Trains a trial up to the steps that the job asks for and tells the metric of the trained policy there, on held-out
/// episodes. The trial's run directory is its state: training goes on from its newest checkpoint, exactly. Rollout
/// workers are actors that hold no cpu, so trials never wait for one another.
struct TrainObjective {
  std::string base;
  std::string folder;  ///< of all trials
  std::string metric;
  std::int64_t repeats = 1;
  bool resumable = true;

  tune::Report operator()(const tune::Job& job) const;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(base, folder, metric, repeats, resumable);
  }
};

}  // namespace mobula::cli
