// Activation functions of hidden layers and their slopes.
#pragma once

#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

#include "rl/nn/simd.h"

namespace mobula::rl::nn {

// elu: x or e^x - 1 (Clevert et al. 2016); gelu: x Phi(x) with the exact normal distribution function (Hendrycks,
// Gimpel 2016); silu: x sigmoid(x), also called swish.
enum class Activation { tanh, relu, elu, gelu, silu };

// In the order of the enumeration.
inline constexpr std::array<std::string_view, 5> kActivationNames{"tanh", "relu", "elu", "gelu", "silu"};

inline std::string_view name_of(Activation activation) {
  return kActivationNames[static_cast<std::size_t>(activation)];
}
// Throws std::invalid_argument.
inline Activation activation_named(std::string_view name) {
  for (std::size_t k = 0; k < kActivationNames.size(); ++k) {
    if (kActivationNames[k] == name) return static_cast<Activation>(k);
  }
  throw std::invalid_argument("No activation is called '" + std::string(name) +
                              "': there are tanh, relu, elu, gelu and silu.");
}

template <class V>
MOBULA_INLINE V sigmoid(V x) {
  return V{} + 1 / (1 + exp(-x));
}

// The normal distribution function. In float by Abramowitz and Stegun 7.1.26, with an absolute error below 1e-7.
MOBULA_INLINE Floats normal_cdf(Floats x) {
  const Floats z = maximum(x, -x) * 0.70710678f;
  const Floats t = 1.0f / fma(z, splat(0.3275911f), splat(1.0f));
  Floats p = splat(1.061405429f);
  p = fma(p, t, splat(-1.453152027f));
  p = fma(p, t, splat(1.421413741f));
  p = fma(p, t, splat(-0.284496736f));
  p = fma(p, t, splat(0.254829592f));
  const Floats tail = 0.5f * p * t * exp(-z * z);
  return x < 0.0f ? tail : 1.0f - tail;
}
MOBULA_INLINE Doubles normal_cdf(Doubles x) {
  for (int k = 0; k < kLanes<double>; ++k) x[k] = 0.5 * std::erfc(-x[k] * 0.70710678118654752440);
  return x;
}

template <class T>
MOBULA_INLINE Vector<T> activate(Activation activation, Vector<T> x) {
  switch (activation) {
    case Activation::tanh:
      return tanh(x);
    case Activation::relu:
      return maximum(x, Vector<T>{});
    case Activation::elu:
      return x > T(0) ? x : exp(minimum(x, Vector<T>{})) - T(1);
    case Activation::gelu:
      return x * normal_cdf(x);
    case Activation::silu:
      return x * sigmoid(x);
  }
  return x;
}

// Whether slope() needs the input of the activation; from the others' output alone the slope follows.
inline bool slope_needs_input(Activation activation) {
  return activation == Activation::gelu || activation == Activation::silu;
}

// The derivative at x, where y = activate(x). x is used only if slope_needs_input().
template <class T>
MOBULA_INLINE Vector<T> slope(Activation activation, Vector<T> x, Vector<T> y) {
  switch (activation) {
    case Activation::tanh:
      return fma(-y, y, splat(T(1)));
    case Activation::relu:
      return y > T(0) ? splat(T(1)) : Vector<T>{};
    case Activation::elu:
      return y > T(0) ? splat(T(1)) : y + T(1);
    case Activation::gelu:
      return normal_cdf(x) + x * exp(T(-0.5) * x * x) * T(0.39894228040143267794);
    case Activation::silu: {
      const Vector<T> s = sigmoid(x);
      return s + y * (T(1) - s);
    }
  }
  return splat(T(1));
}

}  // namespace mobula::rl::nn
