#include "rl/train/sampler.h"

#include <algorithm>
#include <string>
#include <utility>

namespace mobula::rl {
std::vector<EpisodeEnd> in_order_of_time(std::vector<EpisodeEnd> ended, const ConstFragment& fragment,
                                         std::size_t first) {
  std::stable_sort(ended.begin(), ended.end(), [](const auto& a, const auto& b) {
    return std::pair(a.env, a.episode) < std::pair(b.env, b.episode);
  });
  const auto envs = static_cast<std::size_t>(fragment.layout.envs);
  std::vector<std::size_t> next(envs);
  for (std::size_t e = 0; e < envs; ++e) {
    const auto of_env = std::find_if(ended.begin(), ended.end(), [&](const auto& end) { return end.env == first + e; });
    next[e] = static_cast<std::size_t>(of_env - ended.begin());
  }
  std::vector<EpisodeEnd> ordered;
  for (std::size_t i = 0; i < fragment.terminated.size(); ++i) {
    if (fragment.terminated[i] || fragment.truncated[i]) ordered.push_back(std::move(ended.at(next[i % envs]++)));
  }
  return ordered;
}

std::vector<Actor<RolloutActor>> spawn_rollout_actors(Runtime& runtime, int count, const ActorSetup& setup) {
  std::vector<Actor<RolloutActor>> actors;
  for (int w = 0; w < count; ++w) {
    actors.push_back(runtime
                         .with({.title = "rollout " + std::to_string(w),
                                .max_restarts = -1,
                                .max_call_retries = 3,
                                .resources = {.cpu = 0}})
                         .spawn<RolloutActor>(setup));
  }
  return actors;
}

Sampler::Sampler(const EnvironmentInfo& info, const RolloutSize& size) : info_(info), size_(size), whole_(info, size) {}

void Sampler::spawn(Runtime& runtime, int actors, const ActorSetup& setup) {
  actors_ = spawn_rollout_actors(runtime, std::clamp(actors, 1, size_.envs), setup);
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

void Sampler::Collected::add(std::vector<EpisodeEnd> more) {
  for (auto& end : more) {
    env_restarts += end.crashes;
    // What a broken environment did is in the fragment, cut short; its episode says nothing about the policy.
    if (!end.crashed) ended.push_back(std::move(end));
  }
}

void Sampler::Collected::add(const RolloutResult& part) {
  costs.merge(part.costs);
  seconds += part.seconds;
  const ProcessTime own = ProcessTime::here();
  if (part.time.pid == own.pid && part.time.host == own.host) here += part.seconds.total();
}

void Sampler::Collected::merged_since(std::chrono::steady_clock::time_point began) {
  const std::chrono::duration<double> merging = std::chrono::steady_clock::now() - began;
  seconds.transfer += merging.count();
  here += merging.count();
}

Sampler::Collected Sampler::merge(CpuMeter& meter, WorkerWatch* watch) {
  const auto began = std::chrono::steady_clock::now();
  Fragment whole = whole_.write();
  std::vector<std::vector<std::byte>> snapshots;
  Collected collected{.fragment = whole_.read(), .ended = {}, .costs = {}};
  std::vector<EpisodeEnd> ended;
  const auto parts = std::exchange(parts_, {});
  for (std::size_t w = 0; w < parts.size(); ++w) {
    RolloutResult part = parts[w].get();
    const int first = static_cast<int>(snapshots.size());
    const FragmentLayout layout(info_, size_.steps, static_cast<int>(part.snapshots.size()), size_.state_size);
    place_columns(ConstFragment(layout, std::as_bytes(part.fragment.span())), whole, first);
    std::move(part.snapshots.begin(), part.snapshots.end(), std::back_inserter(snapshots));
    std::move(part.ended.begin(), part.ended.end(), std::back_inserter(ended));
    collected.add(part);
    meter.report(part.time);
    if (watch) watch->report("rollout " + std::to_string(w), part.time);
  }
  collected.add(in_order_of_time(std::move(ended), collected.fragment));
  snapshots_ = std::move(snapshots);
  collected.merged_since(began);
  return collected;
}

}  // namespace mobula::rl
