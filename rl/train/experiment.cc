#include "rl/train/experiment.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string_view>
#include <variant>

#include "rl/algos/algorithms.h"
#include "rl/envs/read_config.h"
#include "rl/fairness/check.h"
#include "rl/train/files.h"
#include "rl/train/memory_need.h"
#include "rl/train/schema.h"
#include "runtime/base/memory.h"
#include "runtime/config/config.h"

namespace mobula::rl {
namespace {

/// The settings that stand at the top of the file and do not depend on a name.
struct Top {
  std::string experiment;
  int workers;
  std::uint64_t seed;
  StopOptions stop;
  EvaluateOptions evaluate;
  CheckpointOptions checkpoint;
  FairnessOptions fairness;
  double average_last;

  explicit Top(const TrainOptions& o)
      : experiment(o.experiment),
        workers(o.workers),
        seed(o.seed),
        stop(o.stop),
        evaluate(o.evaluate),
        checkpoint(o.checkpoint),
        fairness(o.fairness),
        average_last(o.average_last) {}

  void describe(Fields& f) {
    f("experiment", experiment, {.help = "Names the run directory, runs/<experiment>-<n>."});
    f("workers", workers,
      {.unit = "processes",
       .min = 0,
       .max = 1000,
       .help = "Rollout actors, each in a process of its own; 0 runs everything in one process."});
    f("seed", seed, {.help = "All random numbers of the run follow from it."});
    f("stop", stop, {.help = "When training ends."});
    f("evaluate", evaluate, {.help = "Evaluation of the frozen policy on held-out episodes."});
    f("checkpoint", checkpoint, {.help = "What is kept on disk to go on from."});
    f("fairness", fairness, {.help = "Groups, and limits that the policy has to keep."});
    f("average_last", average_last,
      {.min = 0,
       .max = 1,
       .help = "Share of the run, at its end, over which the trained policy's parameters are averaged; 0: the last."});
  }
  std::string problem() const {
    const bool plain = !experiment.empty() && experiment.size() <= 100 && experiment.front() != '.' &&
                       std::all_of(experiment.begin(), experiment.end(),
                                   [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; });
    return plain ? ""
                 : "experiment: '" + config::shown(experiment) +
                       "' cannot name a folder; use at most 100 letters, digits, '-', '_' and '.' (not as the first)";
  }
};

std::string quoted_list(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

/// Why nothing can cope with what the environment's settings ask for; empty where something can.
std::string overload_of(const EnvironmentSpec& env) {
  const auto held = env.make_config();
  const auto document = config::Document::parse(env.config.empty() ? "{}" : env.config, "env");
  config::read_group(document, "", held->fields(), {"name", "wrappers"});
  return held->overload();
}

void read_algorithm(const config::Document& document, AlgorithmOptions& options) {
  std::visit([&](auto& algorithm) { config::read(document, "algorithm", algorithm, {"name"}); }, options);
}

}  // namespace

void StopOptions::describe(Fields& f) {
  f("env_steps", env_steps,
    {.unit = "steps", .min = 1, .help = "Steps of all environments together; schedules reach their end here."});
  f("return_mean", return_mean, {.help = "Stop early at this mean return of the last 100 training episodes."});
  f("wall_seconds", wall_seconds, {.unit = "s", .above = 0, .help = "Stop early after this time."});
}

void EvaluateOptions::describe(Fields& f) {
  f("every", every, {.unit = "iterations", .min = 0, .help = "How often during training; 0: at the end only."});
  f("episodes", episodes,
    {.unit = "episodes", .min = 1, .max = 1e5, .help = "Held-out episodes, the same in every evaluation."});
  f("baselines", baselines, {.help = "Hand-written controllers of the environment to compare with at the end."});
  f("deterministic", deterministic, {.help = "Take the most likely action instead of drawing one."});
  f("workers", workers, {.unit = "processes", .min = 1, .max = 1000, .help = "Evaluation actors during training."});
}

void CheckpointOptions::describe(Fields& f) {
  f("every", every, {.unit = "iterations", .min = 0, .help = "How often; 0: about 20 times in a run."});
  f("keep", keep, {.min = 1, .max = 1e6, .help = "How many of the newest are kept."});
}

namespace {

/// What is said of each field at the top of a struct.
class TopHelp : public Fields {
 public:
  std::map<std::string, std::string, std::less<>> help;

