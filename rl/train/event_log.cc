#include "rl/train/event_log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "rl/train/files.h"

namespace mobula::rl {
namespace {

using Json = EventLog::Json;

std::string utc_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(milliseconds / 1000), milliseconds % 1000);
}

/// Calls for each whole line, with the object that it holds; a line that is none is passed as null.
template <class Take>
void each_event(const std::filesystem::path& file, Take take) {
  if (!std::filesystem::exists(file)) return;
  const std::string text = read_file(file);
  for (std::size_t begin = 0;;) {
    const auto end = text.find('\n', begin);
    if (end == std::string::npos) return;
    const std::string line = text.substr(begin, end + 1 - begin);
    begin = end + 1;
    Json object = Json::parse(line, nullptr, false);
    if (object.is_discarded() || !object.is_object()) object = Json();
    take(line, object);
  }
}

bool holds(const Json& object, const ResumePoint& point) {
  if (object.is_null()) return false;
  const std::string kind = object.value("event", "");
  const auto iteration = object.value("iteration", std::int64_t{0});
  if (kind == "evaluation") return point.holds_evaluation(iteration, object.value("policy", ""));
  if (kind == "iteration" || kind == "constraint" || kind == "checkpoint") return point.holds(iteration);
  return true;
}

const std::filesystem::path& cut(const std::filesystem::path& file, const ResumePoint& point) {
  std::string kept;
  each_event(file, [&](const std::string& line, const Json& object) {
    if (holds(object, point)) kept += line;
  });
  if (std::filesystem::exists(file)) write_file(file, kept);
  return file;
}

}  // namespace

EventLog::EventLog(const std::filesystem::path& file, const ResumePoint& point) : file_(cut(file, point)) {}

void EventLog::add(std::string_view event, const Progress& progress, const Json& more) {
  Json line{
      {"time", utc_now()}, {"event", event}, {"iteration", progress.iteration}, {"env_steps", progress.env_steps}};
  line.update(more);
  // Bytes that are not UTF-8 (an error message may hold any) must not cost the event.
  pending_ += line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

void EventLog::flush() {
  file_.append(std::exchange(pending_, {}));
}

bool finished_at(const std::filesystem::path& events, std::int64_t iteration) {
  bool finished = false;
  each_event(events, [&](const std::string&, const Json& object) {
    if (object.is_object() && object.value("event", "") == "finished") {
      finished |= object.value("iteration", std::int64_t{-1}) == iteration;
    }
  });
  return finished;
}

Json json_number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json json_interval(const Estimate& e) {
  return Json::array({json_number(e.low), json_number(e.high)});
}

Json json_metrics(const Metrics& metrics) {
  Json object = Json::object();
  for (const auto& [metric, e] : metrics) {
    object[metric] = {{"value", json_number(e.value)}, {"ci95", json_interval(e)}, {"n", e.n}};
    if (e.samples != e.n) object[metric]["samples"] = e.samples;
  }
  return object;
}

Json json_constraint(const ConstraintResult& c) {
  Json entry;
  entry["metric"] = c.metric;
  entry["groups"] = c.groups;
  entry["limit"] = json_number(c.limit);
  entry["kind"] = c.upper ? "at_most" : "at_least";
  entry["value"] = json_number(c.estimate.value);
  entry["ci95"] = json_interval(c.estimate);
  entry["n"] = c.estimate.n;
  entry["samples"] = c.estimate.samples;
  entry["evidence"] = to_string(c.evidence);
  entry["confidence"] = c.confidence;
  entry["verdict"] = to_string(c.verdict);
  entry["reason"] = c.reason;
  return entry;
}

}  // namespace mobula::rl
