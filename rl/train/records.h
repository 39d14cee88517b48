#pragma once

#include <mobula/rl/train.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace mobula::rl {

/// The text of result.json: docs/guide/training.md lists its keys.
std::string result_json(const TrainOptions& options, const TrainResult& result);

/// The text of metadata.json: program, machine, command line, and when the run was started and resumed (`before` is the
/// file as it stands, empty at the start).
std::string metadata_json(const TrainOptions& options, const std::string& before);

/// progress.csv and evaluations.csv of a run: a header, then rows that begin with the iteration.
class ProgressLog {
 public:
  /// Goes on after `iteration`: what later iterations of an interrupted run had written is dropped.
  ProgressLog(std::filesystem::path progress, std::filesystem::path evaluations, std::int64_t iteration);

  void add(const Progress& progress, double return_mean,
           std::span<const std::pair<std::string_view, double>> statistics);
  void add(const EvaluationEvent& evaluation);
  /// Everything added so far is on the disk when a checkpoint says so.
  void flush();

 private:
  std::filesystem::path progress_, evaluations_;
  std::string pending_progress_, pending_evaluations_;
  bool has_header_;
};

}  // namespace mobula::rl
