#include "rl/algos/actor_critic/gradient.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <type_traits>

#include "rl/nn/simd.h"

namespace mobula::rl {
namespace {

constexpr int kLd = nn::kBlockRows;  // component-major tables

template <class T>
int whole_lanes(int rows) {
  return (rows + nn::kLanes<T> - 1) / nn::kLanes<T> * nn::kLanes<T>;
}

}  // namespace

template <class T>
struct PpoGradient<T>::Totals {
  using V = nn::Vector<T>;
  V policy_loss{}, value_loss{}, entropy{}, approx_kl{}, clipped{};
};

template <class T>
PpoGradient<T>::PpoGradient(const nn::Policy<T>& policy, int threads)
    : policy_(policy),
      actor_workspace_(policy.actor().make_workspace()),
      categorical_(policy.spec().action.sizes),
      gaussian_(policy.spec().action.dimensions),
      spread_(policy.spec().action.dimensions),
      observations_(static_cast<std::size_t>(kLd) * policy.spec().observation_size),
      actions_(static_cast<std::size_t>(kLd) * policy.spec().action.dimensions),
      head_(static_cast<std::size_t>(kLd) * policy.actor().shape().outputs),
      d_head_(head_.size()),
      d_log_std_(static_cast<std::size_t>(nn::kLanes<T>) * policy.spec().action.dimensions),
      gradient_(policy.trainable()) {
  if (policy.has_critic()) critic_workspace_ = policy.critic().make_workspace();
  if (policy.continuous() && policy.spec().state_dependent_noise) {
    state_noise_.emplace(policy.spec().hidden.back(), policy.spec().action.dimensions);
    variances_.resize(static_cast<std::size_t>(kLd) * policy.spec().action.dimensions);
    d_variances_.resize(variances_.size());
  }
  if (threads > 1 && policy.has_critic() && !policy.actor_memory()) {
    second_ = std::make_unique<SecondThread>();
    second_observations_.resize(observations_.size());
  }
}

template <class T>
void PpoGradient<T>::set_deviations(const T* parameters) {
  if (!policy_.continuous()) return;
  const T* log_std = parameters + policy_.log_std_offset();
  state_noise_ ? state_noise_->set_log_std(log_std) : gaussian_.set_log_std(log_std);
}

template <class T>
typename PpoGradient<T>::Norm PpoGradient<T>::advantage_norm(const PpoBatch<T>& batch,
                                                             std::span<const std::uint32_t> rows, const PpoLoss& loss) {
  Norm norm;
  if (!loss.normalize_advantage || rows.size() <= 1) return norm;
  const double n = static_cast<double>(rows.size());
  double sum = 0, squares = 0;
  for (const std::uint32_t r : rows) sum += batch.advantages[r];
  const double mean = sum / n;
  for (const std::uint32_t r : rows) squares += (batch.advantages[r] - mean) * (batch.advantages[r] - mean);
  norm.shift = static_cast<T>(mean);
  norm.scale = static_cast<T>(1.0 / (std::sqrt(squares / (n - 1)) + 1e-8));
  return norm;
}

template <class T>
void PpoGradient<T>::begin(const T* parameters, bool memory) {
  std::fill(gradient_.begin(), gradient_.end(), T(0));
  std::fill(d_log_std_.begin(), d_log_std_.end(), T(0));
  policy_.actor().prepare_backward(parameters, actor_workspace_, memory);
  if (policy_.has_critic()) policy_.critic().prepare_backward(parameters, critic_workspace_, memory);
  set_deviations(parameters);
}

template <class T>
PpoLossStats PpoGradient<T>::end(const Totals& totals, std::size_t samples, const PpoLoss& loss) {
  if (policy_.continuous() && !state_noise_) {
    for (int d = 0; d < policy_.spec().action.dimensions; ++d) {
      gradient_[policy_.log_std_offset() + d] = nn::sum_lanes<T>(nn::load(d_log_std_.data() + d * nn::kLanes<T>));
    }
  }
  const double n = static_cast<double>(samples);
  PpoLossStats stats;
  stats.policy_loss = nn::sum_lanes<T>(totals.policy_loss) / n;
  stats.value_loss = nn::sum_lanes<T>(totals.value_loss) / n;
  stats.entropy = nn::sum_lanes<T>(totals.entropy) / n;
  stats.approx_kl = nn::sum_lanes<T>(totals.approx_kl) / n;
  stats.clip_fraction = nn::sum_lanes<T>(totals.clipped) / n;
  stats.loss = stats.policy_loss + loss.vf_coef * stats.value_loss - loss.ent_coef * stats.entropy;
  return stats;
}

// Observations of at most a block of samples, and zeros up to whole vectors of rows.
template <class T>
void PpoGradient<T>::gather(const PpoBatch<T>& batch, std::span<const std::uint32_t> rows,
                            nn::AlignedVector<T>& observations) const {
  const int width = policy_.spec().observation_size, count = static_cast<int>(rows.size());
  for (int r = 0; r < count; ++r) {
    std::copy_n(batch.observations.data() + static_cast<std::size_t>(rows[r]) * width, width,
                observations.data() + r * width);
  }
  std::fill(observations.data() + count * width, observations.data() + whole_lanes<T>(count) * width, T(0));
}

template <class T>
PpoLossStats PpoGradient<T>::compute(const T* parameters, const PpoBatch<T>& batch, std::span<const std::uint32_t> rows,
                                     const PpoLoss& loss) {
  const Norm norm = advantage_norm(batch, rows, loss);
  begin(parameters, false);
  const T weight = static_cast<T>(1.0 / static_cast<double>(rows.size()));
  const auto each_part = [&](nn::AlignedVector<T>& observations, const auto& use) {
    const Inputs in{observations.data(), observations.data(), policy_.spec().observation_size};
    for (std::size_t first = 0; first < rows.size(); first += kLd) {
      const auto part = rows.subspan(first, std::min<std::size_t>(kLd, rows.size() - first));
      gather(batch, part, observations);
      use(part, in);
    }
  };
  Totals totals, of_values;
  if (second_) {
    second_->start([&] {
      each_part(second_observations_, [&](auto part, const Inputs& in) {
        value_block(parameters, batch, part, in, loss, weight, of_values);
      });
    });
    each_part(observations_, [&](auto part, const Inputs& in) {
      policy_block(parameters, batch, part, in, loss, weight, norm, totals);
    });
    second_->finish();
    totals.value_loss = of_values.value_loss;
  } else {
    each_part(observations_,
              [&](auto part, const Inputs& in) { block(parameters, batch, part, in, loss, weight, norm, totals); });
  }
  return end(totals, rows.size(), loss);
}

template <class T>
void PpoGradient<T>::remember(const T* parameters, const PpoBatch<T>& batch, int steps, int envs,
                              std::span<const std::uint32_t> columns, std::span<const T> initial_states,
                              std::span<const std::uint8_t> ended) {
  const int count = static_cast<int>(columns.size());
  const int width = policy_.spec().observation_size, state = policy_.state_size();
  const std::size_t cells = static_cast<std::size_t>(steps) * count;
  sequence_rows_.clear();
  resets_.assign(cells, 0);
  for (int t = 0; t < steps; ++t) {
    for (int c = 0; c < count; ++c) {
      const std::uint32_t row = static_cast<std::uint32_t>(t) * envs + columns[c];
      if (t > 0) resets_[sequence_rows_.size()] = ended[row - envs];
      sequence_rows_.push_back(row);
    }
  }
  const nn::Recurrent<T>* actor = policy_.actor_memory();
  if (!actor) return;
  sequence_.resize(cells * width);
  for (std::size_t k = 0; k < cells; ++k) {
    std::copy_n(batch.observations.data() + static_cast<std::size_t>(sequence_rows_[k]) * width, width,
                sequence_.data() + k * width);
  }
  states_.resize(static_cast<std::size_t>(count) * state);
  for (int c = 0; c < count; ++c) {
    std::copy_n(initial_states.data() + static_cast<std::size_t>(columns[c]) * state, state,
                states_.data() + static_cast<std::size_t>(c) * state);
  }
  // Whole vectors of rows may be read, and their gradients written, past the last.
  const std::size_t numbers = (cells + static_cast<std::size_t>(nn::kLanes<T>)) * actor->width();
  const auto run = [&](const nn::Recurrent<T>& memory, T* states, typename nn::Recurrent<T>::Workspace& workspace,
                       nn::AlignedVector<T>& out, nn::AlignedVector<T>& d_out) {
    out.assign(numbers, T(0));
    d_out.resize(numbers);
    memory.forward(parameters, sequence_.data(), width, steps, count, resets_.data(), states, state, workspace,
                   out.data());
  };
  run(*actor, states_.data(), actor_memory_, actor_out_, d_actor_out_);
  if (const auto* critic = policy_.critic_memory()) {
    run(*critic, states_.data() + actor->state_size(), critic_memory_, critic_out_, d_critic_out_);
  }
}

template <class T>
typename PpoGradient<T>::Inputs PpoGradient<T>::inputs_at(std::size_t row) {
  const std::ptrdiff_t ld = policy_.actor_memory()->width();
  const std::size_t at = row * static_cast<std::size_t>(ld);
  Inputs in{actor_out_.data() + at, nullptr, ld, d_actor_out_.data() + at};
  if (policy_.critic_memory()) {
    in.critic = critic_out_.data() + at;
    in.d_critic = d_critic_out_.data() + at;
  }
  return in;
}

template <class T>
PpoLossStats PpoGradient<T>::compute(const T* parameters, const PpoBatch<T>& batch, int steps, int envs,
                                     std::span<const std::uint32_t> columns, std::span<const T> initial_states,
                                     std::span<const std::uint8_t> ended, const PpoLoss& loss) {
  remember(parameters, batch, steps, envs, columns, initial_states, ended);
  const nn::Recurrent<T>* actor = policy_.actor_memory();
  const nn::Recurrent<T>* critic = policy_.critic_memory();
  if (!actor) return compute(parameters, batch, sequence_rows_, loss);

  const Norm norm = advantage_norm(batch, sequence_rows_, loss);
  begin(parameters, true);
  const std::span<const std::uint32_t> rows = sequence_rows_;
  const T weight = static_cast<T>(1.0 / static_cast<double>(rows.size()));
  Totals totals;
  for (std::size_t first = 0; first < rows.size(); first += kLd) {
    block(parameters, batch, rows.subspan(first, std::min<std::size_t>(kLd, rows.size() - first)), inputs_at(first),
          loss, weight, norm, totals);
  }
  const int width = policy_.spec().observation_size;
  actor->prepare_backward(parameters, actor_memory_);
  actor->backward(parameters, sequence_.data(), width, resets_.data(), actor_memory_, d_actor_out_.data(),
                  gradient_.data());
  if (critic) {
    critic->prepare_backward(parameters, critic_memory_);
    critic->backward(parameters, sequence_.data(), width, resets_.data(), critic_memory_, d_critic_out_.data(),
                     gradient_.data());
  }
  return end(totals, rows.size(), loss);
}

template <class T>
void PpoGradient<T>::evaluate(const T* parameters, const PpoBatch<T>& batch, int steps, int envs,
                              std::span<const T> initial_states, std::span<const std::uint8_t> ended,
                              std::span<T> log_probs, std::span<T> values) {
  constexpr int L = nn::kLanes<T>;
  std::vector<std::uint32_t> columns(static_cast<std::size_t>(envs));
  std::iota(columns.begin(), columns.end(), 0u);
  remember(parameters, batch, steps, envs, columns, initial_states, ended);
  set_deviations(parameters);
  const std::span<const std::uint32_t> rows = sequence_rows_;  // those of the table, in its order
  alignas(64) T result[kLd];
  for (std::size_t first = 0; first < rows.size(); first += kLd) {
    const auto part = rows.subspan(first, std::min<std::size_t>(kLd, rows.size() - first));
    const int count = static_cast<int>(part.size()), lanes = whole_lanes<T>(count);
    Inputs in{observations_.data(), observations_.data(), policy_.spec().observation_size};
    policy_.actor_memory() ? static_cast<void>(in = inputs_at(first)) : gather(batch, part, observations_);
    policy_.actor().forward(parameters, in.actor, in.ld, lanes, actor_workspace_, head_.data(), kLd);
    choose(batch, part);
    with_distribution(lanes, [&](auto& distribution, const auto& assign) {
      for (int r = 0; r < lanes; r += L) {
        assign(r);
        nn::store(result + r, distribution.log_prob_of(actions_.data() + r, kLd));
      }
    });
    std::copy_n(result, count, log_probs.data() + first);
    const T* value = head_.data() + head_.size() - kLd;
    if (policy_.has_critic()) {
      policy_.critic().forward(parameters, in.critic, in.ld, lanes, critic_workspace_, result, kLd);
      value = result;
    }
    std::copy_n(value, count, values.data() + first);
  }
}

template <class T>
void PpoGradient<T>::values(const T* parameters, std::span<const T> observations, std::span<T> values) {
  const int width = policy_.spec().observation_size;
  const nn::Mlp<T>& network = policy_.has_critic() ? policy_.critic() : policy_.actor();
  auto& workspace = policy_.has_critic() ? critic_workspace_ : actor_workspace_;
  for (std::size_t first = 0; first < values.size(); first += kLd) {
    const std::size_t rows = std::min<std::size_t>(kLd, values.size() - first);
    network.forward(parameters, observations.data() + first * width, width, static_cast<int>(rows), workspace,
                    head_.data(), kLd);
    std::copy_n(head_.data() + static_cast<std::size_t>(network.shape().outputs - 1) * kLd, rows,
                values.data() + first);
  }
}

// The samples' actions, component-major, and what they may not be.
template <class T>
void PpoGradient<T>::choose(const PpoBatch<T>& batch, std::span<const std::uint32_t> rows) {
  const int dimensions = policy_.spec().action.dimensions, count = static_cast<int>(rows.size());
  for (int r = 0; r < count; ++r) {
    for (int d = 0; d < dimensions; ++d) {
      actions_[d * kLd + r] = batch.actions[static_cast<std::size_t>(rows[r]) * dimensions + d];
    }
  }
  for (int r = count; r < whole_lanes<T>(count); ++r) {
    for (int d = 0; d < dimensions; ++d) actions_[d * kLd + r] = 0;
  }
  if (batch.masks.empty()) return;
  const int size = policy_.spec().action.head_size();
  for (int r = 0; r < count; ++r) {
    nn::mask_logits(head_.data() + r, kLd, 1, size, batch.masks.data() + rows[r] * static_cast<std::size_t>(size));
  }
}

template <class T>
template <class Use>
void PpoGradient<T>::with_distribution(int lanes, const Use& use) {
  if (state_noise_) {
    const int width = nn::padded(policy_.spec().hidden.back());
    state_noise_->variances(policy_.actor().features(actor_workspace_), width, lanes, variances_.data(), kLd);
    use(spread_, [this](int r) { spread_.assign(head_.data() + r, variances_.data() + r, kLd); });
  } else if (policy_.continuous()) {
    use(gaussian_, [this](int r) { gaussian_.assign(head_.data() + r, kLd); });
  } else {
    use(categorical_, [this](int r) { categorical_.assign(head_.data() + r, kLd); });
  }
}

// `weight` is 1 / samples of the minibatch; advantages are (A - shift) * scale. Rows of the inputs past the last, up to
// whole vectors, are there and are finite.
template <class T>
void PpoGradient<T>::block(const T* parameters, const PpoBatch<T>& batch, std::span<const std::uint32_t> rows,
                           const Inputs& in, const PpoLoss& loss, T weight, const Norm& norm, Totals& totals) {
  policy_block(parameters, batch, rows, in, loss, weight, norm, totals);
  value_block(parameters, batch, rows, in, loss, weight, totals);
}

// With a shared trunk this leaves the way back to value_block().
template <class T>
void PpoGradient<T>::policy_block(const T* parameters, const PpoBatch<T>& batch, std::span<const std::uint32_t> rows,
                                  const Inputs& in, const PpoLoss& loss, T weight, const Norm& norm, Totals& totals) {
  using V = nn::Vector<T>;
  constexpr int L = nn::kLanes<T>;
  const int count = static_cast<int>(rows.size());
  const int lanes = whole_lanes<T>(count);

  // Gather. Lanes past the last sample compute on zeros and get weight 0.
  alignas(64) T weights[kLd] = {}, old_log_prob[kLd] = {}, advantage[kLd] = {};
  for (int r = 0; r < count; ++r) {
    const std::size_t from = rows[r];
    weights[r] = weight;
    old_log_prob[r] = batch.log_probs[from];
    advantage[r] = (batch.advantages[from] - norm.shift) * norm.scale;
  }

  policy_.actor().forward(parameters, in.actor, in.ld, lanes, actor_workspace_, head_.data(), kLd);
  choose(batch, rows);
  const T low = static_cast<T>(1.0 - loss.clip_range), high = static_cast<T>(1.0 + loss.clip_range);
  const T limit = loss.ratio_limit > 0 ? static_cast<T>(loss.ratio_limit) : std::numeric_limits<T>::max();
  with_distribution(lanes, [&](auto& distribution, const auto& assign) {
    using Distribution = std::remove_cvref_t<decltype(distribution)>;
    const auto backward = [&](int r, V d_log_prob, V d_entropy) {
      const T* actions = actions_.data() + r;
      T* d_head = d_head_.data() + r;
      if constexpr (std::is_same_v<Distribution, nn::SpreadGaussian<T>>) {
        distribution.gradient(actions, kLd, d_log_prob, d_entropy, d_head, d_variances_.data() + r, kLd);
      } else if constexpr (std::is_same_v<Distribution, nn::DiagonalGaussian<T>>) {
        distribution.gradient(actions, kLd, d_log_prob, d_entropy, d_head, kLd, d_log_std_.data());
      } else {
        distribution.gradient(actions, kLd, d_log_prob, d_entropy, d_head, kLd);
      }
    };
    for (int r = 0; r < lanes; r += L) {
      assign(r);
      const V w = nn::load(weights + r);
      const V used = w != T(0) ? nn::splat(T(1)) : V{};
      const V log_ratio = (distribution.log_prob_of(actions_.data() + r, kLd) - nn::load(old_log_prob + r)) * used;
      const V ratio = nn::exp(log_ratio);
      const V a = nn::load(advantage + r);
      totals.approx_kl += (ratio - T(1) - log_ratio) * used;
      totals.entropy += distribution.entropy() * used;
      if (loss.policy == PpoLoss::Policy::log_probability) {
        totals.policy_loss -= a * (log_ratio + nn::load(old_log_prob + r)) * used;
        backward(r, -a * w, nn::splat(static_cast<T>(-loss.ent_coef)) * w);
        continue;
      }
      const V plain = a * ratio;
      const V limited = a * nn::minimum(nn::maximum(ratio, nn::splat(low)), nn::splat(high));
      const auto far = (a < T(0)) & (ratio > limit);
      totals.policy_loss -= (far ? a * limit : nn::minimum(plain, limited)) * used;
      totals.clipped += ((ratio < low) | (ratio > high)) ? used : V{};
      const V d_log_prob = (plain <= limited) & ~far ? -plain * w : V{};
      backward(r, d_log_prob, nn::splat(static_cast<T>(-loss.ent_coef)) * w);
    }
  });
  if (state_noise_) {
    state_noise_->gradient(policy_.actor().features(actor_workspace_), nn::padded(policy_.spec().hidden.back()), count,
                           d_variances_.data(), kLd, gradient_.data() + policy_.log_std_offset());
  }
  if (policy_.has_critic()) {
    policy_.actor().backward(parameters, in.actor, in.ld, lanes, actor_workspace_, d_head_.data(), kLd,
                             gradient_.data(), in.d_actor, in.ld);
  }
}

template <class T>
void PpoGradient<T>::value_block(const T* parameters, const PpoBatch<T>& batch, std::span<const std::uint32_t> rows,
                                 const Inputs& in, const PpoLoss& loss, T weight, Totals& totals) {
  using V = nn::Vector<T>;
  constexpr int L = nn::kLanes<T>;
  const int count = static_cast<int>(rows.size());
  const int lanes = whole_lanes<T>(count);
  alignas(64) T weights[kLd] = {}, old_value[kLd] = {}, target[kLd] = {};
  alignas(64) T own_value[kLd], own_d_value[kLd];
  // With a shared trunk the value is the head's last output.
  const std::size_t last = head_.size() - kLd;
  T* value = policy_.has_critic() ? own_value : head_.data() + last;
  T* d_value = policy_.has_critic() ? own_d_value : d_head_.data() + last;
  for (int r = 0; r < count; ++r) {
    const std::size_t from = rows[r];
    weights[r] = weight;
    old_value[r] = batch.values[from];
    target[r] = batch.returns[from];
  }
  if (policy_.has_critic()) {
    policy_.critic().forward(parameters, in.critic, in.ld, lanes, critic_workspace_, own_value, kLd);
  }
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
      // Where the value was held back and is the worse one it is constant. (Where it was not, both squares are the same
      // but for rounding.)
      const V moved = v - old;
      d = ((moved < -range) | (moved > range)) & (limited_square > square) ? V{} : d;
      square = nn::maximum(square, limited_square);
    }
    totals.value_loss += T(0.5) * square * used;
    nn::store(d_value + r, d * w * vf_coef);
  }
  if (policy_.has_critic()) {
    policy_.critic().backward(parameters, in.critic, in.ld, lanes, critic_workspace_, d_value, kLd, gradient_.data(),
                              in.d_critic, in.ld);
  } else {
    policy_.actor().backward(parameters, in.actor, in.ld, lanes, actor_workspace_, d_head_.data(), kLd,
                             gradient_.data(), in.d_actor, in.ld);
  }
}

template class PpoGradient<float>;
template class PpoGradient<double>;

}  // namespace mobula::rl
