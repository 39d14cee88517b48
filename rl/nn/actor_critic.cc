#include "rl/nn/actor_critic.h"

#include <algorithm>
#include <cmath>

#include "rl/nn/own_network.h"
#include "rl/nn/squashed.h"

namespace mobula::rl::nn {
namespace {

constexpr int kLd = kBlockRows;  // component-major tables of a block

}  // namespace

ActorCritic::ActorCritic(const PolicySpec& spec)
    : policy_(spec),
      rows_(static_cast<std::size_t>(kBlockRows) * spec.observation_size),
      looked_at_(static_cast<std::size_t>(kBlockRows) * policy_.state_size()),
      head_(static_cast<std::size_t>(kLd) *
            (policy_.own_network() ? spec.action.head_size() : policy_.actor().shape().outputs)),
      value_(kLd),
      chosen_(static_cast<std::size_t>(kLd) * 2 * spec.action.dimensions),
      categorical_(spec.action.sizes),
      gaussian_(spec.action.dimensions),
      spread_(spec.action.dimensions) {
  if (policy_.continuous() && spec.state_dependent_noise) {
    state_noise_.emplace(spec.hidden.back(), spec.action.dimensions);
    variances_.assign(static_cast<std::size_t>(kLd) * spec.action.dimensions, 1.0f);
  }
  if (policy_.own_network()) {
    own_heads_.resize(head_.size());
    return;
  }
  actor_workspace_ = policy_.actor().make_workspace();
  if (policy_.has_critic()) critic_workspace_ = policy_.critic().make_workspace();
  if (const auto* memory = policy_.actor_memory()) {
    actor_rows_.resize(static_cast<std::size_t>(kBlockRows) * memory->width());
    critic_rows_.resize(actor_rows_.size());
  }
}

// Leaves head_ (and value_) for `rows` rows; lanes past them hold finite leftovers of earlier blocks.
void ActorCritic::forward(const float* parameters, const float* observations, const std::uint8_t* masks, int first,
                          int rows, bool act, bool value) {
  const int width = policy_.spec().observation_size;
  for (int r = 0; r < rows; ++r) policy_.normalize(parameters, observations + r * width, rows_.data() + r * width);
  if (OwnNetwork* own = policy_.own_network()) {
    const int outputs = policy_.spec().action.head_size();
    own->forward(parameters, policy_.own_offsets(), rows_.data(), rows, own_heads_.data(), value_.data());
    for (int r = 0; r < rows; ++r) {
      for (int c = 0; c < outputs; ++c) head_[c * kLd + r] = own_heads_[r * outputs + c];
    }
    if (masks) mask_logits(head_.data(), kLd, rows, outputs, masks);
    return;
  }
  const float* actor_in = rows_.data();
  const float* critic_in = rows_.data();
  std::ptrdiff_t ld = width;
  const bool shared = policy_.shared();
  if (const auto* memory = policy_.actor_memory()) {
    const int size = policy_.state_size();
    float* states = states_.data() + static_cast<std::size_t>(first) * size;
    if (!act) {  // a look ahead
      std::copy_n(states, static_cast<std::size_t>(rows) * size, looked_at_.data());
      states = looked_at_.data();
    }
    if (act || shared) {
      memory->forward(parameters, rows_.data(), width, 1, rows, nullptr, states, size, memory_workspace_,
                      actor_rows_.data());
    }
    if (value && policy_.critic_memory()) {
      policy_.critic_memory()->forward(parameters, rows_.data(), width, 1, rows, nullptr, states + memory->state_size(),
                                       size, memory_workspace_, critic_rows_.data());
    }
    actor_in = actor_rows_.data();
    critic_in = critic_rows_.data();
    ld = memory->width();
  }
  if (act || shared) {
    policy_.actor().forward(parameters, actor_in, ld, rows, actor_workspace_, head_.data(), kLd);
    if (shared) std::copy_n(head_.data() + head_.size() - kLd, rows, value_.data());
    if (masks) mask_logits(head_.data(), kLd, rows, policy_.spec().action.head_size(), masks);
  }
  if (value && !shared) {
    policy_.critic().forward(parameters, critic_in, ld, rows, critic_workspace_, value_.data(), kLd);
  }
}

void ActorCritic::give(int rows, float* actions) const {
  const PolicySpec& spec = policy_.spec();
  const int dimensions = spec.action.dimensions;
  const bool squash = spec.squash_output && policy_.continuous();
  for (int r = 0; r < rows; ++r) {
    for (int d = 0; d < dimensions; ++d) {
      const float x = chosen_[d * kLd + r];
      actions[r * dimensions + d] = squash ? from_unit(spec.action, std::tanh(x)) : x;
    }
  }
}

void ActorCritic::draw_noise(std::span<Random> random) {
  if (state_noise_) state_noise_->draw(random);
}

void ActorCritic::sample(std::span<const float> parameters, std::span<const float> observations,
                         std::span<const std::uint8_t> masks, std::span<Random> random, const Exploration&,
                         float* actions, float* log_probs, float* values) {
  const int width = policy_.spec().observation_size;
  const int dimensions = policy_.spec().action.dimensions;
  const int mask_size = policy_.spec().action.head_size();
  const int total = static_cast<int>(random.size());
  float* noise = chosen_.data() + kLd * dimensions;
  if (state_noise_) {
    state_noise_->begin(parameters.data() + policy_.log_std_offset(), random.size());
  } else if (policy_.continuous()) {
    gaussian_.set_log_std(parameters.data() + policy_.log_std_offset());
  }
  for (int first = 0; first < total; first += kBlockRows) {
    const int rows = std::min(kBlockRows, total - first);
    forward(parameters.data(), observations.data() + static_cast<std::size_t>(first) * width,
            masks.empty() ? nullptr : masks.data() + static_cast<std::size_t>(first) * mask_size, first, rows, true,
            values != nullptr);
    const int width_of_features = state_noise_ ? padded(policy_.spec().hidden.back()) : 0;
    const float* features = state_noise_ ? policy_.actor().features(actor_workspace_) : nullptr;
    if (state_noise_) state_noise_->variances(features, width_of_features, rows, variances_.data(), kLd);
    for (int r = 0; r < rows; ++r) {
      for (int d = 0; d < dimensions; ++d) {
        if (state_noise_) {
          chosen_[d * kLd + r] =
              head_[d * kLd + r] + state_noise_->shift(features + static_cast<std::ptrdiff_t>(r) * width_of_features,
                                                       variances_[d * kLd + r], static_cast<std::size_t>(first) + r, d,
                                                       random[first + r]);
          continue;
        }
        noise[d * kLd + r] =
            policy_.continuous() ? static_cast<float>(random[first + r].normal()) : random[first + r].uniform_float();
      }
    }
    alignas(64) float log_prob[kLd];
    for (int r = 0; r < rows; r += kLanes<float>) {
      const auto draw = [&](auto& distribution) {
        distribution.assign(head_.data() + r, kLd);
        distribution.sample(noise + r, chosen_.data() + r, kLd);
        if (log_probs) store(log_prob + r, distribution.log_prob_of(chosen_.data() + r, kLd));
      };
      if (state_noise_) {
        spread_.assign(head_.data() + r, variances_.data() + r, kLd);
        if (log_probs) store(log_prob + r, spread_.log_prob_of(chosen_.data() + r, kLd));
      } else {
        policy_.continuous() ? draw(gaussian_) : draw(categorical_);
      }
    }
    give(rows, actions + static_cast<std::size_t>(first) * dimensions);
    if (log_probs) std::copy_n(log_prob, rows, log_probs + first);
    if (values) std::copy_n(value_.data(), rows, values + first);
  }
}

void ActorCritic::mode(std::span<const float> parameters, std::span<const float> observations,
                       std::span<const std::uint8_t> masks, float* actions) {
  const int width = policy_.spec().observation_size;
  const int dimensions = policy_.spec().action.dimensions;
  const int mask_size = policy_.spec().action.head_size();
  const int total = static_cast<int>(observations.size()) / width;
  for (int first = 0; first < total; first += kBlockRows) {
    const int rows = std::min(kBlockRows, total - first);
    forward(parameters.data(), observations.data() + static_cast<std::size_t>(first) * width,
            masks.empty() ? nullptr : masks.data() + static_cast<std::size_t>(first) * mask_size, first, rows, true,
            false);
    for (int r = 0; r < rows; r += kLanes<float>) {
      if (policy_.continuous()) {
        gaussian_.assign(head_.data() + r, kLd);
        gaussian_.mode(chosen_.data() + r, kLd);
      } else {
        categorical_.assign(head_.data() + r, kLd);
        categorical_.mode(chosen_.data() + r, kLd);
      }
    }
    give(rows, actions + static_cast<std::size_t>(first) * dimensions);
  }
}

void ActorCritic::values(std::span<const float> parameters, std::span<const float> observations, float* values) {
  const int width = policy_.spec().observation_size;
  const int total = static_cast<int>(observations.size()) / width;
  for (int first = 0; first < total; first += kBlockRows) {
    const int rows = std::min(kBlockRows, total - first);
    forward(parameters.data(), observations.data() + static_cast<std::size_t>(first) * width, nullptr, first, rows,
            false, true);
    std::copy_n(value_.data(), rows, values + first);
  }
}

}  // namespace mobula::rl::nn
