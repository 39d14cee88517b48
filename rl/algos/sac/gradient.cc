#include "rl/algos/sac/gradient.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace mobula::rl {
namespace {

constexpr int kLd = nn::kBlockRows;
constexpr double kLogRootTwoPi = 0.91893853320467274178;
constexpr double kEpsilon = 1e-6;

template <class T>
T held(T log_std) {
  return std::clamp(log_std, static_cast<T>(nn::kLogStdLow), static_cast<T>(nn::kLogStdHigh));
}

template <class T>
T softplus(T x) {
  return std::max(x, T(0)) + std::log1p(std::exp(-std::abs(x)));
}

// 1 - tanh(u)^2, with all its digits however close tanh(u) is to 1: the difference itself has lost most of them in
// float, and its logarithm with them.
template <class T>
T slope_of_tanh(T u) {
  const T e = std::exp(T(-2) * std::abs(u));
  return T(4) * e / ((T(1) + e) * (T(1) + e));
}

}  // namespace

template <class T>
SacGradient<T>::SacGradient(const nn::PolicySpec& spec, SquashCorrection correction)
    : correction_(correction),
      width_(spec.observation_size),
      dimensions_(spec.action.dimensions),
      actor_(spec),
      critics_(width_ + dimensions_, spec.hidden, 1, spec.activation),
      next_workspace_(actor_.net().make_workspace()),
      next_head_(static_cast<std::size_t>(kLd) * actor_.outputs()),
      d_head_(next_head_.size()),
      actor_gradient_(actor_.size()) {}

template <class T>
void SacGradient<T>::sample(const T* head, const T* noise, int rows, T* actions, T* slopes, T* log_probs) const {
  for (int r = 0; r < rows; ++r) {
    T log_prob = 0;
    for (int d = 0; d < dimensions_; ++d) {
      const T n = noise[r * dimensions_ + d];
      const T log_std = held(head[(dimensions_ + d) * kLd + r]);
      const T u = head[d * kLd + r] + std::exp(log_std) * n;
      const T slope = slope_of_tanh(u);
      actions[r * dimensions_ + d] = std::tanh(u);
      slopes[r * dimensions_ + d] = slope;
      const T correction = correction_ == SquashCorrection::exact
                               ? T(2) * (static_cast<T>(std::numbers::ln2) - u - softplus(T(-2) * u))
                               : std::log(slope + static_cast<T>(kEpsilon));
      log_prob += T(-0.5) * n * n - log_std - static_cast<T>(kLogRootTwoPi) - correction;
    }
    log_probs[r] = log_prob;
  }
}

template <class T>
void SacGradient<T>::act(const T* actor, std::span<const T> observations, std::span<const T> noise) {
  const int rows = static_cast<int>(observations.size()) / width_;
  const int blocks = (rows + kLd - 1) / kLd;
  while (static_cast<int>(workspaces_.size()) < blocks) workspaces_.push_back(actor_.net().make_workspace());
  heads_.resize(static_cast<std::size_t>(blocks) * kLd * actor_.outputs());
  noise_.assign(noise.begin(), noise.end());
  actions_.resize(noise.size());
  slopes_.resize(noise.size());
  log_probs_.resize(static_cast<std::size_t>(rows));
  for (int b = 0; b < blocks; ++b) {
    const int first = b * kLd, count = std::min(kLd, rows - first);
    actor_.net().forward(actor, observations.data() + static_cast<std::ptrdiff_t>(first) * width_, width_, count,
                         workspaces_[b], head(b), kLd);
    sample(head(b), noise_.data() + static_cast<std::ptrdiff_t>(first) * dimensions_, count,
           actions_.data() + static_cast<std::ptrdiff_t>(first) * dimensions_,
           slopes_.data() + static_cast<std::ptrdiff_t>(first) * dimensions_, log_probs_.data() + first);
  }
}

template <class T>
void SacGradient<T>::join(std::span<const T> observations, const T* actions, int rows) {
  const int width = width_ + dimensions_;
  inputs_.resize(static_cast<std::size_t>(rows) * width);
  for (int r = 0; r < rows; ++r) {
    T* row = inputs_.data() + static_cast<std::ptrdiff_t>(r) * width;
    std::copy_n(observations.data() + static_cast<std::ptrdiff_t>(r) * width_, width_, row);
    std::copy_n(actions + static_cast<std::ptrdiff_t>(r) * dimensions_, dimensions_, row + width_);
  }
}

