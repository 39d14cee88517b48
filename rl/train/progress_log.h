#pragma once

#include <mobula/rl/callbacks.h>

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "rl/records/append_file.h"
#include "rl/train/resume_point.h"

namespace mobula::rl {

/// progress.csv and evaluations.csv of a run: a header, then rows that begin with the iteration. Rows are gathered
/// until flush(). Throws FileError if a file cannot be written.
class ProgressLog {
 public:
  /// Goes on from there: rows that do not hold any longer, and a last one that is torn, are dropped.
  ProgressLog(const std::filesystem::path& progress, const std::filesystem::path& evaluations,
              const ResumePoint& point);

  void add(const Progress& progress, double return_mean,
           std::span<const std::pair<std::string_view, double>> statistics);
  void add(const EvaluationEvent& evaluation);
  void flush();
  void sync();

 private:
  struct Table {
    std::string header;  // empty: not written yet
    std::string pending;
    AppendFile file;
  };
  static void begin(Table& table, const std::string& header);
  Table progress_, evaluations_;
};

}  // namespace mobula::rl
