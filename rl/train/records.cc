#include "rl/train/records.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cmath>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "rl/algos/algorithms.h"
#include "rl/train/files.h"

namespace mobula::rl {
namespace {

using Json = nlohmann::ordered_json;

/// JSON has no NaN: what is not known is null.
Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json interval(const Estimate& e) {
  return Json::array({number(e.low), number(e.high)});
}

std::string utc_now() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

std::string first_value(const char* file, std::string_view key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;
    const auto from = line.find_first_not_of(" \t", colon + 1);
    return from == std::string::npos ? "" : line.substr(from);
  }
  return "";
}

std::string command_line() {
  std::ifstream in("/proc/self/cmdline");
  std::string text((std::istreambuf_iterator<char>(in)), {});
  while (!text.empty() && text.back() == '\0') text.pop_back();
  std::replace(text.begin(), text.end(), '\0', ' ');
  return text;
}

/// Keeps the header and the rows whose first field is at most `iteration`; tells whether there was a header.
bool keep_until(const std::filesystem::path& file, std::int64_t iteration) {
  if (!std::filesystem::exists(file)) return false;
  std::istringstream in(read_file(file));
  std::string kept, line;
  bool header = false;
  while (std::getline(in, line)) {
    if (in.eof()) break;  // a line that was cut off before its end
    std::int64_t row = 0;
    const bool is_row = std::from_chars(line.data(), line.data() + line.size(), row).ec == std::errc();
    if (is_row && row > iteration) continue;
    header |= !is_row;
    kept += line + "\n";
  }
  write_file(file, kept);
  return header;
}

void append(const std::filesystem::path& file, std::string& pending) {
  if (pending.empty()) return;
  std::ofstream out(file, std::ios::app | std::ios::binary);
  out << pending;
  out.flush();
  if (!out) throw std::runtime_error("cannot write " + file.string() + ": is the disk full?");
  pending.clear();
}

std::string csv(double value) {
  return std::isfinite(value) ? fmt::format("{:.9g}", value) : "";
}

}  // namespace

std::string result_json(const TrainOptions& options, const TrainResult& result) {
  Json json;
  json["program"] = "mobula " MOBULA_VERSION;
  json["experiment"] = options.experiment;
  json["environment"] = options.env.name;
  json["algorithm"] = name_of(options.algorithm);
  json["seed"] = options.seed;
  json["workers"] = options.workers;
  json["stopped_by"] = result.stopped_by;
  json["iterations"] = result.progress.iteration;
  json["env_steps"] = result.progress.env_steps;
  json["episodes"] = result.progress.episodes;
  json["env_restarts"] = result.progress.env_restarts;
  json["wall_seconds"] = result.wall_seconds;
  json["cpu_seconds"] = result.cpu_seconds;
  json["training_return_mean"] = number(result.training_return_mean);
  const Metrics* trained = result.find("trained");
  const Estimate* total = trained ? find(*trained, "return") : nullptr;
  json["return_mean"] = total ? number(total->value) : Json(nullptr);
  json["return_ci95"] = total ? interval(*total) : Json(nullptr);
  json["parameters_sha256"] = result.parameters_sha256;
  json["policies"] = Json::object();
  for (const auto& [policy, metrics, constraints] : result.policies) {
    static_cast<void>(constraints);
    Json& object = json["policies"][policy] = Json::object();
    for (const auto& [metric, e] : metrics) {
      object[metric] = {{"value", number(e.value)}, {"ci95", interval(e)}, {"n", e.n}};
      if (e.samples != e.n) object[metric]["samples"] = e.samples;
    }
  }
  json["constraints"] = Json::array();
  for (const auto& c : result.constraints) {
    Json& entry = json["constraints"].emplace_back();
    entry["metric"] = c.metric;
    entry["groups"] = c.groups;
    entry["limit"] = number(c.limit);
    entry["kind"] = c.upper ? "at_most" : "at_least";
    entry["value"] = number(c.estimate.value);
    entry["ci95"] = interval(c.estimate);
    entry["n"] = c.estimate.n;
    entry["samples"] = c.estimate.samples;
    entry["evidence"] = to_string(c.evidence);
    entry["confidence"] = c.confidence;
    entry["verdict"] = to_string(c.verdict);
    entry["reason"] = c.reason;
  }
  json["evaluation"] = {
      {"episodes", options.evaluate.episodes},
      {"deterministic", options.evaluate.deterministic},
      {"n", "episodes; samples: what was pooled within them"},
      {"ci95",
       "Student t over episodes; for metrics of samples 2000 bootstrap resamples of whole episodes, percentiles 2.5 "
       "and 97.5"}};
  return json.dump(2) + "\n";
}

std::string metadata_json(const TrainOptions& options, const std::string& before) {
  Json json;
  if (!before.empty()) {
    json = Json::parse(before, nullptr, false);
    if (json.is_discarded() || !json.is_object()) json = Json();
  }
  if (json.is_null()) {
    json["program"] = "mobula " MOBULA_VERSION;
    json["compiler"] = __VERSION__;
    json["experiment"] = options.experiment;
    json["seed"] = options.seed;
    json["command_line"] = command_line();
    json["started"] = utc_now();
    char host[256] = {};
    ::gethostname(host, sizeof host - 1);
    json["machine"] = {{"host", host},
                       {"cpu", first_value("/proc/cpuinfo", "model name")},
                       {"cpus", std::thread::hardware_concurrency()},
                       {"memory", first_value("/proc/meminfo", "MemTotal")}};
    json["resumed"] = Json::array();
  } else {
    json["resumed"].push_back({{"when", utc_now()}, {"command_line", command_line()}, {"program", MOBULA_VERSION}});
  }
  return json.dump(2) + "\n";
}

ProgressLog::ProgressLog(std::filesystem::path progress, std::filesystem::path evaluations, std::int64_t iteration)
    : progress_(std::move(progress)), evaluations_(std::move(evaluations)) {
  has_header_ = keep_until(progress_, iteration);
  if (!keep_until(evaluations_, iteration)) {
    pending_evaluations_ = "iteration,env_steps,policy,metric,value,low,high,n,samples\n";
  }
}

void ProgressLog::add(const Progress& progress, double return_mean,
                      std::span<const std::pair<std::string_view, double>> statistics) {
  if (!has_header_) {
    pending_progress_ += "iteration,env_steps,episodes,wall_seconds,return_mean";
    for (const auto& [name, value] : statistics) pending_progress_ += fmt::format(",{}", name);
    pending_progress_ += "\n";
    has_header_ = true;
  }
  pending_progress_ += fmt::format("{},{},{},{:.3f},{}", progress.iteration, progress.env_steps, progress.episodes,
                                   progress.wall_seconds, csv(return_mean));
  for (const auto& [name, value] : statistics) pending_progress_ += "," + csv(value);
  pending_progress_ += "\n";
}

void ProgressLog::add(const EvaluationEvent& event) {
  for (const auto& [metric, e] : event.metrics) {
    pending_evaluations_ +=
        fmt::format("{},{},{},{},{},{},{},{},{}\n", event.progress.iteration, event.progress.env_steps, event.policy,
                    metric, csv(e.value), csv(e.low), csv(e.high), e.n, e.samples);
  }
}

void ProgressLog::flush() {
  append(progress_, pending_progress_);
  append(evaluations_, pending_evaluations_);
}

}  // namespace mobula::rl
