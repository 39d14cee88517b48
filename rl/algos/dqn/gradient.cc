#include "rl/algos/dqn/gradient.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace mobula::rl {
namespace {

constexpr int kLd = nn::kBlockRows;

}  // namespace

template <class T>
DqnGradient<T>::DqnGradient(const nn::ActionValues<T>& values)
    : values_(values),
      workspace_(values.net().make_workspace()),
      outputs_(static_cast<std::size_t>(kLd) * values.outputs()),
      components_(static_cast<std::size_t>(kLd) * values.components()),
      next_(components_.size()),
      expected_(static_cast<std::size_t>(kLd) * values.actions()),
      d_components_(components_.size()),
      d_outputs_(outputs_.size()),
      gradient_(values.size()),
      projected_(static_cast<std::size_t>(values.spec().atoms)),
      best_(kLd) {}

template <class T>
DqnLossStats DqnGradient<T>::compute(const T* online, const T* target, const TransitionBatch<T>& batch,
                                     const DqnLoss& loss) {
  std::fill(gradient_.begin(), gradient_.end(), T(0));
  errors_.resize(static_cast<std::size_t>(batch.rows()));
  values_.net().prepare_backward(online, workspace_);
  DqnLossStats stats;
  for (int first = 0; first < batch.rows(); first += kLd) {
    block(online, target, batch, first, std::min(kLd, batch.rows() - first), loss, stats);
  }
  stats.loss /= batch.rows();
  stats.q_mean /= batch.rows();
  return stats;
}

template <class T>
void DqnGradient<T>::look_ahead(const T* online, const T* target, const TransitionBatch<T>& batch, int first, int rows,
                                bool double_q) {
  const int width = values_.spec().observation_size, actions = values_.actions();
  const T* observations = batch.next_observations.data() + static_cast<std::size_t>(first) * width;
  const auto pass = [&](const T* parameters, nn::AlignedVector<T>& components) {
    values_.net().forward(parameters, observations, width, rows, workspace_, outputs_.data(), kLd);
    values_.combine(outputs_.data(), rows, components.data());
  };
  pass(target, next_);
  if (double_q) pass(online, components_);
  values_.expect(double_q ? components_.data() : next_.data(), rows, expected_.data());
  for (int r = 0; r < rows; ++r) {
    const std::uint8_t* mask =
        batch.next_masks.empty() ? nullptr : batch.next_masks.data() + static_cast<std::size_t>(first + r) * actions;
    best_[r] = nn::best_action(expected_.data(), actions, r, mask);
  }
}

template <class T>
void DqnGradient<T>::block(const T* online, const T* target, const TransitionBatch<T>& batch, int first, int rows,
                           const DqnLoss& loss, DqnLossStats& stats) {
  look_ahead(online, target, batch, first, rows, loss.double_q);
  const auto& spec = values_.spec();
  const int width = spec.observation_size;
  const T* observations = batch.observations.data() + static_cast<std::size_t>(first) * width;
  values_.net().forward(online, observations, width, rows, workspace_, outputs_.data(), kLd);
  values_.combine(outputs_.data(), rows, components_.data());
  values_.expect(components_.data(), rows, expected_.data());
  std::fill(d_components_.begin(), d_components_.end(), T(0));
  for (int r = 0; r < rows; ++r) {
    const int action = static_cast<int>(batch.actions[first + r]);
    const T reward = batch.rewards[first + r], discount = batch.discounts[first + r];
    const T weight = batch.weights[first + r];
    const T scale = weight / static_cast<T>(batch.rows());
    T value;
    if (values_.categorical()) {
      value = categorical_loss(r, action, reward, discount, scale);
      errors_[first + r] = static_cast<float>(value);
    } else if (spec.atoms > 1) {
      value = quantile_loss(r, action, reward, discount, scale);
      T mean = 0;
      for (int k = 0; k < spec.atoms; ++k) mean += component(next_, best_[r], r)[k * kLd];
      errors_[first + r] = static_cast<float>(
          std::abs(expected_[action * kLd + r] - reward - discount * mean / static_cast<T>(spec.atoms)));
    } else {
      value = scalar_loss(r, action, reward, discount, scale, loss.huber);
      errors_[first + r] = static_cast<float>(
          std::abs(*component(components_, action, r) - reward - discount * *component(next_, best_[r], r)));
    }
    stats.loss += static_cast<double>(weight) * static_cast<double>(value);
    stats.q_mean += expected_[action * kLd + r];
  }
  values_.combine_gradient(d_components_.data(), rows, d_outputs_.data());
  values_.net().backward(online, observations, width, rows, workspace_, d_outputs_.data(), kLd, gradient_.data());
}

