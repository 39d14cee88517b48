#include "rl/nn/adam.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "rl/nn/simd.h"

namespace mobula::rl::nn {

template <class T>
double norm(std::span<const T> gradient) {
  // Squares are summed in T over short runs, one chain a lane, and the runs in double.
  constexpr std::size_t kRun = 64 * kLanes<T>;
  double total = 0;
  for (std::size_t run = 0; run < gradient.size(); run += kRun) {
    const std::size_t end = std::min(run + kRun, gradient.size());
    Vector<T> sum{};
    std::size_t k = run;
    for (; k + kLanes<T> <= end; k += kLanes<T>) {
      const Vector<T> g = load(gradient.data() + k);
      sum = fma(g, g, sum);
    }
    total += sum_lanes<T>(sum);
    for (; k < end; ++k) total += static_cast<double>(gradient[k]) * gradient[k];
  }
  return std::sqrt(total);
}

template double norm<float>(std::span<const float>);
template double norm<double>(std::span<const double>);

template <class T>
constexpr T kFaint = static_cast<T>(1e-30);

template <class T>
void Adam<T>::step(T* parameters, const T* gradient, double factor, double lr) {
  ++steps_;
  const T scale = static_cast<T>(factor);
  options_.weight_decay == 0 ? pass<false>(parameters, gradient, scale, lr)
                             : pass<true>(parameters, gradient, scale, lr);
}

template <class T>
template <bool decay>
void Adam<T>::pass(T* parameters, const T* gradient, T scale, double lr) {
  const double bias1 = 1.0 - std::pow(options_.beta1, static_cast<double>(steps_));
  const double bias2 = 1.0 - std::pow(options_.beta2, static_cast<double>(steps_));
  const T step_size = static_cast<T>(lr / bias1);
  const T inverse_root_bias2 = static_cast<T>(1.0 / std::sqrt(bias2));
  const T beta1 = static_cast<T>(options_.beta1), beta2 = static_cast<T>(options_.beta2);
  const T rest1 = static_cast<T>(1.0 - options_.beta1), rest2 = static_cast<T>(1.0 - options_.beta2);
  const T eps = static_cast<T>(options_.eps);
  const T in_gradient = static_cast<T>(options_.decoupled ? 0.0 : options_.weight_decay);
  const T keep = static_cast<T>(options_.decoupled ? 1.0 - lr * options_.weight_decay : 1.0);
  for (std::size_t k = 0; k < first_.size(); k += kLanes<T>) {
    Vector<T> g = load(gradient + k) * scale;
    Vector<T> p = load(parameters + k);
    if constexpr (decay) {
      g = fma(p, splat(in_gradient), g);
      p = p * keep;
    }
    Vector<T> m = fma(g, splat(rest1), load(first_.data() + k) * beta1);
    Vector<T> v = fma(g * g, splat(rest2), load(second_.data() + k) * beta2);
    // Moments of what gets no gradient any more (a unit that never fires) would fade into numbers too small for the
    // normal form, which some processors take a hundred cycles for. So small they move nothing.
    m = (m > kFaint<T> || m < -kFaint<T>) ? m : Vector<T>{};
    v = v > kFaint<T> ? v : Vector<T>{};
    store(first_.data() + k, m);
    store(second_.data() + k, v);
    const Vector<T> denominator = sqrt(v) * inverse_root_bias2 + eps;
    store(parameters + k, p - m * step_size / denominator);
  }
}

template <class T>
void Adam<T>::restore(std::int64_t steps, std::span<const T> first, std::span<const T> second) {
  assert(first.size() == first_.size() && second.size() == second_.size());
  steps_ = steps;
  std::copy(first.begin(), first.end(), first_.begin());
  std::copy(second.begin(), second.end(), second_.begin());
}

template class Adam<float>;
template class Adam<double>;

}  // namespace mobula::rl::nn
