#pragma once

#include <mobula/rl/callbacks.h>
#include <mobula/rl/verdict.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "rl/records/append_file.h"
#include "rl/train/resume_point.h"

namespace mobula::rl {

/// events.jsonl of a run: one JSON object a line, each with `time` (UTC), `event`, `iteration` and `env_steps`; the
/// kinds and what else they have are in docs/formats/run_directory.md. Lines are gathered until flush(). Throws
/// FileError if the file cannot be written.
class EventLog {
 public:
  using Json = nlohmann::ordered_json;
  /// Goes on from there. Events of what is done again are dropped; those that tell what happened to the run (started,
  /// resumed, worker_died, ...) stay.
  EventLog(const std::filesystem::path& file, const ResumePoint& point);

  /// `more` is an object.
  void add(std::string_view event, const Progress& progress, const Json& more);
  void flush();
  void sync() { file_.sync(); }

 private:
  AppendFile file_;
  std::string pending_;
};

/// Whether the run's last events say that it came to its end at this iteration.
bool finished_at(const std::filesystem::path& events, std::int64_t iteration);

/// JSON has no NaN: what is not known is null.
nlohmann::ordered_json json_number(double value);
nlohmann::ordered_json json_interval(const Estimate& estimate);
/// {"value", "ci95", "n"} and, where they differ from n, "samples".
nlohmann::ordered_json json_metrics(const Metrics& metrics);
/// As in result.json.
nlohmann::ordered_json json_constraint(const ConstraintResult& constraint);

}  // namespace mobula::rl
