#include "rl/train/rollout.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "rl/algos/collect.h"

namespace mobula::rl {
namespace {

CostSums sum_costs(const ConstFragment& fragment, std::size_t groups) {
  CostSums sums;
  const std::size_t costs = static_cast<std::size_t>(fragment.layout.costs);
  sums.milli.resize(costs * groups);
  sums.steps.resize(costs * groups);
  for (std::size_t i = 0; i < fragment.costs.size(); ++i) {
    const auto group = static_cast<std::size_t>(fragment.groups[i]);
    if (group >= groups) continue;  // of no group
    const std::size_t cell = i % costs * groups + group;
    sums.milli[cell] += std::llround(static_cast<double>(fragment.costs[i]) * 1000.0);
    ++sums.steps[cell];
  }
  return sums;
}

// What the policy remembers of an environment lies behind the environment's own snapshot, so it goes where that goes:
// to whoever collects next, and into checkpoints.
void add_memories(std::vector<std::vector<std::byte>>& snapshots, std::span<const float> states, int size) {
  for (std::size_t i = 0; i < snapshots.size() && size > 0; ++i) {
    const auto bytes =
        std::as_bytes(states.subspan(i * static_cast<std::size_t>(size), static_cast<std::size_t>(size)));
    snapshots[i].insert(snapshots[i].end(), bytes.begin(), bytes.end());
  }
}

std::vector<std::vector<std::byte>> without_memories(std::vector<std::vector<std::byte>> snapshots,
                                                     std::span<float> states, int size) {
  const std::size_t bytes = static_cast<std::size_t>(size) * sizeof(float);
  for (std::size_t i = 0; i < snapshots.size() && size > 0; ++i) {
    auto& snapshot = snapshots[i];
    if (snapshot.size() < bytes) throw std::runtime_error("Restoring an environment: the policy's memory is missing.");
    std::memcpy(states.data() + i * static_cast<std::size_t>(size), snapshot.data() + snapshot.size() - bytes, bytes);
    snapshot.resize(snapshot.size() - bytes);
  }
  return snapshots;
}

}  // namespace

void CostSums::merge(const CostSums& other) {
  milli.resize(std::max(milli.size(), other.milli.size()));
  steps.resize(std::max(steps.size(), other.steps.size()));
  for (std::size_t i = 0; i < other.milli.size(); ++i) milli[i] += other.milli[i];
  for (std::size_t i = 0; i < other.steps.size(); ++i) steps[i] += other.steps[i];
}

RolloutResult RolloutActor::collect(const Array<float>& parameters, const RolloutCall& call) {
  const auto began = std::chrono::steady_clock::now();
  std::unique_ptr<AnyVecEnv>& envs = envs_[call.first];
  if (!envs || envs->size() != call.count) {
    envs = setup_.factory(setup_.config, {.count = call.count, .first = call.first, .seed = setup_.seed});
  }
  const FragmentLayout layout(envs->info(), call.steps, call.count, actor_->state_size());
  const std::size_t lines = (layout.bytes() + sizeof(FragmentLine) - 1) / sizeof(FragmentLine);
  ArrayBuilder<FragmentLine> memory(lines, ArrayBuilder<FragmentLine>::OnHeap{});
  Fragment fragment(layout, std::as_writable_bytes(memory.span()));
  if (call.snapshots.empty()) {
    envs->reset(0);
    std::fill(fragment.initial_states.begin(), fragment.initial_states.end(), 0.0f);
  } else {
    envs->restore_each(without_memories(call.snapshots, fragment.initial_states, layout.state_size));
  }

  RolloutResult result;
  result.ended = rl::collect(*envs, *actor_, parameters, call.iteration, call.exploration, fragment, &result.seconds);
  for (auto& end : result.ended) {
    for (const auto& metric : setup_.metrics) metric(end.report);
  }
  result.snapshots = envs->snapshot_each();
  add_memories(result.snapshots, fragment.last_states, layout.state_size);
  result.costs = sum_costs(ConstFragment(layout, std::as_bytes(std::span<const FragmentLine>(memory.span()))),
                           envs->info().group_names.size());
  result.fragment = std::move(memory).finish();
  result.time = ProcessTime::since(made_);
  const std::chrono::duration<double> all = std::chrono::steady_clock::now() - began;
  result.seconds.transfer += std::max(0.0, all.count() - result.seconds.total());
  return result;
}

}  // namespace mobula::rl
