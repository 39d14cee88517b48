#include "rl/nn/policy.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "rl/nn/own_network.h"

namespace mobula::rl::nn {

template <class T>
Policy<T>::Policy(const PolicySpec& spec) : spec_(spec) {
  const auto add = [&](const std::string& name, int outputs, std::optional<Recurrent<T>>& memory,
                       std::optional<Mlp<T>>& network) {
    int inputs = spec.observation_size;
    if (spec.memory != Memory::none) {
      memory.emplace(RecurrentShape{spec.memory, inputs, spec.memory_units}, name + ".memory", layout_);
      inputs = spec.memory_units;
    }
    network.emplace(MlpShape{inputs, spec.hidden, outputs, spec.activation}, name, layout_);
  };
  const int head = spec.action.head_size();
  if (!spec.network.empty()) {
    own_ = make_own_network(spec);
    for (const std::size_t size : own_->sizes()) {
      own_offsets_.push_back(layout_.add("network." + std::to_string(own_offsets_.size()), 1, static_cast<int>(size)));
    }
  } else if (spec.shared_trunk && spec.value_function) {
    add("shared", head + 1, actor_memory_, actor_);
  } else {
    add("actor", head, actor_memory_, actor_);
    if (spec.value_function) add("critic", 1, critic_memory_, critic_);
  }
  if (continuous() && spec.state_dependent_noise) {
    log_std_ = layout_.add("actor.log_std", spec.action.dimensions, spec.hidden.back());
  } else if (continuous()) {
    log_std_ = layout_.add("actor.log_std", 1, spec.action.dimensions);
  }
  trainable_ = layout_.size();
  if (spec.normalize_observation) {
    mean_ = layout_.add("observation.mean", 1, spec.observation_size);
    scale_ = layout_.add("observation.scale", 1, spec.observation_size);
  }
}

template <class T>
AlignedVector<T> Policy<T>::initial_parameters(std::uint64_t seed, bool orthogonal) const {
  AlignedVector<T> parameters(layout_.size());
  Random random(seed, Stream::parameters);
  if (actor_memory_) actor_memory_->initialize(parameters.data(), random);
  if (own_) {
    if constexpr (std::is_same_v<T, float>) own_->initialize(seed, own_offsets_, parameters.data());
  } else if (!orthogonal) {
    actor_->initialize_uniform(parameters.data(), random);
  } else if (shared()) {
    actor_->initialize(parameters.data(), 0.01, 1.0, random);
  } else {
    actor_->initialize(parameters.data(), 0.01, random);
  }
  if (critic_memory_) critic_memory_->initialize(parameters.data(), random);
  if (critic_ && orthogonal) critic_->initialize(parameters.data(), 1.0, random);
  if (critic_ && !orthogonal) critic_->initialize_uniform(parameters.data(), random);
  if (continuous()) {
    const ParameterBlock& block = layout_.block("actor.log_std");
    for (int r = 0; r < block.rows; ++r) {
      std::fill_n(parameters.data() + block.offset + r * block.stride, block.columns, T(spec_.log_std_init));
    }
  }
  if (spec_.normalize_observation) std::fill_n(parameters.data() + scale_, spec_.observation_size, T(1));
  return parameters;
}

template <class T>
void Policy<T>::normalize(const T* parameters, const float* observation, T* out) const {
  const int n = spec_.observation_size;
  if (!spec_.normalize_observation) {
    for (int k = 0; k < n; ++k) out[k] = observation[k];
    return;
  }
  const T* mean = parameters + mean_;
  const T* scale = parameters + scale_;
  for (int k = 0; k < n; ++k) {
    out[k] = std::clamp((observation[k] - mean[k]) * scale[k], T(-kObservationClip), T(kObservationClip));
  }
}

template class Policy<float>;
template class Policy<double>;

}  // namespace mobula::rl::nn
