// Wrappers by their options.
#include <mobula/rl/wrapper_options.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "rl/envs/wrap/stall_guard.h"
#include "rl/envs/wrap/wrapper.h"

namespace mobula::rl {
namespace {

std::vector<std::string> named_in(const WrapperOptions& o) {
  std::vector<std::string> names;
  const auto look = [&names](const char* name, const auto& option) {
    if (option) names.emplace_back(name);
  };
  look("time_limit", o.time_limit);
  look("frame_stack", o.frame_stack);
  look("normalize_observation", o.normalize_observation);
  look("normalize_reward", o.normalize_reward);
  look("clip_observation", o.clip_observation);
  look("clip_reward", o.clip_reward);
  look("rescale_action", o.rescale_action);
  look("record", o.record);
  look("restart_stalled", o.restart_stalled);
  return names;
}

}  // namespace

std::string WrapperOptions::problem() const {
  const auto names = named_in(*this);
  if (names.size() == 1) {
    if (record && record->empty()) return "record: names no folder";
    return {};
  }
  if (names.empty()) return "an entry must name a wrapper, as in {time_limit: 100}";
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : " and ") + name;
  return "an entry names one wrapper, and this one names " + text +
         "; write one entry for each, in the order in which they are put around the environment";
}

EnvironmentInfo wrapped_info(EnvironmentInfo info, std::span<const WrapperOptions> wrappers) {
  for (std::size_t k = 0; k < wrappers.size(); ++k) {
    const auto& w = wrappers[k];
    if (std::string problem = w.problem(); !problem.empty()) {
      throw std::invalid_argument("wrappers." + std::to_string(k) + ": " + problem);
    }
    if (w.frame_stack) info.observation_size *= *w.frame_stack;
    if (w.rescale_action.value_or(false)) {
      if (info.action.kind != ActionSpace::Kind::box) {
        throw std::invalid_argument("wrappers." + std::to_string(k) +
                                    ".rescale_action: the actions of this environment are not a box; leave it out");
      }
      info.action.low = -1;
      info.action.high = 1;
    }
    if (w.restart_stalled && k > 0) {
      throw std::invalid_argument("wrappers." + std::to_string(k) +
                                  ".restart_stalled: must be the first of the wrappers, next to the environment");
    }
  }
  return info;
}

std::unique_ptr<AnyVecEnv> wrap(const VecEnvMaker& make, const VecEnvOptions& options,
                                std::span<const WrapperOptions> wrappers) {
  const bool guarded = !wrappers.empty() && wrappers[0].restart_stalled;
  auto env =
      guarded ? std::make_unique<StallGuard>(make, options, std::chrono::duration<double>(*wrappers[0].restart_stalled))
              : make(options);
  const EnvironmentInfo bare = env->info();
  for (std::size_t k = 0; k < wrappers.size(); ++k) {
    const auto& w = wrappers[k];
    const EnvironmentInfo info = wrapped_info(bare, wrappers.first(k + 1));
    if (w.time_limit) env = limit_time(std::move(env), info, *w.time_limit);
    if (w.frame_stack) env = stack_frames(std::move(env), info, *w.frame_stack);
    if (w.normalize_observation.value_or(false)) env = normalize_observation(std::move(env), info);
    if (w.normalize_reward) env = normalize_reward(std::move(env), info, *w.normalize_reward);
    if (w.clip_observation) env = clip_observation(std::move(env), info, *w.clip_observation);
    if (w.clip_reward) env = clip_reward(std::move(env), info, *w.clip_reward);
    if (w.rescale_action.value_or(false)) env = rescale_action(std::move(env), info);
    if (w.record) env = record(std::move(env), info, *w.record);
  }
  return env;
}

}  // namespace mobula::rl
