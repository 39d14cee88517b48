#include "rl/train/rollout.h"

#include <cmath>
#include <cstring>

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

}  // namespace

void CostSums::merge(const CostSums& other) {
  milli.resize(std::max(milli.size(), other.milli.size()));
  steps.resize(std::max(steps.size(), other.steps.size()));
  for (std::size_t i = 0; i < other.milli.size(); ++i) milli[i] += other.milli[i];
  for (std::size_t i = 0; i < other.steps.size(); ++i) steps[i] += other.steps[i];
}

RolloutResult RolloutActor::collect(const Array<float>& parameters, const RolloutCall& call) {
  if (!envs_ || envs_->options().first != call.first || envs_->size() != call.count) {
    envs_ = setup_.factory(setup_.config, {.count = call.count, .first = call.first, .seed = setup_.seed});
  }
  if (call.snapshots.empty()) {
    envs_->reset(0);
  } else {
    envs_->restore_each(call.snapshots);
  }
  const FragmentLayout layout(envs_->info(), call.steps, call.count);
  const std::size_t lines = (layout.bytes() + sizeof(FragmentLine) - 1) / sizeof(FragmentLine);
  ArrayBuilder<FragmentLine> memory(lines, ArrayBuilder<FragmentLine>::OnHeap{});
  Fragment fragment(layout, std::as_writable_bytes(memory.span()));

  RolloutResult result;
  result.ended = rl::collect(*envs_, *actor_, parameters, call.iteration, call.exploration, fragment);
  for (auto& end : result.ended) {
    for (const auto& metric : setup_.metrics) metric(end.report);
  }
  result.snapshots = envs_->snapshot_each();
  result.costs = sum_costs(ConstFragment(layout, std::as_bytes(std::span<const FragmentLine>(memory.span()))),
                           envs_->info().group_names.size());
  result.fragment = std::move(memory).finish();
  result.time = ProcessTime::here();
  return result;
}

}  // namespace mobula::rl
