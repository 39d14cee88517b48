#include <mobula/random.h>
#include <mobula/rl/policy.h>

#include <algorithm>
#include <atomic>
#include <stdexcept>

#include "rl/nn/actor.h"
#include "rl/train/checkpoint.h"
#include "rl/train/sections.h"

namespace mobula::rl {

struct Policy::State {
  explicit State(StoredPolicy p) : policy(std::move(p)) {}
  const StoredPolicy policy;
  const std::uint64_t id = [] {
    static std::atomic<std::uint64_t> next{1};
    return next++;
  }();
};

namespace {

/// An nn::Actor holds scratch memory and is not for several threads: each thread keeps one for the policy it used last.
nn::Actor& actor_of_this_thread(std::uint64_t id, const nn::PolicySpec& spec) {
  thread_local std::uint64_t last = 0;
  thread_local std::unique_ptr<nn::Actor> actor;
  if (last != id) {
    actor = nn::make_actor(spec);
    last = id;
  }
  return *actor;
}

void check_sizes(const nn::PolicySpec& spec, std::span<const float> observation, std::span<const std::uint8_t> mask) {
  const auto wanted = static_cast<std::size_t>(spec.observation_size);
  if (observation.size() != wanted) {
    throw std::invalid_argument("Policy: the observation has " + std::to_string(observation.size()) +
                                " numbers; this policy was trained on " + std::to_string(wanted));
  }
  const auto choices = static_cast<std::size_t>(spec.action.mask_size());
  if (!mask.empty() && mask.size() != choices) {
    throw std::invalid_argument("Policy: the mask has " + std::to_string(mask.size()) + " entries; this policy has " +
                                std::to_string(choices) + " choices");
  }
}

void clip(const ActionSpace& space, std::vector<float>& action) {
  if (space.kind != ActionSpace::Kind::box) return;
  for (float& x : action) x = std::clamp(x, space.low, space.high);
}

}  // namespace

Policy Policy::load(const std::filesystem::path& run) {
  const Checkpoint checkpoint = std::filesystem::is_directory(run)
                                    ? CheckpointFolder(run / "checkpoints").load_newest().checkpoint
                                    : read_checkpoint(run);
  return Policy(std::make_shared<State>(policy_from_section(checkpoint.section("policy"))));
}

int Policy::observation_size() const {
  return state_->policy.spec.observation_size;
}
const ActionSpace& Policy::action_space() const {
  return state_->policy.spec.action;
}
std::span<const float> Policy::parameters() const {
  return state_->policy.parameters;
}

std::vector<float> Policy::act(std::span<const float> observation, std::span<const std::uint8_t> mask) const {
  const auto& spec = state_->policy.spec;
  check_sizes(spec, observation, mask);
  std::vector<float> action(static_cast<std::size_t>(spec.action.dimensions));
  actor_of_this_thread(state_->id, spec).mode(parameters(), observation, mask, action.data());
  clip(spec.action, action);
  return action;
}

std::vector<float> Policy::sample(std::span<const float> observation, Random& random,
                                  std::span<const std::uint8_t> mask) const {
  const auto& spec = state_->policy.spec;
  check_sizes(spec, observation, mask);
  std::vector<float> action(static_cast<std::size_t>(spec.action.dimensions));
  actor_of_this_thread(state_->id, spec)
      .sample(parameters(), observation, mask, std::span(&random, 1), {}, action.data(), nullptr, nullptr);
  clip(spec.action, action);
  return action;
}

void Policy::check(const ActionSpace& space) const {
  if (space == action_space()) return;
  throw std::invalid_argument("Policy: it was trained for other actions than those asked for (" +
                              std::to_string(action_space().head_size()) + " outputs against " +
                              std::to_string(space.head_size()) + ")");
}

}  // namespace mobula::rl
