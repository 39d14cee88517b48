#include "rl/train/scalar_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <vector>

#include "rl/records/scalar_events.h"
#include "rl/train/files.h"

namespace mobula::rl {
namespace {

constexpr std::string_view kPrefix = "events.out.tfevents.";

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(kPrefix) && entry.path().extension() != ".new") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

bool holds(const ScalarEvent& event, const ResumePoint& point) {
  if (event.scalars.empty()) return true;
  const std::string& tag = event.scalars.front().first;
  if (!tag.starts_with("evaluation/")) return event.step <= point.env_steps;
  return point.holds_evaluation_at_step(event.step, tag.starts_with("evaluation/trained/"));
}

/// "fairness.mean_wait_gap[side - main].bound" is drawn under fairness/, what has no such prefix under train/.
std::string tag_of(std::string_view column) {
  constexpr std::string_view fairness = "fairness.";
  if (column.starts_with(fairness)) return "fairness/" + std::string(column.substr(fairness.size()));
  return "train/" + std::string(column);
}

}  // namespace

ScalarLog::ScalarLog(std::filesystem::path folder, const ResumePoint& point) {
  const auto files = files_in(folder);
  for (const auto& file : files) {
    const std::string bytes = read_file(file);
    const std::string kept = filter_events(bytes, [&](const ScalarEvent& event) { return holds(event, point); });
    if (kept != bytes) write_file(file, kept);
  }
  // TensorBoard reads the files of a folder in the order of their names, so a later one needs a larger name also where
  // the clock was set back.
  std::int64_t time = std::time(nullptr);
  if (!files.empty()) {
    const std::string last = files.back().filename().string().substr(kPrefix.size());
    time = std::max<std::int64_t>(time, std::atoll(last.c_str()));
  }
  file_ = folder / fmt::format("{}{:010}.{:05}", kPrefix, time, files.size());
  begin_ = events_begin(now());
  if (!files.empty()) begin_ += events_resume(now(), point.env_steps + 1);
}

void ScalarLog::add(const Progress& progress, double return_mean,
                    std::span<const std::pair<std::string_view, double>> statistics) {
  std::vector<std::pair<std::string, double>> scalars{{"train/iteration", static_cast<double>(progress.iteration)},
                                                      {"train/episodes", static_cast<double>(progress.episodes)},
                                                      {"train/wall_seconds", progress.wall_seconds},
                                                      {"train/return_mean", return_mean}};
  for (const auto& [name, value] : statistics) scalars.emplace_back(tag_of(name), value);
  pending_ += scalar_event(now(), progress.env_steps, scalars);
}

void ScalarLog::add(const EvaluationEvent& event) {
  std::vector<std::pair<std::string, double>> scalars;
  for (const auto& [metric, e] : event.metrics) {
    const std::string tag = fmt::format("evaluation/{}/{}", event.policy, metric);
    scalars.emplace_back(tag, e.value);
    scalars.emplace_back(tag + "/low", e.low);
    scalars.emplace_back(tag + "/high", e.high);
  }
  pending_ += scalar_event(now(), event.progress.env_steps, scalars);
}

void ScalarLog::flush() {
  if (pending_.empty()) return;
  if (!out_) {
    out_.emplace(file_);
    pending_ = begin_ + pending_;
  }
  out_->append(std::exchange(pending_, {}));
}

void ScalarLog::sync() {
  if (out_) out_->sync();
}

}  // namespace mobula::rl
