#include "rl/nn/squashed.h"

#include <algorithm>
#include <cmath>

#include "rl/nn/action_values.h"

namespace mobula::rl::nn {
namespace {

constexpr int kLd = kBlockRows;

bool has_state_noise(const PolicySpec& spec) {
  return spec.kind == PolicySpec::Kind::squashed_gaussian && spec.state_dependent_noise;
}

int outputs_of(const PolicySpec& spec) {
  const bool deviations = spec.kind == PolicySpec::Kind::squashed_gaussian && !has_state_noise(spec);
  return spec.action.head_size() * (deviations ? 2 : 1);
}

}  // namespace

template <class T>
ActorNet<T>::ActorNet(const PolicySpec& spec)
    : spec_(spec),
      state_noise_(has_state_noise(spec)),
      net_({spec.observation_size, spec.hidden, outputs_of(spec), spec.activation}, "actor", layout_) {
  if (state_noise_) log_std_ = layout_.add("actor.log_std", spec.action.dimensions, spec.hidden.back());
}

template <class T>
AlignedVector<T> ActorNet<T>::initial_parameters(Random& random) const {
  AlignedVector<T> parameters(size());
  net_.initialize_uniform(parameters.data(), random);
  for (int d = 0; state_noise_ && d < spec_.action.dimensions; ++d) {
    std::fill_n(parameters.data() + log_std_ + d * feature_width(), spec_.hidden.back(), T(spec_.log_std_init));
  }
  return parameters;
}

template class ActorNet<float>;
template class ActorNet<double>;

SquashedActor::SquashedActor(const PolicySpec& spec)
    : net_(spec), workspace_(net_.net().make_workspace()), outputs_(static_cast<std::size_t>(kLd) * net_.outputs()) {
  if (!net_.state_noise()) return;
  state_noise_.emplace(spec.hidden.back(), spec.action.dimensions);
  variances_.resize(static_cast<std::size_t>(kLd) * spec.action.dimensions);
}

float SquashedActor::mean(int r, int d) const {
  const float mean = outputs_[d * kLd + r];
  return state_noise_ ? std::clamp(mean, float{-kMeanLimit}, float{kMeanLimit}) : mean;
}

void SquashedActor::sample(std::span<const float> parameters, std::span<const float> observations,
                           std::span<const std::uint8_t>, std::span<Random> random, const Exploration& exploration,
                           float* actions, float* log_probs, float*) {
  const PolicySpec& spec = net_.spec();
  const int dimensions = spec.action.dimensions, width = spec.observation_size;
  const bool gaussian = spec.kind == PolicySpec::Kind::squashed_gaussian;
  const int total = static_cast<int>(random.size());
  if (log_probs) std::fill_n(log_probs, total, 0.0f);
  if (state_noise_) state_noise_->begin(parameters.data() + net_.log_std_offset(), random.size());
  const float* features = state_noise_ ? net_.net().features(workspace_) : nullptr;
  for (int first = 0; first < total; first += kBlockRows) {
    const int rows = std::min(kBlockRows, total - first);
    if (!exploration.uniform) {
      net_.net().forward(parameters.data(), observations.data() + static_cast<std::size_t>(first) * width, width, rows,
                         workspace_, outputs_.data(), kLd);
      if (state_noise_) state_noise_->variances(features, net_.feature_width(), rows, variances_.data(), kLd);
    }
    for (int r = 0; r < rows; ++r) {
      Random& draw = random[first + r];
      for (int d = 0; d < dimensions; ++d) {
        float action;
        if (exploration.uniform) {
          action = static_cast<float>(draw.uniform(-1, 1));
        } else if (state_noise_) {
          action =
              std::tanh(mean(r, d) + state_noise_->shift(features + r * net_.feature_width(), variances_[d * kLd + r],
                                                         static_cast<std::size_t>(first + r), d, draw));
        } else if (gaussian) {
          const float log_std = outputs_[(dimensions + d) * kLd + r];
          const float std = std::exp(std::clamp(log_std, float{kLogStdLow}, float{kLogStdHigh}));
          action = std::tanh(outputs_[d * kLd + r] + std * static_cast<float>(draw.normal()));
        } else {
          action = std::tanh(outputs_[d * kLd + r]);
          if (exploration.noise > 0 && !spec.correlated_noise)
            action += static_cast<float>(exploration.noise * draw.normal());
          action = std::clamp(action, -1.0f, 1.0f);
        }
        if (spec.correlated_noise && !exploration.uniform) {
          float& x = states_[static_cast<std::size_t>(first + r) * dimensions + d];
          x += static_cast<float>(-exploration.theta * exploration.dt * x +
                                  exploration.noise * std::sqrt(exploration.dt) * draw.normal());
          action = std::clamp(action + x, -1.0f, 1.0f);
        }
        actions[static_cast<std::size_t>(first + r) * dimensions + d] = from_unit(spec.action, action);
      }
    }
  }
}

void SquashedActor::mode(std::span<const float> parameters, std::span<const float> observations,
                         std::span<const std::uint8_t>, float* actions) {
  const PolicySpec& spec = net_.spec();
  const int dimensions = spec.action.dimensions, width = spec.observation_size;
  const int total = static_cast<int>(observations.size()) / width;
  for (int first = 0; first < total; first += kBlockRows) {
    const int rows = std::min(kBlockRows, total - first);
    net_.net().forward(parameters.data(), observations.data() + static_cast<std::size_t>(first) * width, width, rows,
                       workspace_, outputs_.data(), kLd);
    for (int r = 0; r < rows; ++r) {
      for (int d = 0; d < dimensions; ++d) {
        actions[static_cast<std::size_t>(first + r) * dimensions + d] = from_unit(spec.action, std::tanh(mean(r, d)));
      }
    }
  }
}

CategoricalActor::CategoricalActor(const PolicySpec& spec)
    : net_(spec), workspace_(net_.net().make_workspace()), outputs_(static_cast<std::size_t>(kLd) * net_.outputs()) {}

template <class Each>
void CategoricalActor::for_each_row(std::span<const float> parameters, std::span<const float> observations,
                                    std::span<const std::uint8_t> masks, const Each& each) {
  const int width = net_.spec().observation_size, choices = net_.outputs();
  const int total = static_cast<int>(observations.size()) / width;
  for (int first = 0; first < total; first += kBlockRows) {
    const int rows = std::min(kBlockRows, total - first);
    net_.net().forward(parameters.data(), observations.data() + static_cast<std::size_t>(first) * width, width, rows,
                       workspace_, outputs_.data(), kLd);
    if (!masks.empty()) {
      mask_logits(outputs_.data(), kLd, rows, choices, masks.data() + static_cast<std::size_t>(first) * choices);
    }
    for (int r = 0; r < rows; ++r) each(first + r, r);
  }
}

void CategoricalActor::sample(std::span<const float> parameters, std::span<const float> observations,
                              std::span<const std::uint8_t> masks, std::span<Random> random,
                              const Exploration& exploration, float* actions, float* log_probs, float*) {
  const int choices = net_.outputs();
  if (log_probs) std::fill_n(log_probs, random.size(), 0.0f);
  for_each_row(parameters, observations, masks, [&](int row, int r) {
    if (exploration.uniform) {
      const std::uint8_t* mask = masks.empty() ? nullptr : masks.data() + static_cast<std::size_t>(row) * choices;
      actions[row] = static_cast<float>(any_action(choices, mask, random[row]));
      return;
    }
    // The largest of logit + Gumbel noise is a draw (Gumbel 1954): no sum of exponentials, never what is masked.
    int best = 0;
    double top = 0;
    for (int c = 0; c < choices; ++c) {
      const double noise = -std::log(-std::log(random[row].uniform() + 0x1p-54));
      const double score = outputs_[c * kLd + r] + noise;
      if (c == 0 || score > top) best = c, top = score;
    }
    actions[row] = static_cast<float>(best);
  });
}

void CategoricalActor::mode(std::span<const float> parameters, std::span<const float> observations,
                            std::span<const std::uint8_t> masks, float* actions) {
  for_each_row(parameters, observations, masks, [&](int row, int r) {
    actions[row] = static_cast<float>(best_action(outputs_.data(), net_.outputs(), r, nullptr));
  });
}

}  // namespace mobula::rl::nn