template <class T>
CriticFit SacGradient<T>::fit(const T* actor, const T* critics, const T* target_critics,
                              const TransitionBatch<T>& batch, std::span<const T> next_noise, T alpha) {
  const int rows = batch.rows();
  next_actions_.resize(next_noise.size());
  next_slopes_.resize(next_noise.size());
  next_log_probs_.resize(static_cast<std::size_t>(rows));
  values_.resize(static_cast<std::size_t>(rows));
  targets_.resize(static_cast<std::size_t>(rows));
  for (int first = 0; first < rows; first += kLd) {
    const int count = std::min(kLd, rows - first);
    actor_.net().forward(actor, batch.next_observations.data() + static_cast<std::ptrdiff_t>(first) * width_, width_,
                         count, next_workspace_, next_head_.data(), kLd);
    sample(next_head_.data(), next_noise.data() + static_cast<std::ptrdiff_t>(first) * dimensions_, count,
           next_actions_.data() + static_cast<std::ptrdiff_t>(first) * dimensions_,
           next_slopes_.data() + static_cast<std::ptrdiff_t>(first) * dimensions_, next_log_probs_.data() + first);
  }
  join(batch.next_observations, next_actions_.data(), rows);
  critics_.smaller(target_critics, inputs_.data(), rows, values_.data());
  for (int r = 0; r < rows; ++r) {
    targets_[r] = batch.rewards[r] + batch.discounts[r] * (values_[r] - alpha * next_log_probs_[r]);
  }
  join(batch.observations, batch.actions.data(), rows);
  return critics_.fit(critics, inputs_.data(), nullptr, targets_.data(), rows, 0.5);
}

template <class T>
double SacGradient<T>::policy(const T* actor, const T* critics, std::span<const T> observations, T alpha) {
  const int rows = static_cast<int>(log_probs_.size());
  const T share = T(1) / static_cast<T>(rows);
  d_actions_.resize(actions_.size());
  values_.resize(static_cast<std::size_t>(rows));
  join(observations, actions_.data(), rows);
  critics_.slope(critics, inputs_.data(), rows, true, width_, dimensions_, values_.data(), d_actions_.data());
  std::fill(actor_gradient_.begin(), actor_gradient_.end(), T(0));
  actor_.net().prepare_backward(actor, workspaces_[0]);
  double loss = 0;
  for (int first = 0, b = 0; first < rows; first += kLd, ++b) {
    const int count = std::min(kLd, rows - first);
    for (int r = 0; r < count; ++r) {
      loss += static_cast<double>(alpha * log_probs_[first + r] - values_[first + r]);
      for (int d = 0; d < dimensions_; ++d) {
        const std::size_t at = static_cast<std::size_t>(first + r) * dimensions_ + d;
        const T a = actions_[at], slope = slopes_[at];  // of tanh
        const T raw = head(b)[(dimensions_ + d) * kLd + r];
        // of log pi with respect to u, through the correction
        const T d_log_prob =
            correction_ == SquashCorrection::exact ? T(2) * a : T(2) * a * slope / (slope + static_cast<T>(kEpsilon));
        const T d_u = alpha * d_log_prob - d_actions_[at] * slope;
        d_head_[d * kLd + r] = share * d_u;
        const bool held_back = raw < static_cast<T>(nn::kLogStdLow) || raw > static_cast<T>(nn::kLogStdHigh);
        d_head_[(dimensions_ + d) * kLd + r] =
            held_back ? T(0) : share * (d_u * std::exp(held(raw)) * noise_[at] - alpha);
      }
    }
    if (b > 0) workspaces_[b].swap_prepared(workspaces_[b - 1]);
    actor_.net().backward(actor, observations.data() + static_cast<std::ptrdiff_t>(first) * width_, width_, count,
                          workspaces_[b], d_head_.data(), kLd, actor_gradient_.data());
  }
  return loss / rows;
}

template class SacGradient<float>;
template class SacGradient<double>;

}  // namespace mobula::rl
