// Generalised advantage estimation (Schulman et al. 2016) with the two kinds of ends kept apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mobula::rl {

// delta = r + gamma * next V - V, where next V is 0 after a termination, the value of the final observation where an
// episode was only truncated, last_values past the end and values[t + 1] elsewhere; A = delta + gamma * lambda * A',
// cut at both kinds of ends. All tables are [steps][envs], but last_values [envs]. returns = advantages + values.
template <class T>
struct GaeInput {
  int steps = 0;
  int envs = 0;
  double gamma = 0.99;
  double lambda = 0.95;
  std::span<const T> rewards = {}, values = {}, last_values = {}, final_values = {};
  std::span<const std::uint8_t> terminated = {}, truncated = {};
};

template <class T>
void generalized_advantages(const GaeInput<T>& in, std::span<T> advantages, std::span<T> returns) {
  const T gamma = static_cast<T>(in.gamma), decay = static_cast<T>(in.gamma * in.lambda);
  for (int n = 0; n < in.envs; ++n) {
    T advantage = 0;
    T next_value = in.last_values[n];
    for (int t = in.steps - 1; t >= 0; --t) {
      const std::size_t k = static_cast<std::size_t>(t) * in.envs + n;
      if (in.terminated[k]) {
        next_value = 0;
        advantage = 0;
      } else if (in.truncated[k]) {
        next_value = in.final_values[k];
        advantage = 0;
      }
      const T delta = in.rewards[k] + gamma * next_value - in.values[k];
      advantage = delta + decay * advantage;
      advantages[k] = advantage;
      returns[k] = advantage + in.values[k];
      next_value = in.values[k];
    }
  }
}

}  // namespace mobula::rl
