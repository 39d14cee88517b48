#include "rl/algos/sac/gradient.h"

#include <algorithm>
#include <cmath>

namespace mobula::rl {
namespace {

constexpr int kLd = nn::kBlockRows;
constexpr double kEpsilon = 1e-6;

template <class T>
T within(T x, double low, double high, T& passes) {
  const T held = std::clamp(x, static_cast<T>(low), static_cast<T>(high));
  passes = held == x ? T(1) : T(0);
  return held;
}

}  // namespace

template <class T>
SacGradient<T>::Block::Block(const SacGradient& of)
    : workspace(of.actor_.net().make_workspace()),
      head(static_cast<std::size_t>(kLd) * 2 * of.dimensions_),
      passes(head.size(), T(1)),
      normal(static_cast<std::size_t>(kLd) * of.dimensions_),
      u(normal.size()) {}

template <class T>
SacGradient<T>::SacGradient(const nn::PolicySpec& spec, SquashCorrection correction)
    : width_(spec.observation_size),
      dimensions_(spec.action.dimensions),
      actor_(spec),
      critics_(width_ + dimensions_, spec.hidden, 1, spec.activation),
      distribution_(dimensions_, correction == SquashCorrection::exact ? 0 : kEpsilon),
      next_(*this),
      y_(static_cast<std::size_t>(kLd) * dimensions_),
      d_y_(y_.size()),
      d_head_(2 * y_.size()),
      actor_gradient_(actor_.size()) {
  if (!actor_.state_noise()) return;
  state_noise_.emplace(spec.hidden.back(), dimensions_);
  d_features_.resize(static_cast<std::size_t>(kLd) * actor_.feature_width());
}

template <class T>
void SacGradient<T>::forward(const T* actor, const T* observations, int rows, Block& block) const {
  T* mean = block.head.data();
  T* log_std = mean + y_.size();
  actor_.net().forward(actor, observations, width_, rows, block.workspace, mean, kLd);
  if (!state_noise_) {
    for (int d = 0; d < dimensions_; ++d) {
      for (int k = d * kLd; k < d * kLd + rows; ++k) {
        log_std[k] = within(log_std[k], nn::kLogStdLow, nn::kLogStdHigh, block.passes[y_.size() + k]);
      }
    }
    return;
  }
  state_noise_->variances(actor_.net().features(block.workspace), actor_.feature_width(), rows, log_std, kLd);
  for (int d = 0; d < dimensions_; ++d) {
    for (int k = d * kLd; k < d * kLd + rows; ++k) {
      mean[k] = within(mean[k], -nn::kMeanLimit, nn::kMeanLimit, block.passes[k]);
      log_std[k] = T(0.5) * std::log(log_std[k]);
    }
  }
}

template <class T>
void SacGradient<T>::sample(Block& block, const T* noise, int rows, T* actions, T* log_probs) {
  for (int r = 0; r < rows; ++r) {
    for (int d = 0; d < dimensions_; ++d) block.normal[d * kLd + r] = noise[r * dimensions_ + d];
  }
  alignas(64) T log_prob[kLd];
  for (int r = 0; r < rows; r += nn::kLanes<T>) {
    distribution_.assign(block.head.data() + r, kLd, block.head.data() + y_.size() + r, kLd);
    distribution_.sample(block.normal.data() + r, block.u.data() + r, y_.data() + r, kLd);
    nn::store(log_prob + r, distribution_.log_prob_of_sample(block.normal.data() + r, block.u.data() + r, kLd));
  }
  std::copy_n(log_prob, rows, log_probs);
  for (int r = 0; r < rows; ++r) {
    for (int d = 0; d < dimensions_; ++d) actions[r * dimensions_ + d] = y_[d * kLd + r];
  }
}

template <class T>
void SacGradient<T>::backward(const Block& block, const T* d_actions, int rows, T scale, T d_log_prob) {
  const T* log_std = block.head.data() + y_.size();
  for (int r = 0; r < rows; ++r) {
    for (int d = 0; d < dimensions_; ++d) d_y_[d * kLd + r] = scale * d_actions[r * dimensions_ + d];
  }
  for (int r = 0; r < rows; r += nn::kLanes<T>) {
    distribution_.assign(block.head.data() + r, kLd, log_std + r, kLd);
    distribution_.reparameterized_gradient(block.normal.data() + r, block.u.data() + r, d_y_.data() + r, kLd,
                                           nn::splat(d_log_prob), d_head_.data() + r, d_head_.data() + y_.size() + r,
                                           kLd);
  }
  for (std::size_t k = 0; k < d_head_.size(); ++k) d_head_[k] *= block.passes[k];
  if (!state_noise_) return;
  T* d_v = d_head_.data() + y_.size();
  for (int d = 0; d < dimensions_; ++d) {
    for (int k = d * kLd; k < d * kLd + rows; ++k) d_v[k] *= T(0.5) * std::exp(T(-2) * log_std[k]);
  }
  const T* features = actor_.net().features(block.workspace);
  state_noise_->gradient(features, actor_.feature_width(), rows, d_v, kLd,
                         actor_gradient_.data() + actor_.log_std_offset());
  state_noise_->feature_gradient(features, actor_.feature_width(), rows, d_v, kLd, d_features_.data());
}

template <class T>
void SacGradient<T>::act(const T* actor, std::span<const T> observations, std::span<const T> noise) {
  const int rows = static_cast<int>(observations.size()) / width_;
  actions_.resize(noise.size());
  log_probs_.resize(static_cast<std::size_t>(rows));
  if (state_noise_) state_noise_->set_log_std(actor + actor_.log_std_offset());
  for (int first = 0, b = 0; first < rows; first += kLd, ++b) {
    const int count = std::min(kLd, rows - first);
    if (static_cast<int>(blocks_.size()) == b) blocks_.emplace_back(*this);
    forward(actor, rows_from(observations, first, width_), count, blocks_[b]);
    sample(blocks_[b], rows_from(noise, first, dimensions_), count, actions_.data() + first * dimensions_,
           log_probs_.data() + first);
  }
}

template <class T>
void SacGradient<T>::join(std::span<const T> observations, const T* actions, int rows) {
  const int width = width_ + dimensions_;
  inputs_.resize(static_cast<std::size_t>(rows) * width);
  for (int r = 0; r < rows; ++r) {
    T* row = inputs_.data() + static_cast<std::ptrdiff_t>(r) * width;
    std::copy_n(rows_from(observations, r, width_), width_, row);
    std::copy_n(actions + static_cast<std::ptrdiff_t>(r) * dimensions_, dimensions_, row + width_);
  }
}

template <class T>
CriticFit SacGradient<T>::fit(const T* actor, const T* critics, const T* target_critics,
                              const TransitionBatch<T>& batch, std::span<const T> next_noise, T alpha) {
  const int rows = batch.rows();
  next_actions_.resize(next_noise.size());
  next_log_probs_.resize(static_cast<std::size_t>(rows));
  values_.resize(static_cast<std::size_t>(rows));
  targets_.resize(static_cast<std::size_t>(rows));
  if (state_noise_) state_noise_->set_log_std(actor + actor_.log_std_offset());
  for (int first = 0; first < rows; first += kLd) {
    const int count = std::min(kLd, rows - first);
    forward(actor, rows_from(batch.next_observations, first, width_), count, next_);
    sample(next_, rows_from(next_noise, first, dimensions_), count, next_actions_.data() + first * dimensions_,
           next_log_probs_.data() + first);
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
  double loss = 0;
  for (int r = 0; r < rows; ++r) loss += static_cast<double>(alpha * log_probs_[r] - values_[r]);
  std::fill(actor_gradient_.begin(), actor_gradient_.end(), T(0));
  actor_.net().prepare_backward(actor, blocks_[0].workspace);
  for (int first = 0, b = 0; first < rows; first += kLd, ++b) {
    const int count = std::min(kLd, rows - first);
    backward(blocks_[b], rows_from(d_actions_, first, dimensions_), count, -share, share * alpha);
    if (b > 0) blocks_[b].workspace.swap_prepared(blocks_[b - 1].workspace);
    actor_.net().backward(actor, rows_from(observations, first, width_), width_, count, blocks_[b].workspace,
                          d_head_.data(), kLd, actor_gradient_.data(), nullptr, 0,
                          state_noise_ ? d_features_.data() : nullptr);
  }
  return loss / rows;
}

template class SacGradient<float>;
template class SacGradient<double>;

}  // namespace mobula::rl
