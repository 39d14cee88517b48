#pragma once

#include <mobula/rl/train.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "rl/train/sections.h"

namespace mobula::rl {

/// Plays held-out episode `episode` in this process and calls `look` after its reset and after each step, until it ends
/// or `look` returns false. `baseline` is an index into the environment's; none: the policy's most likely actions.
/// Returns the end of the episode, if it was reached.
std::optional<EpisodeEnd> play_episode(const EnvironmentSpec& env, const StoredPolicy& policy, std::uint64_t seed,
                                       std::uint32_t episode, std::optional<int> baseline,
                                       const std::function<bool(const AnyVecEnv&)>& look);

/// One picture that shows the given ones in turn, each for `frame_seconds`, over and over (SMIL animation, no script).
/// All frames have the size of the first. Empty for no frames.
std::string animate_svg(const std::vector<std::string>& frames, double frame_seconds);

}  // namespace mobula::rl
