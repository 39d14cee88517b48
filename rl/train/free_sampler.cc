#include "rl/train/free_sampler.h"

#include <algorithm>
#include <string>
#include <utility>

namespace mobula::rl {
namespace {

/// Calls that an actor has at a time: one that it works on, and one so that it need not wait for the learner.
constexpr int kCallsOfAnActor = 2;

}  // namespace

void FreeSampler::spawn(Runtime& runtime, int actors, const ActorSetup& setup, std::uint32_t batches) {
  for (auto& actor : spawn_rollout_actors(runtime, std::clamp(actors, 1, size_.envs), setup)) {
    workers_.push_back({std::move(actor), 0, {}});
  }
  // As few groups as keep all actors busy: passes over many rows are cheaper.
  int count = std::min(size_.envs, kCallsOfAnActor * static_cast<int>(workers_.size()));
  while (size_.envs % count != 0) ++count;
  groups_.assign(static_cast<std::size_t>(count), {});
  const auto each = static_cast<std::ptrdiff_t>(envs_in_group());
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    workers_[g % workers_.size()].idle.push_back(g);
    if (stored_.empty()) continue;
    const auto first = stored_.begin() + static_cast<std::ptrdiff_t>(g) * each;
    Snapshots snapshots(first, first + each);
    // Stopped before all of them had begun, and cut in another way now: they begin together.
    if (std::ranges::any_of(snapshots, [](const auto& one) { return one.empty(); })) continue;
    groups_[g] = {snapshots, snapshots};
  }
  rollouts_ = batches * static_cast<std::uint32_t>(count);
  stored_.clear();
}

void FreeSampler::dismiss() {
  stored_ = snapshots();
  flights_.clear();
  arrived_.clear();
  groups_.clear();
  workers_.clear();
}

std::vector<std::vector<std::byte>> FreeSampler::snapshots() const {
  if (!spawned()) return stored_;
  Snapshots all;
  for (const Group& group : groups_) {
    if (group.handed_out.empty()) {
      all.insert(all.end(), static_cast<std::size_t>(envs_in_group()), {});
    } else {
      all.insert(all.end(), group.handed_out.begin(), group.handed_out.end());
    }
  }
  return all;
}

void FreeSampler::launch(const Behaviour& behaviour, std::int64_t steps_left) {
  // What is collected beyond the last batch would be thrown away.
  const std::int64_t batches = (steps_left + size_.total() - 1) / size_.total();
  const auto wanted = static_cast<std::size_t>(batches) * groups_.size();
  for (bool found = true; found;) {
    found = false;
    for (std::size_t w = 0; w < workers_.size(); ++w) {  // a call each, then another each
      Worker& worker = workers_[w];
      if (worker.idle.empty() || worker.calls == kCallsOfAnActor) continue;
      if (flights_.size() + arrived_.size() >= wanted) return;
      found = true;
      const std::size_t g = worker.idle.front();
      worker.idle.pop_front();
      ++worker.calls;
      const RolloutCall call{.iteration = rollouts_++,
                             .first = static_cast<std::uint32_t>(g) * static_cast<std::uint32_t>(envs_in_group()),
                             .count = envs_in_group(),
                             .steps = size_.steps,
                             .exploration = behaviour.exploration,
                             .snapshots = groups_[g].newest};
      flights_.push_back({g, w, behaviour.version, worker.actor.call<&RolloutActor::collect>(behaviour.policy, call)});
    }
  }
}

bool FreeSampler::land(Runtime& runtime, CpuMeter& meter, WorkerWatch& watch) {
  std::vector<Ref<RolloutResult>> answers;
  for (const Flight& flight : flights_) answers.push_back(flight.answer);
  const auto ready = runtime.wait(answers, 1, kGlance).ready;
  for (const auto& answer : ready) {
    const auto flight = std::ranges::find(flights_, answer, &Flight::answer);
    Arrived part{flight->group, flight->version, answer.get()};
    const std::size_t w = flight->worker;
    flights_.erase(flight);
    --workers_[w].calls;
    workers_[w].idle.push_back(part.group);
    groups_[part.group].newest = part.result.snapshots;
    meter.report(part.result.time);
    watch.report("rollout " + std::to_string(w), part.result.time);
    arrived_.push_back(std::move(part));
  }
  return !ready.empty();
}

std::optional<FreeSampler::Collected> FreeSampler::collect(Runtime& runtime, const Behaviour& behaviour,
                                                           std::int64_t steps_left,
                                                           const std::function<bool()>& interrupted, CpuMeter& meter,
                                                           WorkerWatch& watch) {
  launch(behaviour, steps_left);
  while (arrived_.size() < groups_.size()) {
    if (land(runtime, meter, watch)) {
      launch(behaviour, steps_left);
    } else if (interrupted && interrupted()) {
      return std::nullopt;
    }
  }
  return merge();
}

FreeSampler::Collected FreeSampler::merge() {
  const auto began = std::chrono::steady_clock::now();
  Fragment whole = whole_.write();
  Collected collected{{.fragment = whole_.read(), .ended = {}, .costs = {}}, {}};
  const int count = envs_in_group();
  const FragmentLayout layout(info_, size_.steps, count, size_.state_size);
  for (std::size_t k = 0; k < groups_.size(); ++k) {
    Arrived part = std::move(arrived_.front());
    arrived_.pop_front();
    const ConstFragment fragment(layout, std::as_bytes(part.result.fragment.span()));
    place_columns(fragment, whole, static_cast<int>(k) * count);
    collected.versions.insert(collected.versions.end(), static_cast<std::size_t>(count), part.version);
    collected.add(
        in_order_of_time(std::move(part.result.ended), fragment, part.group * static_cast<std::size_t>(count)));
    collected.add(part.result);
    groups_[part.group].handed_out = std::move(part.result.snapshots);
  }
  collected.merged_since(began);
  return collected;
}

}  // namespace mobula::rl
