// Target networks that follow slowly.
#pragma once

#include <cstddef>
#include <span>

namespace mobula::rl::nn {

// target += tau * (source - target), as (1 - tau) * target + tau * source; tau = 1 copies exactly.
template <class T>
void follow(std::span<const T> source, double tau, std::span<T> target) {
  const T share = static_cast<T>(tau), rest = static_cast<T>(1.0 - tau);
  for (std::size_t k = 0; k < target.size(); ++k) target[k] = rest * target[k] + share * source[k];
}

}  // namespace mobula::rl::nn
