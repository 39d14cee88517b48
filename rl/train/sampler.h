#pragma once

#include <mobula/runtime.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "rl/algos/learner.h"
#include "rl/train/rollout.h"
#include "rl/train/worker_watch.h"

namespace mobula::rl {

/// How often a wait looks whether the program was asked to stop.
inline constexpr std::chrono::milliseconds kGlance{20};

/// "rollout 0", ...: they outlive any number of deaths.
std::vector<Actor<RolloutActor>> spawn_rollout_actors(Runtime& runtime, int count, const ActorSetup& setup);

/// Episodes in the order in which they ended, then of the environments: what a single worker would have seen. The
/// fragment's columns are the environments `first` and those after it.
std::vector<EpisodeEnd> in_order_of_time(std::vector<EpisodeEnd> ended, const ConstFragment& fragment,
                                         std::size_t first = 0);

/// A fragment of all environments, in memory that is there from the first write() on.
class FragmentMemory {
 public:
  FragmentMemory(const EnvironmentInfo& info, const RolloutSize& size)
      : layout_(info, size.steps, size.envs, size.state_size) {}
  Fragment write() {
    lines_.resize((layout_.bytes() + sizeof(FragmentLine) - 1) / sizeof(FragmentLine));
    return {layout_, std::as_writable_bytes(std::span(lines_))};
  }
  ConstFragment read() const { return {layout_, std::as_bytes(std::span(lines_))}; }

 private:
  const FragmentLayout layout_;
  std::vector<FragmentLine> lines_;
};

/// The environments of a run on its rollout actors. What comes out does not depend on how many actors there are, who
/// collected what, or who died at it: it is what a single actor would have written.
class Sampler {
 public:
  Sampler(const EnvironmentInfo& info, const RolloutSize& size);

  /// Who collects from now on: at most one actor an environment, since more would have nothing to do.
  void spawn(Runtime& runtime, int actors, const ActorSetup& setup);
  bool spawned() const { return !actors_.empty(); }
  void dismiss() {
    parts_.clear();
    actors_.clear();
  }

  struct Collected {
    ConstFragment fragment;         ///< of all environments; valid until the next finish()
    std::vector<EpisodeEnd> ended;  ///< by time, then by environment
    CostSums costs;
    std::int64_t env_restarts = 0;  ///< environments made anew; the episodes they broke off are not in `ended`
    SamplingSeconds seconds;        ///< of all who collected, and of merging what they did
    double here = 0;                ///< the part of them in this process
    void add(std::vector<EpisodeEnd> more);
    void add(const RolloutResult& part);  ///< its costs and its time
    void merged_since(std::chrono::steady_clock::time_point began);
  };
  /// Has a rollout collected from where the environments stand; at most one at a time.
  void start(const Ref<Array<float>>& policy, std::uint32_t iteration, const nn::Exploration& exploration);
  bool started() const { return !parts_.empty(); }
  /// That rollout. Nothing, and the environments are where they were, if `interrupted` said so while waiting.
  std::optional<Collected> finish(Runtime& runtime, const std::function<bool()>& interrupted, CpuMeter& meter,
                                  WorkerWatch* watch = nullptr);

  /// Where each environment stands; empty before the first rollout. The whole state of the sampler.
  const std::vector<std::vector<std::byte>>& snapshots() const { return snapshots_; }
  void restore(std::vector<std::vector<std::byte>> snapshots) { snapshots_ = std::move(snapshots); }

 private:
  Collected merge(CpuMeter& meter, WorkerWatch* watch);

  const EnvironmentInfo info_;
  const RolloutSize size_;
  FragmentMemory whole_;
  std::vector<Actor<RolloutActor>> actors_;
  std::vector<Ref<RolloutResult>> parts_;  // of the rollout that is being collected
  std::vector<std::vector<std::byte>> snapshots_;
};

}  // namespace mobula::rl
