#include "rl/train/progress_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>
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

/// Keeps the header and the rows that `holds` wants; returns the header.
template <class Holds>
std::string keep_rows(const std::filesystem::path& file, Holds holds) {
  if (!std::filesystem::exists(file)) return {};
  const std::string text = read_file(file);
  std::string kept, header;
  for (std::size_t begin = 0;;) {
    const auto end = text.find('\n', begin);
    if (end == std::string::npos) break;  // the end, or a line that was cut off before its own
    const std::string_view row = std::string_view(text).substr(begin, end + 1 - begin);
    begin = end + 1;
    std::int64_t iteration = 0;
    const bool is_row = std::from_chars(row.data(), row.data() + row.size(), iteration).ec == std::errc();
    if (is_row && !holds(iteration, row)) continue;
    if (!is_row) header = row.substr(0, row.size() - 1);
    kept += row;
  }
  if (kept != text) write_file(file, kept);
  return header;
}

std::vector<std::string_view> cells_of(std::string_view row) {
  std::vector<std::string_view> cells;
  for (std::size_t begin = 0;;) {
    const auto end = std::min(row.find(',', begin), row.size());
    cells.push_back(row.substr(begin, end - begin));
    if (end == row.size()) return cells;
    begin = end + 1;
  }
}

/// The rows of a table with the cells of each under other columns, by name; empty where there was none.
std::string under(const std::string& header, std::string_view text) {
  const auto wanted = cells_of(header);
  std::vector<std::string_view> names;
  std::string out = header + "\n";
  while (!text.empty()) {
    const auto end = text.find('\n');
    const auto cells = cells_of(text.substr(0, end));
    text.remove_prefix(std::min(end, text.size() - 1) + 1);
    if (names.empty()) {
      names = cells;
      continue;
    }
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const auto from = static_cast<std::size_t>(std::find(names.begin(), names.end(), wanted[i]) - names.begin());
      if (i > 0) out += ',';
      if (from < cells.size()) out += cells[from];
    }
    out += '\n';
  }
  return out;
}

}  // namespace

void ProgressLog::begin(Table& table, const std::string& header) {
  if (table.header == header) return;
  if (table.header.empty()) {
    table.pending += header + "\n";
  } else {
    const auto path = table.file.path();
    write_file(path, under(header, read_file(path)));
    table.file = AppendFile(path);
  }
  table.header = header;
}

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
  std::string header = "iteration,env_steps,episodes,wall_seconds,return_mean";
  for (const auto& [name, value] : statistics) header += fmt::format(",{}", name);
  begin(progress_, header);
  progress_.pending += fmt::format("{},{},{},{:.3f},{}", progress.iteration, progress.env_steps, progress.episodes,
                                   progress.wall_seconds, csv(return_mean));
  for (const auto& [name, value] : statistics) progress_.pending += "," + csv(value);
  progress_.pending += "\n";
}

void ProgressLog::add(const EvaluationEvent& event) {
  begin(evaluations_, "iteration,env_steps,policy,metric,value,low,high,n,samples");
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
