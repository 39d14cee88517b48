#include "rl/train/records.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <gnu/libc-version.h>
#include <sys/utsname.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "rl/algos/algorithms.h"
#include "rl/train/event_log.h"

namespace mobula::rl {
namespace {

using Json = nlohmann::ordered_json;

std::string utc_now() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

std::string first_value(const char* file, std::string_view key, char separator) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    const auto at = line.find(separator);
    if (at == std::string::npos) continue;
    const auto from = line.find_first_not_of(" \t", at + 1);
    return from == std::string::npos ? "" : line.substr(from);
  }
  return "";
}

/// As it could be given to a shell.
std::string command_line() {
  std::ifstream in("/proc/self/cmdline");
  std::string text;
  for (std::string argument; std::getline(in, argument, '\0');) {
    const bool plain = !argument.empty() && argument.find_first_not_of(
                                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                                "_-./=:,+@%") == std::string::npos;
    if (!text.empty()) text += ' ';
    if (plain) {
      text += argument;
      continue;
    }
    text += '\'';
    for (const char c : argument) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
    text += '\'';
  }
  return text;
}

/// "Eigen3=3.4.0,Boost=1.74.0," as an object.
Json packages() {
  Json object = Json::object();
  std::istringstream all(MOBULA_PACKAGES);
  for (std::string one; std::getline(all, one, ',');)
    object[one.substr(0, one.find('='))] = one.substr(one.find('=') + 1);
  object["glibc"] = ::gnu_get_libc_version();
  return object;
}

Json machine() {
  utsname system{};
  ::uname(&system);
  std::string distribution = first_value("/etc/os-release", "PRETTY_NAME", '=');
  std::erase(distribution, '"');
  return {{"host", system.nodename},
          {"system", distribution},
          {"kernel", std::string(system.sysname) + " " + system.release + " " + system.machine},
          {"cpu", first_value("/proc/cpuinfo", "model name", ':')},
          {"cpus", std::thread::hardware_concurrency()},
          {"memory", first_value("/proc/meminfo", "MemTotal", ':')}};
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
  for (std::size_t i = 0; i < stage_names.size(); ++i) {
    json["stage_seconds"][std::string(stage_names[i])] = result.stages.seconds[i];
  }
  json["time_split"] = {{"environment", result.work.environment},
                        {"inference", result.work.inference},
                        {"transfer", result.work.transfer},
                        {"advantage", result.work.advantage},
                        {"update", result.stages[Stage::update] - result.work.advantage},
                        {"broadcast", result.stages[Stage::broadcast]},
                        {"idle", result.work.idle}};
  json["learner_floor_share"] = json_number(result.learner_floor_share);
  json["cpu_seconds"] = result.cpu_seconds;
  json["training_return_mean"] = json_number(result.training_return_mean);
  const Metrics* trained = result.find("trained");
  const Estimate* total = trained ? find(*trained, "return") : nullptr;
  json["return_mean"] = total ? json_number(total->value) : Json(nullptr);
  json["return_ci95"] = total ? json_interval(*total) : Json(nullptr);
  json["parameters_sha256"] = result.parameters_sha256;
  json["policies"] = Json::object();
  for (const auto& policy : result.policies) json["policies"][policy.policy] = json_metrics(policy.metrics);
  json["constraints"] = Json::array();
  for (const auto& constraint : result.constraints) json["constraints"].push_back(json_constraint(constraint));
  json["evaluation"] = {
      {"episodes", options.evaluate.episodes},
      {"deterministic", options.evaluate.deterministic},
      {"n", "episodes; samples: what was pooled within them"},
      {"ci95",
       "Student t over episodes; for metrics of samples 2000 bootstrap resamples of whole episodes, percentiles 2.5 "
       "and 97.5"}};
  return json.dump(2) + "\n";
}

std::string metadata_json(const std::string& experiment, std::uint64_t seed, const std::string& before) {
  Json json = before.empty() ? Json() : Json::parse(before, nullptr, false);
  if (json.is_object()) {
    json["resumed"].push_back(
        {{"when", utc_now()}, {"command_line", command_line()}, {"program", "mobula " MOBULA_VERSION}});
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  json = {{"program", "mobula " MOBULA_VERSION},
          {"build", MOBULA_BUILD},
          {"compiler", __VERSION__},
          {"packages", packages()},
          {"experiment", experiment},
          {"seed", seed},
          {"command_line", command_line()},
          {"directory", std::filesystem::current_path().string()},
          {"started", utc_now()},
          {"machine", machine()},
          {"resumed", Json::array()}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace mobula::rl
