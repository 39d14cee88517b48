#pragma once

#include <mobula/fields.h>
#include <mobula/rl/any_vec_env.h>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace mobula::rl {

// One wrapper, as it is named in a configuration file:
//
//   env: {name: pendulum, wrappers: [{time_limit: 100}, {rescale_action: true}, {frame_stack: 4}]}
//
// They are put around the environment in this order, the first one innermost; each entry names one. The same as C++
// templates over an environment: <mobula/rl/wrappers.h>.
struct WrapperOptions {
  std::optional<int> time_limit = {};
  std::optional<int> frame_stack = {};
  std::optional<bool> normalize_observation = {};
  std::optional<double> normalize_reward = {};
  std::optional<double> clip_observation = {};
  std::optional<double> clip_reward = {};
  std::optional<bool> rescale_action = {};
  std::optional<std::string> record = {};
  std::optional<double> restart_stalled = {};

  void describe(Fields& f) {
    f("time_limit", time_limit, {.unit = "steps", .min = 1, .help = "Truncates an episode after so many steps."});
    f("frame_stack", frame_stack,
      {.min = 1, .max = 1000, .help = "Shows the last observations, oldest first; at a start the first is repeated."});
    f("normalize_observation", normalize_observation,
      {.help = "Shifts and scales observations by the mean and deviation of what this one environment has shown."});
    f("normalize_reward", normalize_reward,
      {.min = 0, .max = 1, .help = "Divides rewards by the deviation of the return with this discount."});
    f("clip_observation", clip_observation, {.above = 0, .help = "Cuts observations to plus or minus this."});
    f("clip_reward", clip_reward, {.above = 0, .help = "Cuts rewards to plus or minus this."});
    f("rescale_action", rescale_action, {.help = "Takes the actions of a box as numbers in [-1, 1]."});
    f("record", record, {.help = "Folder into which each finished episode is written, as a CSV file."});
    f("restart_stalled", restart_stalled,
      {.unit = "s", .above = 0, .help = "Makes an environment anew whose step takes longer; must come first."});
  }
  // Empty, or what is wrong with this entry.
  std::string problem() const;
  bool operator==(const WrapperOptions&) const = default;
};

using VecEnvMaker = std::function<std::unique_ptr<AnyVecEnv>(const VecEnvOptions&)>;

// The environments that `make` makes, inside the wrappers. Throws std::invalid_argument where one does not fit, as
// rescale_action around discrete actions.
std::unique_ptr<AnyVecEnv> wrap(const VecEnvMaker& make, const VecEnvOptions& options,
                                std::span<const WrapperOptions> wrappers);

// What the environment inside the wrappers is to a learner. Throws as wrap().
EnvironmentInfo wrapped_info(EnvironmentInfo info, std::span<const WrapperOptions> wrappers);

}  // namespace mobula::rl
