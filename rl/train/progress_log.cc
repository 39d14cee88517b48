#include "rl/train/progress_log.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <vector>

#include "rl/train/files.h"

namespace mobula::rl {
namespace {

std::string csv(double value) {
  return std::isfinite(value) ? fmt::format("{:.9g}", value) : "";
}

std::string_view field(std::string_view row, int index) {
  for (; index > 0 && !row.empty(); --index) row.remove_prefix(std::min(row.find(',') + 1, row.size()));
  return row.substr(0, row.find(','));
}

/// Keeps the header and the rows that `holds` wants; tells whether there was a header.
template <class Holds>
bool keep_rows(const std::filesystem::path& file, Holds holds) {
  if (!std::filesystem::exists(file)) return false;
  const std::string text = read_file(file);
  std::string kept;
  bool header = false;
  for (std::size_t begin = 0;;) {
    const auto end = text.find('\n', begin);
    if (end == std::string::npos) break;  // the end, or a line that was cut off before its own
    const std::string_view row = std::string_view(text).substr(begin, end + 1 - begin);
    begin = end + 1;
    std::int64_t iteration = 0;
    const bool is_row = std::from_chars(row.data(), row.data() + row.size(), iteration).ec == std::errc();
    if (is_row && !holds(iteration, row)) continue;
    header |= !is_row;
    kept += row;
  }
  if (kept != text) write_file(file, kept);
  return header;
}

}  // namespace

ProgressLog::ProgressLog(const std::filesystem::path& progress, const std::filesystem::path& evaluations,
                         const ResumePoint& point)
    : progress_{keep_rows(progress, [&](std::int64_t iteration, std::string_view) { return point.holds(iteration); }),
                "", AppendFile(progress)},
      evaluations_{keep_rows(evaluations,
                             [&](std::int64_t iteration, std::string_view row) {
                               return point.holds_evaluation(iteration, field(row, 2));
                             }),
                   "", AppendFile(evaluations)} {}

void ProgressLog::add(const Progress& progress, double return_mean,
                      std::span<const std::pair<std::string_view, double>> statistics) {
  if (!progress_.has_header) {
    progress_.pending += "iteration,env_steps,episodes,wall_seconds,return_mean";
    for (const auto& [name, value] : statistics) progress_.pending += fmt::format(",{}", name);
    progress_.pending += "\n";
    progress_.has_header = true;
  }
  progress_.pending += fmt::format("{},{},{},{:.3f},{}", progress.iteration, progress.env_steps, progress.episodes,
                                   progress.wall_seconds, csv(return_mean));
  for (const auto& [name, value] : statistics) progress_.pending += "," + csv(value);
  progress_.pending += "\n";
}

void ProgressLog::add(const EvaluationEvent& event) {
  if (!evaluations_.has_header) {
    evaluations_.pending += "iteration,env_steps,policy,metric,value,low,high,n,samples\n";
    evaluations_.has_header = true;
  }
  for (const auto& [metric, e] : event.metrics) {
    evaluations_.pending +=
        fmt::format("{},{},{},{},{},{},{},{},{}\n", event.progress.iteration, event.progress.env_steps, event.policy,
                    metric, csv(e.value), csv(e.low), csv(e.high), e.n, e.samples);
  }
}

void ProgressLog::flush() {
  for (Table* table : {&progress_, &evaluations_}) table->file.append(std::exchange(table->pending, {}));
}

void ProgressLog::sync() {
  for (Table* table : {&progress_, &evaluations_}) table->file.sync();
}

}  // namespace mobula::rl
