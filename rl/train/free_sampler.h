#pragma once

#include <mobula/runtime.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "rl/train/sampler.h"

namespace mobula::rl {

/// The environments of a run on its rollout actors, for learners that take what arrives: nobody waits for anybody. The
/// environments are cut into groups of one size, each of which an actor steps all the time, a rollout after the other
/// and with the newest policy that there is when it is asked for. A batch is made of the rollouts that arrive first,
/// whichever groups they are of, so that one may be in it twice. What comes out depends on who is faster.
///
/// Each group's rollouts follow each other without a gap, each is learned from once, and of a call that dies with its
/// worker only the repetition counts.
class FreeSampler {
 public:
  FreeSampler(const EnvironmentInfo& info, const RolloutSize& size) : info_(info), size_(size), whole_(info, size) {}

  /// Who collects from now on. `batches`: learned from before now; rollouts are numbered from there.
  void spawn(Runtime& runtime, int actors, const ActorSetup& setup, std::uint32_t batches);
  bool spawned() const { return !workers_.empty(); }
  void dismiss();

  struct Collected : Sampler::Collected {
    std::vector<std::uint32_t> versions;  ///< of the policy that collected each column of the fragment
  };
  /// What those who begin from now on collect with.
  struct Behaviour {
    Ref<Array<float>> policy;
    std::uint32_t version = 0;  ///< updates that it has seen
    nn::Exploration exploration;
  };
  /// The next batch; `steps_left`: of all environments, until the run ends. Nothing, and the environments are where
  /// they were, if `interrupted` said so while waiting.
  std::optional<Collected> collect(Runtime& runtime, const Behaviour& behaviour, std::int64_t steps_left,
                                   const std::function<bool()>& interrupted, CpuMeter& meter, WorkerWatch& watch);

  /// Where each environment stood after the last of its rollouts that was handed out: empty before the first. What has
  /// arrived since then will be collected again by a run that is resumed.
  std::vector<std::vector<std::byte>> snapshots() const;
  void restore(const std::vector<std::vector<std::byte>>& snapshots) { stored_ = snapshots; }

 private:
  using Snapshots = std::vector<std::vector<std::byte>>;
  struct Group {
    Snapshots newest, handed_out;  // where the next rollout begins; after the last that was learned from
  };
  struct Worker {
    Actor<RolloutActor> actor;
    int calls = 0;                 // under way
    std::deque<std::size_t> idle;  // of its groups, those that have waited longest first
  };
  struct Flight {
    std::size_t group = 0, worker = 0;
    std::uint32_t version = 0;
    Ref<RolloutResult> answer;
  };
  struct Arrived {
    std::size_t group = 0;
    std::uint32_t version = 0;
    RolloutResult result;
  };

  void launch(const Behaviour& behaviour, std::int64_t steps_left);
  bool land(Runtime& runtime, CpuMeter& meter, WorkerWatch& watch);  // false: nothing came within a glance
  Collected merge();
  int envs_in_group() const { return size_.envs / static_cast<int>(groups_.size()); }

  const EnvironmentInfo info_;
  const RolloutSize size_;
  FragmentMemory whole_;
  std::vector<Worker> workers_;
  std::vector<Group> groups_;
  std::deque<Flight> flights_;
  std::deque<Arrived> arrived_;  // and not handed out yet
  std::uint32_t rollouts_ = 0;   // numbers them
  Snapshots stored_;             // what restore() got, until spawn()
};

}  // namespace mobula::rl
