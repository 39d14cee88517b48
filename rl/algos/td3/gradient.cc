#include "rl/algos/td3/gradient.h"

#include <algorithm>
#include <cmath>

namespace mobula::rl {
namespace {

constexpr int kLd = nn::kBlockRows;

}  // namespace

template <class T>
Td3Gradient<T>::Td3Gradient(const nn::PolicySpec& spec)
    : width_(spec.observation_size),
      dimensions_(spec.action.dimensions),
      actor_(spec),
      critics_(width_ + dimensions_, spec.hidden, 1, spec.activation),
      workspace_(actor_.net().make_workspace()),
      head_(static_cast<std::size_t>(kLd) * dimensions_),
      d_head_(head_.size()),
      actor_gradient_(actor_.size()) {}

// Rows of observation and action, to `inputs`; leaves the activations of the last block in the workspace.
template <class T>
void Td3Gradient<T>::act(const T* actor, const T* observations, int rows, const T* noise, T* inputs) {
  const int width = width_ + dimensions_;
  for (int first = 0; first < rows; first += kLd) {
    const int count = std::min(kLd, rows - first);
    const T* of_block = observations + static_cast<std::ptrdiff_t>(first) * width_;
    actor_.net().forward(actor, of_block, width_, count, workspace_, head_.data(), kLd);
    for (int r = 0; r < count; ++r) {
      T* row = inputs + static_cast<std::ptrdiff_t>(first + r) * width;
      std::copy_n(of_block + static_cast<std::ptrdiff_t>(r) * width_, width_, row);
      for (int d = 0; d < dimensions_; ++d) {
        const T action = std::tanh(head_[d * kLd + r]);
        row[width_ + d] = noise ? std::clamp(action + noise[(first + r) * dimensions_ + d], T(-1), T(1)) : action;
      }
    }
  }
}

template <class T>
CriticFit Td3Gradient<T>::fit(const T* target_actor, const T* critics, const T* target_critics,
                              const TransitionBatch<T>& batch, std::span<const T> next_noise) {
  const int rows = batch.rows(), width = width_ + dimensions_;
  inputs_.resize(static_cast<std::size_t>(rows) * width);
  values_.resize(static_cast<std::size_t>(rows));
  targets_.resize(static_cast<std::size_t>(rows));
  act(target_actor, batch.next_observations.data(), rows, next_noise.data(), inputs_.data());
  critics_.smaller(target_critics, inputs_.data(), rows, values_.data());
  for (int r = 0; r < rows; ++r) {
    targets_[r] = batch.rewards[r] + batch.discounts[r] * values_[r];
    T* row = inputs_.data() + static_cast<std::ptrdiff_t>(r) * width;
    std::copy_n(batch.observations.data() + static_cast<std::ptrdiff_t>(r) * width_, width_, row);
    std::copy_n(batch.actions.data() + static_cast<std::ptrdiff_t>(r) * dimensions_, dimensions_, row + width_);
  }
  return critics_.fit(critics, inputs_.data(), nullptr, targets_.data(), rows, 1.0);
}

template <class T>
double Td3Gradient<T>::policy(const T* actor, const T* critics, std::span<const T> observations) {
  const int rows = static_cast<int>(observations.size()) / width_, width = width_ + dimensions_;
  const T share = T(1) / static_cast<T>(rows);
  inputs_.resize(static_cast<std::size_t>(rows) * width);
  d_actions_.resize(static_cast<std::size_t>(rows) * dimensions_);
  values_.resize(static_cast<std::size_t>(rows));
  std::fill(actor_gradient_.begin(), actor_gradient_.end(), T(0));
  actor_.net().prepare_backward(actor, workspace_);
  double loss = 0;
  // Block by block, so that the activations of the actor are still there.
  for (int first = 0; first < rows; first += kLd) {
    const int count = std::min(kLd, rows - first);
    const T* of_block = observations.data() + static_cast<std::ptrdiff_t>(first) * width_;
    act(actor, of_block, count, nullptr, inputs_.data());
    critics_.slope(critics, inputs_.data(), count, false, width_, dimensions_, values_.data(), d_actions_.data());
    for (int r = 0; r < count; ++r) {
      loss -= static_cast<double>(values_[r]);
      for (int d = 0; d < dimensions_; ++d) {
        const T action = inputs_[static_cast<std::size_t>(r) * width + width_ + d];
        d_head_[d * kLd + r] =
            -share * d_actions_[static_cast<std::size_t>(r) * dimensions_ + d] * (T(1) - action * action);
      }
    }
    actor_.net().backward(actor, of_block, width_, count, workspace_, d_head_.data(), kLd, actor_gradient_.data());
  }
  return loss / rows;
}

template class Td3Gradient<float>;
template class Td3Gradient<double>;

}  // namespace mobula::rl
