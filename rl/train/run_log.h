#pragma once

#include <mobula/rl/train.h>

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "rl/fairness/controller.h"
#include "rl/train/event_log.h"
#include "rl/train/progress_log.h"
#include "rl/train/run_directory.h"
#include "rl/train/scalar_log.h"

namespace mobula::rl {

/// All that a run tells while it goes on: progress.csv, evaluations.csv, events.jsonl and TensorBoard's files,
/// described in docs/formats/run_directory.md. What is told is on the disk a second later, and when a checkpoint says
/// so; the four agree with each other and with the checkpoint that a run goes on from. Throws FileError if a file
/// cannot be written.
class RunLog {
 public:
  using Json = EventLog::Json;
  RunLog(const RunDirectory& directory, ResumePoint point);

  /// Something that is no iteration and no evaluation: kinds as in EventLog.
  void event(std::string_view kind, const Progress& progress, const Json& more);
  void iteration(const Progress& progress, double return_mean,
                 std::span<const std::pair<std::string_view, double>> statistics,
                 std::span<const Controller::State> constraints);
  void evaluation(const EvaluationEvent& event, std::span<const ConstraintResult> constraints);
  /// Before the final evaluation. Where the run stands where it went on from, that evaluation was told before; it is
  /// dropped.
  void drop_final_evaluation(const Progress& progress);

  /// To the disk, whatever happens to the machine.
  void flush();

 private:
  void open();
  void write();
  void write_now_and_then();
  std::filesystem::path path(std::string_view name) const { return folder_ / name; }

  const std::filesystem::path folder_;
  ResumePoint point_;
  std::optional<ProgressLog> tables_;
  std::optional<EventLog> events_;
  std::optional<ScalarLog> scalars_;
  std::chrono::steady_clock::time_point written_ = std::chrono::steady_clock::now();
};

}  // namespace mobula::rl
