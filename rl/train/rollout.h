#pragma once

#include <mobula/array.h>
#include <mobula/rl/any_vec_env.h>
#include <mobula/rl/environment_spec.h>
#include <mobula/rl/fairness.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rl/algos/sampling_seconds.h"
#include "rl/nn/actor.h"
#include "rl/train/cpu_meter.h"

namespace mobula::rl {

template <class Archive>
void serialize(Archive& archive, ActionSpace& space) {
  archive(space.kind, space.sizes, space.dimensions, space.low, space.high);
}
namespace nn {
template <class Archive>
void serialize(Archive& archive, PolicySpec& spec) {
  archive(spec.kind, spec.observation_size, spec.action, spec.hidden, spec.activation, spec.log_std_init,
          spec.normalize_observation, spec.shared_trunk, spec.memory, spec.memory_units, spec.value_function,
          spec.squash_output, spec.state_dependent_noise, spec.correlated_noise, spec.network, spec.dueling, spec.atoms,
          spec.v_min, spec.v_max);
}
template <class Archive>
void serialize(Archive& archive, Exploration& exploration) {
  archive(exploration.epsilon, exploration.noise, exploration.perturbation, exploration.uniform, exploration.theta,
          exploration.dt, exploration.parameter_noise, exploration.resample_every);
}
}  // namespace nn

/// What all actors of a run have in common.
struct ActorSetup {
  VecEnvFunction factory;
  std::string config;  ///< of the environment, as YAML
  nn::PolicySpec policy;
  std::uint64_t seed = 0;
  std::vector<EpisodeMetric::Code> metrics = {};  ///< asked at each end of an episode, in this order

  template <class Archive>
  void serialize(Archive& archive) {
    archive(factory, config, policy, seed);
    // One by one: a vector of them would be copied as the pointers of this process.
    auto count = static_cast<std::uint64_t>(metrics.size());
    archive(count);
    metrics.resize(count);
    for (auto& metric : metrics) archive(metric);
  }
};

/// Sums of the costs that an environment annotates, per cost and group, in thousandths: whole numbers, so that they
/// merge in any order. [cost * groups + group].
struct CostSums {
  std::vector<std::int64_t> milli;
  std::vector<std::int64_t> steps;  ///< in which the cost was counted for the group
  void merge(const CostSums& other);
  bool operator==(const CostSums&) const = default;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(milli, steps);
  }
};

/// Memory of a fragment, aligned as its tables want it.
struct alignas(64) FragmentLine {
  std::byte bytes[64];
};

struct RolloutCall {
  std::uint32_t iteration = 0;
  std::uint32_t first = 0;  ///< environments first .. first + count - 1 of the run
  std::int32_t count = 0;
  std::int32_t steps = 0;  ///< of each
  nn::Exploration exploration;
  std::vector<std::vector<std::byte>> snapshots;  ///< where each starts from; empty at the beginning of the run

  template <class Archive>
  void serialize(Archive& archive) {
    archive(iteration, first, count, steps, exploration, snapshots);
  }
};

struct RolloutResult {
  Array<FragmentLine> fragment;
  std::vector<std::vector<std::byte>> snapshots;  ///< where each environment stands now
  std::vector<EpisodeEnd> ended;
  CostSums costs;
  ProcessTime time;
  SamplingSeconds seconds;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(fragment, snapshots, ended, costs, time, seconds);
  }
};

/// Collects experience in a worker. An answer depends on the arguments alone, never on earlier calls: what is kept from
/// one call to the next is memory, not state. So any actor may do any part, and a call lost with its worker is simply
/// made again.
class RolloutActor {
 public:
  explicit RolloutActor(const ActorSetup& setup) : setup_(setup), actor_(nn::make_actor(setup.policy)) {}
  RolloutResult collect(const Array<float>& parameters, const RolloutCall& call);

 private:
  const ActorSetup setup_;
  const ProcessTime made_ = ProcessTime::here();
  const std::unique_ptr<nn::Actor> actor_;
  std::map<std::uint32_t, std::unique_ptr<AnyVecEnv>> envs_;  // by the first
};

}  // namespace mobula::rl
