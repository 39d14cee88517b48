#include "rl/train/composite_vec_env.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace mobula::rl {
namespace {

std::unique_ptr<AnyVecEnv> make_one(const VecEnvFunction& factory, const std::string& config, VecEnvOptions options,
                                    int i) {
  options.first += static_cast<std::uint32_t>(i);
  options.count = 1;
  return factory(config, options);
}

}  // namespace

CompositeVecEnv::CompositeVecEnv(const VecEnvFunction& factory, const std::string& config, const VecEnvOptions& options)
    : AnyVecEnv(make_one(factory, config, options, 0)->info(), options) {
  for (int i = 0; i < options.count; ++i) envs_.push_back(make_one(factory, config, options, i));
}

void CompositeVecEnv::take_over(int i) {
  const AnyVecEnv& env = *envs_[i];
  std::copy_n(env.observations().data(), info_.observation_size, &observations_[i * info_.observation_size]);
  std::copy_n(env.masks().data(), info_.mask_size, masks_.data() + i * info_.mask_size);
  episodes_[i] = env.episodes()[0];
}

void CompositeVecEnv::reset(std::uint32_t episode) {
  ended_.clear();
  for (int i = 0; i < size(); ++i) {
    envs_[i]->reset(episode);
    take_over(i);
    rewards_[i] = 0;
    terminated_[i] = truncated_[i] = 0;
  }
}

void CompositeVecEnv::step(std::span<const float> actions) {
  ended_.clear();
  const std::size_t width = static_cast<std::size_t>(info_.action.dimensions);
  const std::size_t costs = info_.cost_names.size();
  for (int i = 0; i < size(); ++i) {
    AnyVecEnv& env = *envs_[i];
    env.step(actions.subspan(i * width, width));
    take_over(i);
    rewards_[i] = env.rewards()[0];
    terminated_[i] = env.terminated()[0];
    truncated_[i] = env.truncated()[0];
    std::copy_n(env.costs().data(), costs, costs_.data() + i * costs);
    std::copy_n(env.groups().data(), costs, groups_.data() + i * costs);
    if (terminated_[i] || truncated_[i]) [[unlikely]] {
      std::copy_n(env.final_observations().data(), info_.observation_size,
                  &final_observations_[i * info_.observation_size]);
      ended_.insert(ended_.end(), env.ended().begin(), env.ended().end());
    }
  }
}

void CompositeVecEnv::baseline_actions(int k, std::span<float> actions) const {
  const std::size_t width = static_cast<std::size_t>(info_.action.dimensions);
  for (int i = 0; i < size(); ++i) envs_[i]->baseline_actions(k, actions.subspan(i * width, width));
}

std::vector<std::vector<std::byte>> CompositeVecEnv::snapshot_each() const {
  std::vector<std::vector<std::byte>> snapshots;
  for (const auto& env : envs_) snapshots.push_back(env->snapshot());
  return snapshots;
}

void CompositeVecEnv::restore_each(std::span<const std::vector<std::byte>> snapshots) {
  if (snapshots.size() != envs_.size()) {
    throw std::runtime_error("Restoring " + std::to_string(envs_.size()) + " environments: there are " +
                             std::to_string(snapshots.size()) + " snapshots.");
  }
  ended_.clear();
  for (int i = 0; i < size(); ++i) {
    envs_[i]->restore(snapshots[i]);
    take_over(i);
  }
}

std::vector<std::byte> CompositeVecEnv::snapshot() const {
  std::vector<std::byte> bytes;
  for (const auto& one : snapshot_each()) {
    const std::uint64_t size = one.size();
    const auto* first = reinterpret_cast<const std::byte*>(&size);
    bytes.insert(bytes.end(), first, first + sizeof size);
    bytes.insert(bytes.end(), one.begin(), one.end());
  }
  return bytes;
}

void CompositeVecEnv::restore(std::span<const std::byte> bytes) {
  std::vector<std::vector<std::byte>> snapshots;
  while (!bytes.empty()) {
    std::uint64_t size = 0;
    if (bytes.size() >= sizeof size) std::memcpy(&size, bytes.data(), sizeof size);
    if (bytes.size() < sizeof size || size > bytes.size() - sizeof size) {
      throw std::runtime_error("Restoring environments: the snapshot ends too early; it is damaged.");
    }
    const auto one = bytes.subspan(sizeof size, size);
    snapshots.emplace_back(one.begin(), one.end());
    bytes = bytes.subspan(sizeof size + size);
  }
  restore_each(snapshots);
}

}  // namespace mobula::rl
