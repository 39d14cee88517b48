#include "cli/tune_sweep.h"

#include <fcntl.h>
#include <mobula/runtime.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string_view>

#include "rl/train/experiment.h"
#include "runtime/config/config.h"
#include "tune/space/read_space.h"

namespace mobula::cli {
namespace {

constexpr double kRungsBelowTheTop = 27;  // grace is this part of max where the file does not say

/// The file with the values of `params` where they apply and without the other spaces.
config::Document with_values(const config::Document& document, const tune::Space& space, const tune::Params& params) {
  config::Document plain = document;
  plain.erase("tune");
  for (const auto& parameter : space.parameters()) {
    if (const tune::Value* value = params.find(parameter.name)) {
      plain.set(parameter.name + "=" + tune::to_text(*value));
    } else {
      plain.erase(parameter.name);
    }
  }
  return plain;
}

/// Parameters of which one has this value and those that it depends on are such that it applies.
tune::Params with_one(const tune::Space& space, std::size_t chosen, const tune::Value& value) {
  const auto& parameters = space.parameters();
  std::map<std::string, tune::Value> wanted{{parameters[chosen].name, value}};
  for (std::size_t i = chosen + 1; i-- > 0;) {  // conditions point backwards
    if (!wanted.contains(parameters[i].name)) continue;
    for (const auto& when : parameters[i].when) wanted.emplace(when.parameter, when.values.front());
  }
  return space.make([&](std::size_t i) {
    const auto found = wanted.find(parameters[i].name);
    return found != wanted.end() ? found->second : parameters[i].domain.at(0);
  });
}

/// The space whose value the message says is wrong, if it says so; values are given as overrides are.
const tune::Parameter* accused(const tune::Space& space, std::string_view message) {
  for (const auto& parameter : space.parameters()) {
    if (message.starts_with("--set " + parameter.name + "=")) return &parameter;
  }
  return nullptr;
}

/// Throws for the space whose value was refused: the one that the message names, else the one that was being tried.
[[noreturn]] void blame(const config::Document& document, const tune::Space& space, std::string name, std::string value,
                        std::string message) {
  if (const auto* parameter = accused(space, message)) {
    const std::string key = ": " + parameter->name + ": ";
    if (const auto at = message.find(key); at != std::string::npos) {
      const std::size_t start = std::string_view("--set =").size() + parameter->name.size();
      name = parameter->name;
      value = message.substr(start, at - start);
      message = message.substr(at + key.size());
    }
  }
  throw document.error(name, "the space reaches " + value + ", which cannot be used: " + message);
}

/// Throws if the configuration with this value in place of the space is refused.
void check_value(const config::Document& document, const tune::Space& space, std::size_t parameter,
                 const tune::Value& value) {
  const config::Document plain = with_values(document, space, with_one(space, parameter, value));
  rl::check_memory(plain, rl::read_experiment(plain));
}

/// Whether the same is wrong for each of the values: then it is no fault of theirs.
bool always_wrong(const config::Document& document, const tune::Space& space, std::size_t parameter,
                  const std::vector<tune::Value>& values, std::string_view message) {
  return std::ranges::all_of(values, [&](const tune::Value& value) {
    try {
      check_value(document, space, parameter, value);
    } catch (const config::ConfigError& error) {
      return error.what() == message;
    }
    return false;
  });
}

void check_values(const config::Document& document, const tune::Space& space) {
  for (std::size_t i = 0; i < space.parameters().size(); ++i) {
    const auto& parameter = space.parameters()[i];
    std::vector<tune::Value> values = parameter.domain.values;
    if (values.empty()) values = {parameter.domain.at(0), parameter.domain.at(1)};
    for (const auto& value : values) {
      try {
        check_value(document, space, i, value);
      } catch (const config::ConfigError& error) {
        const std::string message = error.what();
        const bool of_values = accused(space, message) != nullptr || values.size() == 1;
        if (!of_values && always_wrong(document, space, i, values, message)) throw;
        blame(document, space, parameter.name, tune::to_text(value), message);
      }
    }
  }
}

void read_study(const config::Document& document, const rl::TrainOptions& options, tune::StudyOptions& study) {
  study.metric = "return";
  study.scheduler.max = static_cast<double>(options.stop.env_steps);
  if (!document.has("tune.scheduler.grace")) {
    // `max` may be in the file, and `grace` must not be above it: read once to know.
    study.scheduler.grace = 1;
    if (document.has("tune")) config::read(document, "tune", study);
    study.scheduler.grace = study.scheduler.max / kRungsBelowTheTop;
  }
  if (document.has("tune")) config::read(document, "tune", study);
  if (study.scheduler.max > static_cast<double>(options.stop.env_steps)) {
    throw document.error("tune.scheduler.max", "it is above stop.env_steps (" + std::to_string(options.stop.env_steps) +
                                                   "), where training ends; lower it, or train longer");
  }
  if (const std::string problem = study.problem(); !problem.empty()) {
    const auto colon = problem.find(": ");
    throw document.error("tune." + problem.substr(0, colon), problem.substr(colon + 2));
  }
}

/// A process that was killed a moment ago may still be ending and hold its run directory; this waits for the kernel to
/// release it.
void wait_until_free(const std::filesystem::path& folder) {
  const int lock = ::open((folder / "lock").c_str(), O_RDWR | O_CLOEXEC);
  if (lock < 0) return;
  while (::flock(lock, LOCK_EX) != 0 && errno == EINTR) {
  }
  ::close(lock);
}

rl::Estimate metric_of(const rl::TrainResult& result, const std::string& metric) {
  if (metric == "training_return") return result.training_return;
  const rl::Metrics* metrics = result.find("trained");
  if (metrics == nullptr) throw std::runtime_error("the trained policy was not evaluated");
  if (const auto* estimate = rl::find(*metrics, metric)) return *estimate;
  std::vector<std::string> names{"training_return"};
  for (const auto& entry : *metrics) names.push_back(entry.first);
  throw std::runtime_error("tune.metric: there is no '" + metric + "'" + config::expected_one_of(metric, names));
}

}  // namespace

Sweep read_sweep(const config::Document& document) {
  Sweep sweep;
  sweep.space = tune::read_space(document, "tune");
  if (sweep.space.empty()) {
    // Perhaps one was misspelt, which is a wrong value where it stands.
    config::Document plain = document;
    plain.erase("tune");
    rl::read_experiment(plain);
    throw config::ConfigError(document.name() +
                              ": there is nothing to search; write a space in place of a value, such as "
                              "lr: {loguniform: [1e-5, 1e-2]}");
  }
  const auto first = sweep.space.make([&](std::size_t i) { return sweep.space.parameters()[i].domain.at(0); });
  check_values(document, sweep.space);
  const rl::TrainOptions options = rl::read_experiment(with_values(document, sweep.space, first));
  read_study(document, options, sweep.study);
  if (sweep.study.search.name == "grid") {
    try {
      const auto points = static_cast<std::int64_t>(sweep.space.all().size());
      if (!document.has("tune.num_trials")) sweep.study.num_trials = points;
    } catch (const tune::TuneError& error) {
      throw document.error("tune.search.name", error.what());
    }
  }
  // Conditional parameters that do not apply in a trial are at their defaults there, so none is left in the base.
  config::Document base = with_values(document, sweep.space, first);
  for (const auto& parameter : sweep.space.parameters()) {
    if (!parameter.when.empty()) base.erase(parameter.name);
  }
  sweep.base = rl::write_experiment(rl::read_experiment(base));
  return sweep;
}

void check_metric(const config::Document& document, const Sweep& sweep) {
  const std::string& metric = sweep.study.metric;
  if (metric == "return" || metric == "training_return" || metric == "episode_length") return;
  rl::TrainOptions options = rl::read_experiment(config::Document::parse(sweep.base, "the base of the sweep"));
  options.write = false;
  options.workers = 0;
  options.stop = {.env_steps = 1};
  options.evaluate = {.episodes = 1};
  options.fairness.constraints.clear();
  Runtime here = Runtime::start({.workers = 0});
  const rl::TrainResult result = rl::train(here, options);
  try {
    metric_of(result, metric);
  } catch (const std::runtime_error& error) {
    const std::string message = error.what();
    throw document.error("tune.metric", message.substr(message.find(": ") + 2));
  }
}

rl::TrainOptions trial_options(const std::string& base, const tune::Params& params) {
  auto document = config::Document::parse(base, "the trial's configuration");
  for (const auto& [name, value] : params.entries()) document.set(name + "=" + tune::to_text(value));
  return rl::read_experiment(document);
}

tune::Report TrainObjective::operator()(const tune::Job& job) const {
  rl::TrainOptions options = trial_options(base, job.params);
  if (!job.params.has("seed")) options.seed = job.seed;
  options.evaluate.every = 0;
  options.evaluate.baselines.clear();
  const std::string name = std::to_string(job.trial) + (repeats > 1 ? "-" + std::to_string(job.repeat) : "");
  options.run_directory = std::filesystem::path(folder) / name;
  wait_until_free(options.run_directory);
  const bool begun = resumable && std::filesystem::exists(options.run_directory / "config.yaml");
  if (!begun) std::filesystem::remove_all(options.run_directory);

  const auto stop_from = static_cast<std::int64_t>(job.until);
  const auto flow = [&](const rl::Progress& progress) {
    return progress.env_steps >= stop_from ? rl::Flow::stop : rl::Flow::go_on;
  };
  rl::Callbacks callbacks;
  callbacks.on_start = [&](const rl::StartEvent& event) { return flow(event.progress); };
  callbacks.on_rollout = [&](const rl::RolloutEvent& event) { return flow(event.progress); };
  const auto train = [&](Runtime& runtime) {
    return begun ? rl::resume(runtime, options, callbacks) : rl::train(runtime, options, callbacks);
  };
  rl::TrainResult result;
  if (options.workers == 0 && std::getenv("MOBULA_ADDRESS") == nullptr) {
    Runtime here = Runtime::start({.workers = 0});
    result = train(here);
  } else {
    Runtime shared = Runtime::current();
    result = train(shared);
  }
  const rl::Estimate estimate = metric_of(result, metric);
  return {.value = estimate.value,
          .iterations = result.progress.iteration,
          .low = estimate.low,
          .high = estimate.high,
          .n = estimate.n};
}

}  // namespace mobula::cli
