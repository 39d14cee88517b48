#include <fmt/format.h>
#include <mobula/rl/train.h>
#include <mobula/runtime.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cli/cluster.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/live_block.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/table.h"
#include "rl/fairness/controller.h"
#include "rl/train/checkpoint.h"
#include "rl/train/episode_player.h"
#include "rl/train/evaluation.h"
#include "rl/train/experiment.h"
#include "rl/train/files.h"
#include "rl/train/records.h"
#include "runtime/config/config.h"

namespace mobula::cli {
namespace {

struct Arguments {
  std::string run;
  std::optional<std::int64_t> episodes;
  std::optional<std::uint64_t> seed;
  std::optional<int> workers;
  std::string render;
  std::string picture;
  std::uint32_t episode = 0;
  int frames = 0;
  bool gate = false;
  ClusterOptions cluster;
  OutputOptions output;
};

/// A finished (or interrupted) run: its settings and its policy.
struct Run {
  rl::TrainOptions options;
  rl::StoredPolicy policy;
  std::size_t not_met = 0;  ///< index of the constraint on which training gave up
  std::optional<std::string> reason_not_met;
};

Run load(const Arguments& arguments) {
  const std::filesystem::path directory = arguments.run;
  if (!std::filesystem::exists(directory / "config.yaml")) {
    throw UsageError(directory.string() + " is not a run directory: it has no config.yaml");
  }
  Run run;
  run.options = rl::read_experiment(config::Document::load(directory / "config.yaml"));
  if (arguments.episodes) run.options.evaluate.episodes = *arguments.episodes;
  if (arguments.seed) run.options.seed = *arguments.seed;
  if (arguments.workers) run.options.workers = *arguments.workers;
  const rl::CheckpointFolder checkpoints(directory / "checkpoints");
  if (checkpoints.files().empty()) {
    throw UsageError(
        fmt::format("{} has no checkpoint: it was stopped before the first; go on with it by mobula train "
                    "--resume {}",
                    directory.string(), directory.string()));
  }
  const auto loaded = checkpoints.load_newest();
  for (const auto& refused : loaded.refused) write_message(fmt::format("mobula: passed over {}\n", refused));
  run.policy = rl::policy_from_section(loaded.checkpoint.section("policy"));
  if (run.options.fairness.constraints.empty()) return run;
  rl::Controller multipliers(run.options.env.info, run.options.fairness);
  multipliers.load(rl::as_bytes(loaded.checkpoint.section("fairness")));
  if (const auto constraint = multipliers.given_up()) {
    run.not_met = *constraint;
    run.reason_not_met = multipliers.reason(*constraint);
  }
  return run;
}

/// The evaluation as result.json tells it, in one line.
nlohmann::ordered_json evaluation_json(const Run& run, const std::string& directory, const rl::TrainResult& result) {
  const auto whole = nlohmann::ordered_json::parse(rl::result_json(run.options, result));
  nlohmann::ordered_json object{{"event", "result"}, {"run_directory", directory}};
  for (const auto* key : {"experiment", "environment", "algorithm", "seed", "policies", "constraints", "evaluation"}) {
    object[key] = whole.at(key);
  }
  return object;
}

/// The policies of the run on its held-out episodes; nothing when it was interrupted.
std::optional<std::vector<rl::PolicyMetrics>> play(const Run& run, const Arguments& arguments) {
  auto runtime = start_runtime(arguments.cluster, run.options.workers);
  const Interrupt interrupt;
  const rl::ActorSetup setup{run.options.env.factory, run.options.env.config, run.policy.spec, run.options.seed, {}};
  rl::Evaluator evaluator(runtime, setup, run.options.env.info, run.options.fairness, run.options.seed);
  evaluator.grow(std::max(1, run.options.workers));
  const auto weights = runtime.put(Array<float>(std::span<const float>(run.policy.parameters)));
  const auto requests = rl::final_requests(run.options, {});
  for (const auto& request : requests) evaluator.start(request, weights);
  rl::CpuMeter meter;
  std::vector<rl::PolicyMetrics> policies;
  LiveBlock block;
  const bool live = is_terminal(STDERR_FILENO) && !arguments.output.quiet && !arguments.output.json;
  while (evaluator.pending() > 0) {
    if (interrupt.requested()) {
      block.leave();
      return std::nullopt;
    }
    if (live) {
      block.draw({fmt::format("evaluating {} ({} of {}), {} held-out episodes", requests[policies.size()].policy,
                              policies.size() + 1, requests.size(), run.options.evaluate.episodes)});
    }
    if (auto finished = evaluator.take(std::chrono::milliseconds(50), meter)) {
      policies.push_back({finished->request.policy, std::move(finished->metrics), std::move(finished->constraints)});
    }
  }
  return policies;
}

int evaluate(const Run& run, const Arguments& arguments) {
  if (arguments.gate && run.options.fairness.constraints.empty()) {
    throw UsageError("--gate has nothing to hold the policy against: the run has no constraints");
  }
  rl::TrainResult result;
  if (auto policies = play(run, arguments)) {
    result.policies = std::move(*policies);
  } else {
    return interrupted;
  }
  auto& constraints = result.policies.front().constraints;
  // Training may have given up: a policy that training says does not meet its limits stays refused.
  if (run.reason_not_met && run.not_met < constraints.size()) {
    constraints[run.not_met].verdict = rl::Verdict::failed;
    constraints[run.not_met].reason = *run.reason_not_met;
  }
  result.constraints = constraints;
  const rl::Verdict verdict = arguments.gate ? rl::overall(constraints) : rl::Verdict::passed;
  if (arguments.output.json) {
    auto object = evaluation_json(run, arguments.run, result);
    if (arguments.gate) object["gate"] = rl::to_string(verdict);
    write_json_line(object);
  } else {
    const int width = result_width();
    const std::string fairness = fairness_table(result.policies, width);
    write_result(metrics_table(result.policies, width) + (fairness.empty() ? "" : "\n" + fairness) +
                 constraint_lines(constraints, width) +
                 (arguments.gate ? fmt::format("Gate: {}\n", rl::to_string(verdict)) : ""));
  }
  return verdict == rl::Verdict::passed ? done : refused;
}

/// At most `limit` of the frames (all for 0), spread evenly, the first and the last among them.
std::vector<std::string> chosen(std::vector<std::string> frames, int limit) {
  const auto n = static_cast<std::size_t>(limit);
  if (limit <= 0 || frames.size() <= n) return frames;
  std::vector<std::string> some;
  for (std::size_t i = 0; i < n; ++i) some.push_back(frames[n == 1 ? 0 : i * (frames.size() - 1) / (n - 1)]);
  return some;
}

void show_text(const std::vector<std::string>& frames) {
  const bool terminal = is_terminal(STDOUT_FILENO);
  const Interrupt interrupt;
  if (terminal) write_result("\033[2J");
  for (const auto& frame : frames) {
    if (interrupt.requested()) return;
    write_result((terminal ? "\033[H" : "") + frame + "\n");
    if (terminal) std::this_thread::sleep_for(std::chrono::milliseconds(60));  // ten times faster than people watch
  }
}

int render(const Run& run, const Arguments& arguments) {
  const bool svg = arguments.render == "svg";
  if (svg ? !run.options.env.info.renders_svg : !run.options.env.info.renders_text) {
    throw UsageError("environment '" + run.options.env.name + "' cannot draw itself as " + arguments.render);
  }
  std::vector<std::string> frames;
  const auto end = rl::play_episode(run.options.env, run.policy, run.options.seed, arguments.episode, std::nullopt,
                                    [&](const rl::AnyVecEnv& env) {
                                      frames.push_back(svg ? env.render_svg(0) : env.render_text(0));
                                      return true;
                                    });
  const bool terminal = is_terminal(STDOUT_FILENO);
  const int limit = arguments.frames > 0 ? arguments.frames : svg ? 120 : terminal ? 0 : 12;
  frames = chosen(std::move(frames), limit);
  if (svg) {
    const std::filesystem::path file = arguments.picture.empty() ? std::filesystem::path(arguments.run) /
                                                                       fmt::format("episode-{}.svg", arguments.episode)
                                                                 : std::filesystem::path(arguments.picture);
    rl::write_file(file, rl::animate_svg(frames, 0.25));
    write_result(fmt::format("{} frames in {}\n", frames.size(), file.string()));
  } else {
    show_text(frames);
  }
  write_result(fmt::format("Held-out episode {}: return {}, {} steps\n", arguments.episode, short_number(end->total),
                           end->length));
  return done;
}

}  // namespace

Command add_evaluate(CLI::App& program) {
  auto* app = program.add_subcommand("evaluate", "Evaluate or draw the policy of a run");
  auto arguments = std::make_shared<Arguments>();
  app->add_option("RUN", arguments->run, "Run directory")->required();
  app->add_option("--episodes", arguments->episodes, "Held-out episodes (default: as in the run)")
      ->check(whole_number(1, 100'000));
  app->add_option("--seed", arguments->seed, "Of the held-out episodes (default: the run's)")->check(natural_number());
  app->add_option("--workers", arguments->workers, "Worker processes; 0: none (default: as in the run)")
      ->check(whole_number(0, 1000));
  app->add_flag("--gate", arguments->gate, "Exit status 3 unless every constraint of the run is passed");
  app->add_option("--render", arguments->render, "Draw one episode instead: text or svg")
      ->expected(0, 1)
      ->default_str("text")
      ->check(one_of({"text", "svg"}));
  app->add_option("--episode", arguments->episode, "Which held-out episode is drawn")
      ->check(whole_number(0, 1'000'000));
  app->add_option("--frames", arguments->frames, "At most so many pictures, spread over the episode")
      ->check(whole_number(1, 100'000));
  app->add_option("--output", arguments->picture, "File for the SVG (default: RUN/episode-<n>.svg)");
  add_cluster_options(*app, arguments->cluster);
  add_output_options(*app, arguments->output, "one object, on one line, as in result.json");
  app->footer(
      "Examples:\n"
      "  mobula evaluate runs/intersection-1\n"
      "  mobula evaluate runs/intersection-1 --episodes 200 --seed 99\n"
      "  mobula evaluate runs/intersection-1 --gate --seed 99 && deploy\n"
      "  mobula evaluate runs/intersection-1 --render\n"
      "  mobula evaluate runs/intersection-1 --render svg --output crossing.svg");
  return {app, [app, arguments] {
            if (app->count("--render") > 0 && arguments->render.empty()) arguments->render = "text";
            const Run run = load(*arguments);
            return arguments->render.empty() ? evaluate(run, *arguments) : render(run, *arguments);
          }};
}

}  // namespace mobula::cli
