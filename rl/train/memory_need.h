#pragma once

#include <mobula/rl/train.h>

#include <cstdint>
#include <string>
#include <vector>

namespace mobula::rl {

/// Memory that a run is sure to take, and the setting that it grows with: a lower bound, from the shapes alone.
struct MemoryNeed {
  std::string key;   ///< "algorithm.n_envs"
  std::string what;  ///< "rollouts of 8 environments x 256 steps"
  double bytes = 0;
};
std::vector<MemoryNeed> memory_needs(const TrainOptions& options);

/// Why a run of these options does not fit into so many bytes, as "algorithm.n_envs: sentence" of what takes most; or
/// why its rollouts have more steps than can be counted. Empty if neither is so.
std::string problem_with_memory(const TrainOptions& options, std::uint64_t available);

}  // namespace mobula::rl
