#include "rl/algos/sac/discrete.h"

#include <algorithm>
#include <cmath>

namespace mobula::rl {
namespace {

constexpr int kLd = nn::kBlockRows;

}  // namespace

template <class T>
DiscreteSacGradient<T>::DiscreteSacGradient(const nn::PolicySpec& spec)
    : width_(spec.observation_size),
      actions_(spec.action.head_size()),
      actor_(spec),
      critics_(width_, spec.hidden, actions_, spec.activation),
      workspace_(actor_.net().make_workspace()),
      logits_(static_cast<std::size_t>(kLd) * actions_),
      d_logits_(logits_.size()),
      actor_gradient_(actor_.size()),
      prob_(logits_.size()),
      log_prob_(logits_.size()) {}

template <class T>
void DiscreteSacGradient<T>::distribution(const T* actor, const T* observations, int rows) {
  actor_.net().forward(actor, observations, width_, rows, workspace_, logits_.data(), kLd);
  for (int r = 0; r < rows; ++r) {
    T top = logits_[r], sum = 0;
    for (int a = 1; a < actions_; ++a) top = std::max(top, logits_[a * kLd + r]);
    for (int a = 0; a < actions_; ++a) sum += std::exp(logits_[a * kLd + r] - top);
    const T log_sum = top + std::log(sum);
    for (int a = 0; a < actions_; ++a) {
      log_prob_[r * actions_ + a] = logits_[a * kLd + r] - log_sum;
      prob_[r * actions_ + a] = std::exp(log_prob_[r * actions_ + a]);
    }
  }
}

template <class T>
CriticFit DiscreteSacGradient<T>::fit(const T* actor, const T* critics, const T* target_critics,
                                      const TransitionBatch<T>& batch, T alpha) {
  const int rows = batch.rows();
  values_.resize(static_cast<std::size_t>(rows) * actions_);
  targets_.resize(static_cast<std::size_t>(rows));
  critics_.smaller(target_critics, batch.next_observations.data(), rows, values_.data());
  for (int first = 0; first < rows; first += kLd) {
    const int count = std::min(kLd, rows - first);
    distribution(actor, batch.next_observations.data() + static_cast<std::ptrdiff_t>(first) * width_, count);
    for (int r = 0; r < count; ++r) {
      T value = 0;
      for (int a = 0; a < actions_; ++a) {
        const T q = values_[static_cast<std::size_t>(first + r) * actions_ + a];
        value += prob_[r * actions_ + a] * (q - alpha * log_prob_[r * actions_ + a]);
      }
      targets_[first + r] = batch.rewards[first + r] + batch.discounts[first + r] * value;
    }
  }
  return critics_.fit(critics, batch.observations.data(), batch.actions.data(), targets_.data(), rows, 0.5);
}

template <class T>
typename DiscreteSacGradient<T>::PolicyLoss DiscreteSacGradient<T>::policy(const T* actor, const T* critics,
                                                                           std::span<const T> observations, T alpha) {
  const int rows = static_cast<int>(observations.size()) / width_;
  const T share = T(1) / static_cast<T>(rows);
  values_.resize(static_cast<std::size_t>(rows) * actions_);
  critics_.smaller(critics, observations.data(), rows, values_.data());
  std::fill(actor_gradient_.begin(), actor_gradient_.end(), T(0));
  actor_.net().prepare_backward(actor, workspace_);
  PolicyLoss result;
  for (int first = 0; first < rows; first += kLd) {
    const int count = std::min(kLd, rows - first);
    const T* of_block = observations.data() + static_cast<std::ptrdiff_t>(first) * width_;
    distribution(actor, of_block, count);
    for (int r = 0; r < count; ++r) {
      const T* q = values_.data() + static_cast<std::size_t>(first + r) * actions_;
      T mean = 0;
      for (int a = 0; a < actions_; ++a) {
        const T p = prob_[r * actions_ + a], log_p = log_prob_[r * actions_ + a];
        mean += p * (alpha * log_p - q[a]);
        result.entropy -= static_cast<double>(p * log_p);
      }
      result.loss += static_cast<double>(mean);
      // Sum over a of pi d log pi is 0, so only the weights of the terms move.
      for (int a = 0; a < actions_; ++a) {
        const T term = alpha * log_prob_[r * actions_ + a] - q[a];
        d_logits_[a * kLd + r] = share * prob_[r * actions_ + a] * (term - mean);
      }
    }
    actor_.net().backward(actor, of_block, width_, count, workspace_, d_logits_.data(), kLd, actor_gradient_.data());
  }
  result.loss /= rows;
  result.entropy /= rows;
  return result;
}

template class DiscreteSacGradient<float>;
template class DiscreteSacGradient<double>;

}  // namespace mobula::rl
