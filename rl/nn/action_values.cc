#include "rl/nn/action_values.h"

#include <algorithm>
#include <cmath>

namespace mobula::rl::nn {
namespace {

constexpr int kLd = kBlockRows;

MlpShape shape_of(const PolicySpec& spec) {
  const int heads = spec.action.head_size() + (spec.dueling ? 1 : 0);
  return {spec.observation_size, spec.hidden, heads * spec.atoms, spec.activation};
}

}  // namespace

template <class T>
ActionValues<T>::ActionValues(const PolicySpec& spec)
    : spec_(spec), actions_(spec.action.head_size()), net_(shape_of(spec), "q", layout_) {}

template <class T>
AlignedVector<T> ActionValues<T>::initial_parameters(std::uint64_t seed) const {
  AlignedVector<T> parameters(size());
  Random random(seed, Stream::parameters);
  net_.initialize_uniform(parameters.data(), random);
  return parameters;
}

template <class T>
void ActionValues<T>::combine(const T* outputs, int rows, T* components) const {
  const int atoms = spec_.atoms;
  if (!spec_.dueling) {
    for (int c = 0; c < this->components(); ++c) std::copy_n(outputs + c * kLd, rows, components + c * kLd);
    return;
  }
  for (int k = 0; k < atoms; ++k) {
    for (int r = 0; r < rows; ++r) {
      T mean = 0;
      for (int a = 0; a < actions_; ++a) mean += outputs[(atoms + a * atoms + k) * kLd + r];
      const T shift = outputs[k * kLd + r] - mean / static_cast<T>(actions_);
      for (int a = 0; a < actions_; ++a) {
        components[(a * atoms + k) * kLd + r] = outputs[(atoms + a * atoms + k) * kLd + r] + shift;
      }
    }
  }
}

template <class T>
void ActionValues<T>::combine_gradient(const T* d_components, int rows, T* d_outputs) const {
  const int atoms = spec_.atoms;
  if (!spec_.dueling) {
    for (int c = 0; c < this->components(); ++c) std::copy_n(d_components + c * kLd, rows, d_outputs + c * kLd);
    return;
  }
  for (int k = 0; k < atoms; ++k) {
    for (int r = 0; r < rows; ++r) {
      T sum = 0;
      for (int a = 0; a < actions_; ++a) sum += d_components[(a * atoms + k) * kLd + r];
      d_outputs[k * kLd + r] = sum;
      const T mean = sum / static_cast<T>(actions_);
      for (int a = 0; a < actions_; ++a) {
        d_outputs[(atoms + a * atoms + k) * kLd + r] = d_components[(a * atoms + k) * kLd + r] - mean;
      }
    }
  }
}

template <class T>
void ActionValues<T>::expect(const T* components, int rows, T* values) const {
  const int atoms = spec_.atoms;
  for (int a = 0; a < actions_; ++a) {
    const T* of_action = components + static_cast<std::ptrdiff_t>(a) * atoms * kLd;
    for (int r = 0; r < rows; ++r) {
      T value = 0;
      if (categorical()) {
        T top = of_action[r], sum = 0;
        for (int k = 1; k < atoms; ++k) top = std::max(top, of_action[k * kLd + r]);
        for (int k = 0; k < atoms; ++k) {
          const T p = std::exp(of_action[k * kLd + r] - top);
          sum += p;
          value += p * static_cast<T>(atom(k));
        }
        value /= sum;
      } else {
        for (int k = 0; k < atoms; ++k) value += of_action[k * kLd + r];
        value /= static_cast<T>(atoms);
      }
      values[a * kLd + r] = value;
    }
  }
}

template class ActionValues<float>;
template class ActionValues<double>;

ActionValueActor::ActionValueActor(const PolicySpec& spec)
    : values_(spec),
      workspace_(values_.net().make_workspace()),
      outputs_(static_cast<std::size_t>(kLd) * values_.outputs()),
      components_(static_cast<std::size_t>(kLd) * values_.components()),
      expected_(static_cast<std::size_t>(kLd) * values_.actions()) {}

void ActionValueActor::mode(std::span<const float> parameters, std::span<const float> observations,
                            std::span<const std::uint8_t> masks, float* actions) {
  const int width = values_.spec().observation_size, choices = values_.actions();
  const int total = static_cast<int>(observations.size()) / width;
  for (int first = 0; first < total; first += kBlockRows) {
    const int rows = std::min(kBlockRows, total - first);
    values_.net().forward(parameters.data(), observations.data() + static_cast<std::size_t>(first) * width, width, rows,
                          workspace_, outputs_.data(), kLd);
    values_.combine(outputs_.data(), rows, components_.data());
    values_.expect(components_.data(), rows, expected_.data());
    for (int r = 0; r < rows; ++r) {
      const std::uint8_t* mask = masks.empty() ? nullptr : masks.data() + static_cast<std::size_t>(first + r) * choices;
      actions[first + r] = static_cast<float>(best_action(expected_.data(), choices, r, mask));
    }
  }
}

void ActionValueActor::sample(std::span<const float> parameters, std::span<const float> observations,
                              std::span<const std::uint8_t> masks, std::span<Random> random,
                              const Exploration& exploration, float* actions, float* log_probs, float*) {
  const int choices = values_.actions();
  if (!exploration.uniform) mode(parameters, observations, masks, actions);
  for (std::size_t r = 0; r < random.size(); ++r) {
    if (log_probs) log_probs[r] = 0;
    if (!exploration.uniform && !(random[r].uniform() < exploration.epsilon)) continue;
    const std::uint8_t* mask = masks.empty() ? nullptr : masks.data() + r * static_cast<std::size_t>(choices);
    actions[r] = static_cast<float>(any_action(choices, mask, random[r]));
  }
}

}  // namespace mobula::rl::nn
