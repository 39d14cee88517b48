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

/// What training did meanwhile, in seconds, and how near its learner came to the machine. Environments and inference
/// are of all processes that sample, so with workers the sum is more than the time that passed; the rest is of the
/// process that trains. With update (less the advantages) and broadcast of StageSeconds it is the whole split.
struct WorkSeconds {
  double environment = 0;  ///< steps and resets of environments
  double inference = 0;    ///< actions, and values of what was seen
  double transfer = 0;     ///< carries data: into fragments, snapshots, fragments into one batch
  double advantage = 0;    ///< rewards, advantages and targets; a part of Stage::update
  double idle = 0;         ///< the process that trains waits for rollouts that others make
  double operations = 0;   ///< floating-point operations of the learner's products, which it cannot do without

  WorkSeconds& operator+=(const WorkSeconds& more) {
    environment += more.environment;
    inference += more.inference;
    transfer += more.transfer;
    advantage += more.advantage;
    idle += more.idle;
    operations += more.operations;
    return *this;
  }
};

}  // namespace mobula::rl