// Each returns the loss of the row and writes its gradient, times scale, to d_components_.

template <class T>
T DqnGradient<T>::scalar_loss(int r, int action, T reward, T discount, T scale, bool huber) {
  const T error = *component(components_, action, r) - (reward + discount * *component(next_, best_[r], r));
  if (!huber) {
    *component(d_components_, action, r) = T(2) * error * scale;
    return error * error;
  }
  *component(d_components_, action, r) = std::clamp(error, T(-1), T(1)) * scale;
  const T size = std::abs(error);
  return size < T(1) ? T(0.5) * error * error : size - T(0.5);
}

template <class T>
T DqnGradient<T>::quantile_loss(int r, int action, T reward, T discount, T scale) {
  const int n = values_.spec().atoms;
  const T* current = component(components_, action, r);
  const T* next = component(next_, best_[r], r);
  T* d = component(d_components_, action, r);
  T loss = 0;
  for (int i = 0; i < n; ++i) {
    const T tau = (static_cast<T>(i) + T(0.5)) / static_cast<T>(n);
    T gradient = 0;
    for (int j = 0; j < n; ++j) {
      const T delta = reward + discount * next[j * kLd] - current[i * kLd];
      const T side = std::abs(tau - (delta < T(0) ? T(1) : T(0)));
      const T size = std::abs(delta);
      loss += side * (size > T(1) ? size - T(0.5) : T(0.5) * delta * delta);
      gradient -= side * std::clamp(delta, T(-1), T(1));
    }
    d[i * kLd] = gradient / static_cast<T>(n) * scale;
  }
  return loss / static_cast<T>(n);
}

template <class T>
T DqnGradient<T>::categorical_loss(int r, int action, T reward, T discount, T scale) {
  const int n = values_.spec().atoms;
  const auto softmax = [](const T* logits, int k, T top, T sum) { return std::exp(logits[k * kLd] - top) / sum; };
  const auto normalizer = [n](const T* logits) {
    T top = logits[0], sum = 0;
    for (int k = 1; k < n; ++k) top = std::max(top, logits[k * kLd]);
    for (int k = 0; k < n; ++k) sum += std::exp(logits[k * kLd] - top);
    return std::pair(top, sum);
  };
  const T* next = component(next_, best_[r], r);
  const auto [next_top, next_sum] = normalizer(next);
  const T low = static_cast<T>(values_.spec().v_min), high = static_cast<T>(values_.spec().v_max);
  const T step = (high - low) / static_cast<T>(n - 1);
  std::fill(projected_.begin(), projected_.end(), T(0));
  for (int k = 0; k < n; ++k) {
    const T value = std::clamp(reward + discount * static_cast<T>(values_.atom(k)), low, high);
    const T place = std::clamp((value - low) / step, T(0), static_cast<T>(n - 1));
    const int below = static_cast<int>(place);
    const T above = place - static_cast<T>(below);
    const T p = softmax(next, k, next_top, next_sum);
    projected_[below] += p * (T(1) - above);
    if (above > T(0)) projected_[below + 1] += p * above;
  }
  const T* logits = component(components_, action, r);
  T* d = component(d_components_, action, r);
  const auto [top, sum] = normalizer(logits);
  T loss = 0;
  for (int k = 0; k < n; ++k) {
    loss -= projected_[k] * (logits[k * kLd] - top - std::log(sum));
    d[k * kLd] = (softmax(logits, k, top, sum) - projected_[k]) * scale;
  }
  return loss;
}

template class DqnGradient<float>;
template class DqnGradient<double>;

}  // namespace mobula::rl
