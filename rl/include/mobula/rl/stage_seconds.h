#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string_view>

namespace mobula::rl {

/// What the process that trains is busy with, or waits for.
enum class Stage : std::uint8_t {
  collect,     ///< waits for rollouts (in one process: makes them)
  broadcast,   ///< hands the parameters to the workers
  update,      ///< merges what was collected and learns from it
  evaluate,    ///< waits for evaluations; one that is made beside training costs nothing here
  checkpoint,  ///< writes files
  other,       ///< callbacks, bookkeeping, start and end
};
inline constexpr std::array<std::string_view, 6> stage_names{"collect",  "broadcast",  "update",
                                                             "evaluate", "checkpoint", "other"};

/// Wall time by stage in seconds: in UpdateEvent of this process since training began, in TrainResult over all
/// resumptions. Each moment counts for one stage, so the sum is the time that passed.
struct StageSeconds {
  std::array<double, stage_names.size()> seconds{};

  double& operator[](Stage stage) { return seconds[static_cast<std::size_t>(stage)]; }
  double operator[](Stage stage) const { return seconds[static_cast<std::size_t>(stage)]; }
  double total() const { return std::accumulate(seconds.begin(), seconds.end(), 0.0); }
};

}  // namespace mobula::rl