 private:
  bool enter(std::string_view name, const FieldInfo& info) override {
    help.emplace(name, info.help);
    return false;
  }
  void leave() override {}
  void boolean(bool&) override {}
  void integer(std::int64_t&, std::int64_t, std::int64_t) override {}
  void natural(std::uint64_t&, std::uint64_t) override {}
  void number(double&, bool) override {}
  void text(std::string&) override {}
  void list(List&) override {}
  void optional(Optional&) override {}
  void group(Group&) override {}
};

}  // namespace

std::vector<SchemaPart> training_schema() {
  using Kind = SchemaPart::Kind;
  Top top{TrainOptions()};
  TopHelp sections;
  top.describe(sections);
  std::vector<SchemaPart> parts{{.kind = Kind::top}};
  for (auto key : config::describe_keys(top)) {
    const auto dot = key.path.find('.');
    if (dot == std::string::npos) {
      parts.front().keys.push_back(std::move(key));
      continue;
    }
    const std::string section = key.path.substr(0, dot);
    if (parts.back().name != section) {
      parts.push_back({.kind = Kind::section, .name = section, .path = section, .help = sections.help[section]});
    }
    key.path.erase(0, dot + 1);
    parts.back().keys.push_back(std::move(key));
  }
  for (const auto& name : algorithm_names()) {
    const AlgorithmOptions algorithm = algorithm_named(name);
    parts.push_back(
        {.kind = Kind::algorithm,
         .name = name,
         .path = "algorithm",
         .help = "",
         .keys = std::visit([](const auto& options) { return config::describe_keys(options); }, algorithm)});
  }
  for (const auto& spec : registered_environments()) {
    const auto held = spec.make_config();
    parts.push_back({.kind = Kind::environment,
                     .name = spec.name,
                     .path = "env",
                     .help = "",
                     .keys = config::describe_group(held->fields())});
  }
  return parts;
}

TrainOptions read_experiment(const config::Document& document) {
  TrainOptions options;
  Top top(options);
  config::read(document, "", top, {"env", "algorithm"});
  options.experiment = top.experiment;
  options.workers = top.workers;
  options.seed = top.seed;
  options.stop = top.stop;
  options.evaluate = top.evaluate;
  options.checkpoint = top.checkpoint;
  options.fairness = top.fairness;
  options.average_last = top.average_last;

  std::vector<std::string> names;
  for (const auto& spec : registered_environments()) names.push_back(spec.name);
  if (const auto name = document.text("env.name"); name && !find_environment(*name)) {
    if (const std::string why = why_missing(*name); !why.empty()) throw document.error("env.name", why);
  }
  options.env = *find_environment(document.choose("env.name", names));
  const auto held = options.env.make_config();
  const auto wrappers = read_environment(document, "env", held->fields());
  options.env.config = config::dump_group(held->fields(), {});
  try {
    options.env = with_wrappers(std::move(options.env), wrappers);
  } catch (const std::invalid_argument& problem) {
    const std::string text = problem.what();
    const auto colon = text.find(": ");
    throw document.error("env." + text.substr(0, colon), text.substr(colon + 2));
  }

  if (document.has("algorithm")) {
    if (document.has("algorithm.name")) {
      options.algorithm = algorithm_named(document.choose("algorithm.name", algorithm_names()));
    }
    read_algorithm(document, options.algorithm);
  }
  if (const std::string problem = problem_with(options); !problem.empty()) {
    const auto colon = problem.find(": ");
    throw document.error(problem.substr(0, colon), problem.substr(colon + 2));
  }
  return options;
}

std::string write_experiment(const TrainOptions& options) {
  const Top top(options);
  std::string text = config::dump(top);
  text += "env:\n  name: " + config::yaml_scalar(options.env.name) + "\n";
  std::string line;
  for (const char c : options.env.config) {
    line += c;
    if (c != '\n') continue;
    if (line != "{}\n") text += "  " + line;
    line.clear();
  }
  const std::string_view name = name_of(options.algorithm);
  return text + std::visit(
                    [&](const auto& algorithm) {
                      return config::dump(algorithm, {.section = "algorithm", .also = {{"name", name}}});
                    },
                    options.algorithm);
}

void check_same_run(const TrainOptions& options, const std::filesystem::path& file) {
  const auto refuse = [&](const std::string& what) {
    throw TrainError("cannot go on with the run in " + file.parent_path().string() + ": its " + what +
                     " differs from what was asked for now (stored in " + file.string() +
                     "); only stop, evaluate, checkpoint and workers may change");
  };
  const auto stored = config::Document::load(file);
  const auto now = config::Document::parse(write_experiment(options), "options");
  if (stored.text("env.name") != now.text("env.name")) refuse("environment");
  // What the stored file does not name has its default: the program that wrote it may have had fewer settings.
  const auto environment = [&](const config::Document& document) {
    const auto held = options.env.make_config();
    const auto wrappers = read_environment(document, "env", held->fields());
    return config::dump_group(held->fields(), {}) + wrappers_yaml(wrappers);
  };
  if (environment(stored) != environment(now)) refuse("environment");
  if (stored.choose("algorithm.name", algorithm_names()) != name_of(options.algorithm)) refuse("algorithm");
  const auto algorithm = [&](const config::Document& document) {
    AlgorithmOptions read = algorithm_named(name_of(options.algorithm));
    read_algorithm(document, read);
    return std::visit([](const auto& each) { return config::dump(each); }, read);
  };
  if (algorithm(stored) != algorithm(now)) refuse("algorithm");
  const auto top_of = [](const config::Document& document) {
    Top top{TrainOptions()};
    config::read(document, "", top, {"env", "algorithm"});
    return top;
  };
  if (config::dump(top_of(stored).fairness) != config::dump(top_of(now).fairness)) refuse("fairness");
  if (top_of(stored).average_last != top_of(now).average_last) refuse("average_last");
  if (stored.text("seed") != std::to_string(options.seed)) refuse("seed");
}

std::string problem_with(const TrainOptions& options) {
  if (!options.env.factory) return "env: no environment was given; use mobula::rl::environment<E>(\"name\")";
  try {
    // What was set in a program obeys the same schema as what is read from a file.
    const auto document = config::Document::parse(write_experiment(options), "options");
    Top top(options);
    config::read(document, "", top, {"env", "algorithm"});
    AlgorithmOptions algorithm = algorithm_named(name_of(options.algorithm));
    read_algorithm(document, algorithm);
  } catch (const config::ConfigError& error) {
    return error.what();
  }
  if (std::string problem = problem_with(options.algorithm, options.env.info); !problem.empty()) return problem;
  const bool mixes_rewards = !options.fairness.constraints.empty() || !options.fairness.reward_terms.empty();
  if (mixes_rewards && !supports_constraints(options.algorithm)) {
    return "algorithm.name: '" + std::string(name_of(options.algorithm)) +
           "' with these settings cannot learn under fairness.constraints or fairness.reward_terms: ppo can, and dqn, "
           "sac and "
           "td3 with n_steps: 1";
  }
  for (std::size_t i = 0; i < options.evaluate.baselines.size(); ++i) {
    const auto& name = options.evaluate.baselines[i];
    const auto& known = options.env.info.baseline_names;
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    const std::string where = "evaluate.baselines." + std::to_string(i) + ": ";
    if (known.empty()) return where + "environment '" + options.env.name + "' has no baselines";
    return where + "environment '" + options.env.name + "' has no baseline '" + name + "'; it has " +
           quoted_list(known) + config::did_you_mean(name, known);
  }
  if (!options.fairness.constraints.empty()) {
    if (const std::string overload = overload_of(options.env); !overload.empty()) return "env: " + overload;
  }
  return problem_with_fairness(options.fairness, options.env.info, options.evaluate.episodes);
}

std::vector<std::string> advice(const TrainOptions& options) {
  std::vector<std::string> notes;
  std::visit(
      [&](const auto& o) {
        if constexpr (requires { o.batch_size, o.n_epochs; }) {
          const std::int64_t all = static_cast<std::int64_t>(o.n_envs) * o.n_steps;
          if (o.batch_size > all) {
            notes.push_back("algorithm.batch_size is " + std::to_string(o.batch_size) +
                            ", but there are only n_envs x n_steps = " + std::to_string(all) +
                            " steps between two updates: each minibatch is all of them");
          }
        }
        if constexpr (requires { o.deterministic; }) {
          if (!o.deterministic) {
            notes.push_back(
                "algorithm.deterministic is false: rollouts are learned from as they arrive, so this run cannot be "
                "repeated byte for byte");
          }
        }
      },
      options.algorithm);
  if (options.average_last > 0 && (options.stop.return_mean || options.stop.wall_seconds)) {
    notes.push_back(
        "average_last counts from the end at stop.env_steps: if the run stops by another rule before its "
        "last " +
        fmt::format("{:g}", 100 * options.average_last) + " %, the last policy is kept");
  }
  // With constraints this is refused: none could be promised to be kept.
  if (options.fairness.constraints.empty()) {
    if (std::string overload = overload_of(options.env); !overload.empty()) notes.push_back("env: " + overload);
  }
  return notes;
}

void check_memory(const config::Document& document, const TrainOptions& options) {
  const std::string problem = problem_with_memory(options, available_memory());
  if (problem.empty()) return;
  const auto colon = problem.find(": ");
  throw document.error(problem.substr(0, colon), problem.substr(colon + 2));
}

}  // namespace mobula::rl
