#include "rl/algos/ppo/gradient.h"

#include <algorithm>
#include <cmath>

#include "rl/nn/simd.h"

namespace mobula::rl {
namespace {

constexpr int kLd = nn::kBlockRows;  // component-major tables

}  // namespace

template <class T>
struct PpoGradient<T>::Totals {
  using V = nn::Vector<T>;
  V policy_loss{}, value_loss{}, entropy{}, approx_kl{}, clipped{};
};

template <class T>
PpoGradient<T>::PpoGradient(const nn::Policy<T>& policy)
    : policy_(policy),
      actor_workspace_(policy.actor().make_workspace()),
      critic_workspace_(policy.critic().make_workspace()),
      categorical_(policy.spec().action.sizes),
      gaussian_(policy.spec().action.dimensions),
      observations_(static_cast<std::size_t>(kLd) * policy.spec().observation_size),
      actions_(static_cast<std::size_t>(kLd) * policy.spec().action.dimensions),
      head_(static_cast<std::size_t>(kLd) * policy.spec().action.head_size()),
      d_head_(head_.size()),
      d_log_std_(static_cast<std::size_t>(nn::kLanes<T>) * policy.spec().action.dimensions),
      gradient_(policy.trainable()) {}

template <class T>
PpoLossStats PpoGradient<T>::compute(const T* parameters, const PpoBatch<T>& batch, std::span<const std::uint32_t> rows,
                                     const PpoLoss& loss) {
  const double n = static_cast<double>(rows.size());
  T shift = 0, scale = 1;
  if (loss.normalize_advantage && rows.size() > 1) {
    double sum = 0, squares = 0;
    for (const std::uint32_t r : rows) sum += batch.advantages[r];
    const double mean = sum / n;
    for (const std::uint32_t r : rows) squares += (batch.advantages[r] - mean) * (batch.advantages[r] - mean);
    shift = static_cast<T>(mean);
    scale = static_cast<T>(1.0 / (std::sqrt(squares / (n - 1)) + 1e-8));
  }
  std::fill(gradient_.begin(), gradient_.end(), T(0));
  std::fill(d_log_std_.begin(), d_log_std_.end(), T(0));
  policy_.actor().prepare_backward(parameters, actor_workspace_);
  policy_.critic().prepare_backward(parameters, critic_workspace_);
  if (policy_.continuous()) gaussian_.set_log_std(parameters + policy_.log_std_offset());

  Totals totals;
  for (std::size_t first = 0; first < rows.size(); first += kLd) {
    block(parameters, batch, rows.subspan(first, std::min<std::size_t>(kLd, rows.size() - first)), loss,
          static_cast<T>(1.0 / n), shift, scale, totals);
  }
  if (policy_.continuous()) {
    for (int d = 0; d < policy_.spec().action.dimensions; ++d) {
      gradient_[policy_.log_std_offset() + d] = nn::sum_lanes<T>(nn::load(d_log_std_.data() + d * nn::kLanes<T>));
    }
  }

  PpoLossStats stats;
  stats.policy_loss = nn::sum_lanes<T>(totals.policy_loss) / n;
  stats.value_loss = nn::sum_lanes<T>(totals.value_loss) / n;
  stats.entropy = nn::sum_lanes<T>(totals.entropy) / n;
  stats.approx_kl = nn::sum_lanes<T>(totals.approx_kl) / n;
  stats.clip_fraction = nn::sum_lanes<T>(totals.clipped) / n;
  stats.loss = stats.policy_loss + loss.vf_coef * stats.value_loss - loss.ent_coef * stats.entropy;
  return stats;
}

// `weight` is 1 / samples of the minibatch; advantages are (A - shift) * scale.
template <class T>
void PpoGradient<T>::block(const T* parameters, const PpoBatch<T>& batch, std::span<const std::uint32_t> rows,
                           const PpoLoss& loss, T weight, T shift, T scale, Totals& totals) {
  using V = nn::Vector<T>;
  constexpr int L = nn::kLanes<T>;
  const auto& spec = policy_.spec();
  const int width = spec.observation_size;
  const int dimensions = spec.action.dimensions;
  const int count = static_cast<int>(rows.size());
  const int lanes = (count + L - 1) / L * L;

  // Gather. Lanes past the last sample compute on zeros and get weight 0.
  alignas(64) T weights[kLd] = {}, old_log_prob[kLd] = {}, old_value[kLd] = {}, advantage[kLd] = {}, target[kLd] = {};
  alignas(64) T value[kLd], d_value[kLd];
  for (int r = 0; r < count; ++r) {
    const std::size_t from = rows[r];
    std::copy_n(batch.observations.data() + from * width, width, observations_.data() + r * width);
    for (int d = 0; d < dimensions; ++d) actions_[d * kLd + r] = batch.actions[from * dimensions + d];
    weights[r] = weight;
    old_log_prob[r] = batch.log_probs[from];
    old_value[r] = batch.values[from];
    advantage[r] = (batch.advantages[from] - shift) * scale;
    target[r] = batch.returns[from];
  }
  for (int r = count; r < lanes; ++r) {
    std::fill_n(observations_.data() + r * width, width, T(0));
    for (int d = 0; d < dimensions; ++d) actions_[d * kLd + r] = 0;
  }

  policy_.actor().forward(parameters, observations_.data(), width, lanes, actor_workspace_, head_.data(), kLd);
  if (!batch.masks.empty()) {
    const int size = spec.action.head_size();
    for (int r = 0; r < count; ++r) {
      nn::mask_logits(head_.data() + r, kLd, 1, size, batch.masks.data() + rows[r] * static_cast<std::size_t>(size));
    }
  }
  const T low = static_cast<T>(1.0 - loss.clip_range), high = static_cast<T>(1.0 + loss.clip_range);
  const auto surrogate = [&](auto& distribution, const auto& backward) {
    for (int r = 0; r < lanes; r += L) {
      distribution.assign(head_.data() + r, kLd);
      const V w = nn::load(weights + r);
      const V used = w != T(0) ? nn::splat(T(1)) : V{};
      const V log_ratio = (distribution.log_prob_of(actions_.data() + r, kLd) - nn::load(old_log_prob + r)) * used;
      const V ratio = nn::exp(log_ratio);
      const V a = nn::load(advantage + r);
      const V plain = a * ratio;
      const V limited = a * nn::minimum(nn::maximum(ratio, nn::splat(low)), nn::splat(high));
      totals.policy_loss -= nn::minimum(plain, limited) * used;
      totals.entropy += distribution.entropy() * used;
      totals.approx_kl += (ratio - T(1) - log_ratio) * used;
      totals.clipped += ((ratio < low) | (ratio > high)) ? used : V{};
      const V d_log_prob = plain <= limited ? -plain * w : V{};
      backward(distribution, r, d_log_prob, nn::splat(static_cast<T>(-loss.ent_coef)) * w);
    }
  };
  if (policy_.continuous()) {
    surrogate(gaussian_, [this](const auto& distribution, int r, V d_log_prob, V d_entropy) {
      distribution.gradient(actions_.data() + r, kLd, d_log_prob, d_entropy, d_head_.data() + r, kLd,
                            d_log_std_.data());
    });
  } else {
    surrogate(categorical_, [this](const auto& distribution, int r, V d_log_prob, V d_entropy) {
      distribution.gradient(actions_.data() + r, kLd, d_log_prob, d_entropy, d_head_.data() + r, kLd);
    });
  }
  policy_.actor().backward(parameters, observations_.data(), width, lanes, actor_workspace_, d_head_.data(), kLd,
                           gradient_.data());

  policy_.critic().forward(parameters, observations_.data(), width, lanes, critic_workspace_, value, kLd);
  const T vf_coef = static_cast<T>(loss.vf_coef);
  for (int r = 0; r < lanes; r += L) {
    const V w = nn::load(weights + r);
    const V used = w != T(0) ? nn::splat(T(1)) : V{};
    const V v = nn::load(value + r), goal = nn::load(target + r);
    const V miss = v - goal;
    V square = miss * miss;
    V d = miss;
    if (loss.clip_range_vf) {
      const T range = static_cast<T>(*loss.clip_range_vf);
      const V old = nn::load(old_value + r);
      const V limited = old + nn::minimum(nn::maximum(v - old, nn::splat(-range)), nn::splat(range));
      const V limited_square = (limited - goal) * (limited - goal);
      // Where the clipped value is the worse one it is constant.
      d = limited_square > square ? V{} : d;
      square = nn::maximum(square, limited_square);
    }
    totals.value_loss += T(0.5) * square * used;
    nn::store(d_value + r, d * w * vf_coef);
  }
  policy_.critic().backward(parameters, observations_.data(), width, lanes, critic_workspace_, d_value, kLd,
                            gradient_.data());
}

template class PpoGradient<float>;
template class PpoGradient<double>;

}  // namespace mobula::rl
