#pragma once

#include <mobula/rl/callbacks.h>

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "rl/records/append_file.h"
#include "rl/train/resume_point.h"

namespace mobula::rl {

/// TensorBoard's files of a run, events.out.tfevents.<time>.<number>: one for the start and one for each resumption, as
/// TensorBoard expects it. The step of everything is the environment steps.
///
///   train/<column>                             all of progress.csv
///   fairness/<constraint>[<part>].multiplier   and .bound
///   evaluation/<policy>/<metric>               and .../low, .../high
///
/// Records are gathered until flush(). Throws FileError if a file cannot be written.
class ScalarLog {
 public:
  /// Goes on from there: in the files that are there, events that do not hold any longer are dropped. The new file is
  /// made by the first flush() that has something to write.
  ScalarLog(std::filesystem::path folder, const ResumePoint& point);

  void add(const Progress& progress, double return_mean,
           std::span<const std::pair<std::string_view, double>> statistics);
  void add(const EvaluationEvent& evaluation);
  void flush();
  void sync();

 private:
  std::filesystem::path file_;
  std::optional<AppendFile> out_;
  std::string begin_, pending_;
};

}  // namespace mobula::rl
