#include "rl/train/sampler.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

namespace mobula::rl {
namespace {

/// How often a wait looks whether the program was asked to stop.
constexpr std::chrono::milliseconds kGlance{20};

/// Episodes in the order in which they ended, then of the environments: what a single worker would have seen.
std::vector<EpisodeEnd> in_order_of_time(std::vector<EpisodeEnd> ended, const ConstFragment& fragment) {
  std::stable_sort(ended.begin(), ended.end(), [](const auto& a, const auto& b) {
    return std::pair(a.env, a.episode) < std::pair(b.env, b.episode);
  });
  const auto envs = static_cast<std::size_t>(fragment.layout.envs);
  std::vector<std::size_t> next(envs);
  for (std::size_t e = 0; e < envs; ++e) {
    const auto first = std::find_if(ended.begin(), ended.end(), [&](const auto& end) { return end.env == e; });
    next[e] = static_cast<std::size_t>(first - ended.begin());
  }
  std::vector<EpisodeEnd> ordered;
  for (std::size_t i = 0; i < fragment.terminated.size(); ++i) {
    if (fragment.terminated[i] || fragment.truncated[i]) ordered.push_back(std::move(ended.at(next[i % envs]++)));
  }
  return ordered;
}

}  // namespace

Sampler::Sampler(const EnvironmentInfo& info, const RolloutSize& size)
    : info_(info),
      size_(size),
      layout_(info, size.steps, size.envs, size.state_size),
      memory_((layout_.bytes() + sizeof(FragmentLine) - 1) / sizeof(FragmentLine)) {}

void Sampler::spawn(Runtime& runtime, int actors, const ActorSetup& setup) {
  const int count = std::clamp(actors, 1, size_.envs);
  for (int w = 0; w < count; ++w) {
    actors_.push_back(runtime
                          .with({.title = "rollout " + std::to_string(w),
                                 .max_restarts = -1,
                                 .max_call_retries = 3,
                                 .resources = {.cpu = 0}})
                          .spawn<RolloutActor>(setup));
  }
}

void Sampler::start(const Ref<Array<float>>& policy, std::uint32_t iteration, const nn::Exploration& exploration) {
  const int workers = static_cast<int>(actors_.size());
  for (int w = 0; w < workers; ++w) {
    const int first = size_.envs * w / workers, end = size_.envs * (w + 1) / workers;
    RolloutCall call{.iteration = iteration,
                     .first = static_cast<std::uint32_t>(first),
                     .count = end - first,
                     .steps = size_.steps,
                     .exploration = exploration};
    if (!snapshots_.empty()) call.snapshots.assign(snapshots_.begin() + first, snapshots_.begin() + end);
    parts_.push_back(actors_[w].call<&RolloutActor::collect>(policy, call));
  }
}

std::optional<Sampler::Collected> Sampler::finish(Runtime& runtime, const std::function<bool()>& interrupted,
                                                  CpuMeter& meter, WorkerWatch* watch) {
  while (!runtime.wait(parts_, parts_.size(), kGlance).pending.empty()) {
    if (interrupted && interrupted()) return std::nullopt;
  }
  return merge(meter, watch);
}

Sampler::Collected Sampler::merge(CpuMeter& meter, WorkerWatch* watch) {
  Fragment whole(layout_, std::as_writable_bytes(std::span(memory_)));
  std::vector<std::vector<std::byte>> snapshots;
  Collected collected{.fragment = ConstFragment(layout_, std::as_bytes(std::span(memory_))), .ended = {}, .costs = {}};
  const auto parts = std::exchange(parts_, {});
  for (std::size_t w = 0; w < parts.size(); ++w) {
    RolloutResult part = parts[w].get();
    const int first = static_cast<int>(snapshots.size());
    const FragmentLayout layout(info_, size_.steps, static_cast<int>(part.snapshots.size()), size_.state_size);
    place_columns(ConstFragment(layout, std::as_bytes(part.fragment.span())), whole, first);
    std::move(part.snapshots.begin(), part.snapshots.end(), std::back_inserter(snapshots));
    std::move(part.ended.begin(), part.ended.end(), std::back_inserter(collected.ended));
    collected.costs.merge(part.costs);
    meter.report(part.time);
    if (watch) watch->report("rollout " + std::to_string(w), part.time);
  }
  collected.ended = in_order_of_time(std::move(collected.ended), collected.fragment);
  for (const auto& end : collected.ended) collected.env_restarts += end.crashes;
  // What a broken environment did is in the fragment, cut short; its episode says nothing about the policy.
  std::erase_if(collected.ended, [](const EpisodeEnd& end) { return end.crashed; });
  snapshots_ = std::move(snapshots);
  return collected;
}

}  // namespace mobula::rl
