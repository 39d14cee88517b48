// V-trace targets (Espeholt et al. 2018, IMPALA, equation 1) for experience that an older policy collected.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mobula::rl {

// With ratios r = pi(a) / mu(a) = exp(log_rhos): rho = min(rho_bar, r), c = lambda min(c_bar, r), and
//   delta = rho (reward + gamma next V - V),   vs = V + delta + gamma c (vs' - V'),
//   advantage = min(pg_rho_bar, r) (reward + gamma vs' - V),
// where next V and vs' are 0 after a termination, the value of the final observation where an episode was only
// truncated, and last_values past the end; the recursion is cut at both kinds of ends. Tables are [steps][envs], but
// last_values [envs]. With log_rhos = 0 and lambda = 1 vs is the n-step return with bootstrap.
template <class T>
struct VtraceInput {
  int steps = 0;
  int envs = 0;
  double gamma = 0.99;
  double lambda = 1.0;
  double rho_bar = 1.0;
  double c_bar = 1.0;
  double pg_rho_bar = 1.0;
  std::span<const T> log_rhos = {}, rewards = {}, values = {}, last_values = {}, final_values = {};
  std::span<const std::uint8_t> terminated = {}, truncated = {};
};

// `targets`: vs, what the value function learns; `advantages`: of the policy gradient. No gradient flows through
// either.
template <class T>
void vtrace(const VtraceInput<T>& in, std::span<T> targets, std::span<T> advantages) {
  const T gamma = static_cast<T>(in.gamma), lambda = static_cast<T>(in.lambda);
  for (int n = 0; n < in.envs; ++n) {
    T beyond = 0;  // vs' - V'
    T next_value = in.last_values[n];
    for (int t = in.steps - 1; t >= 0; --t) {
      const std::size_t k = static_cast<std::size_t>(t) * in.envs + n;
      if (in.terminated[k] || in.truncated[k]) {
        next_value = in.terminated[k] ? T(0) : in.final_values[k];
        beyond = 0;
      }
      const T ratio = std::exp(in.log_rhos[k]);
      const T rho = std::min(static_cast<T>(in.rho_bar), ratio), c = lambda * std::min(static_cast<T>(in.c_bar), ratio);
      const T pg_rho = std::min(static_cast<T>(in.pg_rho_bar), ratio);
      const T value = in.values[k];
      advantages[k] = pg_rho * (in.rewards[k] + gamma * (next_value + beyond) - value);
      beyond = rho * (in.rewards[k] + gamma * next_value - value) + gamma * c * beyond;
      targets[k] = value + beyond;
      next_value = value;
    }
  }
}

}  // namespace mobula::rl
