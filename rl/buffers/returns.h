// Returns of a fragment with the two kinds of ends kept apart; the generalised advantages are in advantage.h.
#pragma once

#include <algorithm>
#include <cstddef>

#include "rl/buffers/advantage.h"

namespace mobula::rl {

// The discounted sum of rewards up to the end of the episode or of the table, plus the discounted value of what follows
// there (nothing after a termination). in.lambda is not used.
template <class T>
void discounted_returns(const GaeInput<T>& in, std::span<T> returns) {
  const T gamma = static_cast<T>(in.gamma);
  for (int n = 0; n < in.envs; ++n) {
    T next = in.last_values[n];
    for (int t = in.steps - 1; t >= 0; --t) {
      const std::size_t k = static_cast<std::size_t>(t) * in.envs + n;
      if (in.terminated[k]) {
        next = 0;
      } else if (in.truncated[k]) {
        next = in.final_values[k];
      }
      next = in.rewards[k] + gamma * next;
      returns[k] = next;
    }
  }
}

// The sum of at most `n_step` discounted rewards plus gamma^k times the value after the k of them that there were:
// fewer than n_step at the end of an episode or of the table. in.lambda is not used.
template <class T>
void n_step_returns(const GaeInput<T>& in, int n_step, std::span<T> returns) {
  const T gamma = static_cast<T>(in.gamma);
  for (int n = 0; n < in.envs; ++n) {
    for (int t = 0; t < in.steps; ++t) {
      T sum = 0, weight = 1, beyond = 0;
      const int last = std::min(t + n_step, in.steps) - 1;
      for (int u = t; u <= last; ++u) {
        const std::size_t k = static_cast<std::size_t>(u) * in.envs + n;
        sum += weight * in.rewards[k];
        weight *= gamma;
        if (in.terminated[k]) {
          beyond = 0;
          break;
        }
        if (in.truncated[k]) {
          beyond = in.final_values[k];
          break;
        }
        if (u == last) beyond = u + 1 < in.steps ? in.values[k + in.envs] : in.last_values[n];
      }
      returns[static_cast<std::size_t>(t) * in.envs + n] = sum + weight * beyond;
    }
  }
}

// TD(lambda), the lambda-return: G = r + gamma ((1 - lambda) V' + lambda G'), with the same ends. Equals advantages
// plus values of the generalised advantage estimate, which is how it is computed elsewhere.
template <class T>
void lambda_returns(const GaeInput<T>& in, std::span<T> returns) {
  const T gamma = static_cast<T>(in.gamma), lambda = static_cast<T>(in.lambda);
  for (int n = 0; n < in.envs; ++n) {
    T next_value = in.last_values[n], next = next_value;
    for (int t = in.steps - 1; t >= 0; --t) {
      const std::size_t k = static_cast<std::size_t>(t) * in.envs + n;
      if (in.terminated[k]) {
        next = next_value = 0;
      } else if (in.truncated[k]) {
        next = next_value = in.final_values[k];
      }
      next = in.rewards[k] + gamma * (next_value + lambda * (next - next_value));
      returns[k] = next;
      next_value = in.values[k];
    }
  }
}

}  // namespace mobula::rl
