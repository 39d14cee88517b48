// What PPO on CartPole-v1 costs beside the floating-point operations it needs.
//
// The floor is those operations at the rate of a 512 x 512 x 512 single-precision product on one core (the faster of
// Eigen and OpenBLAS), measured in the same run. Operations: two a multiply-add of the products, forward for acting,
// and forward, weight gradients and input gradients (not those of the first layer) for learning; nothing else is
// counted.
#include <mobula/rl/vec_env.h>

#include <algorithm>
#include <cstdio>
#include <deque>
#include <numeric>
#include <vector>

#include "bench/macro/sgemm_rate.h"
#include "rl/algos/collect.h"
#include "rl/algos/ppo/ppo.h"
#include "rl/envs/cartpole.h"
#include "rl/nn/parameters.h"

namespace mobula::rl {
namespace {

using bench::cpu_seconds;

// Operations of one row: {forward, forward and backward}, of policy and value function together.
std::pair<double, double> operations(const nn::PolicySpec& spec) {
  double forward = 0, backward = 0;
  for (const int outputs : {spec.action.head_size(), 1}) {
    int inputs = spec.observation_size;
    bool first = true;
    for (std::size_t l = 0; l <= spec.hidden.size(); ++l) {
      const int width = l < spec.hidden.size() ? spec.hidden[l] : outputs;
      const double product = 2.0 * inputs * width;
      forward += product;
      backward += first ? product : 2 * product;
      inputs = width;
      first = false;
    }
  }
  return {forward, forward + backward};
}

int run() {
  const double rate = bench::print_sgemm_rate();

  PpoOptions o;
  o.n_envs = 8;
  o.n_steps = 32;
  o.batch_size = 256;
  o.n_epochs = 20;
  o.lr = 1e-3;
  o.lr_schedule = o.clip_schedule = "linear";
  o.gamma = 0.98;
  o.gae_lambda = 0.8;
  std::printf("%-5s %9s %10s %12s %12s %7s %11s %11s %7s\n", "seed", "solved at", "cpu s", "sample-pass", "its floor",
              "ratio", "acting/step", "whole floor", "ratio");
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const double start = cpu_seconds();
    VecEnv<CartPole> env({}, {.count = o.n_envs, .seed = seed});
    env.reset();
    PpoLearner learner(env.info(), o, seed, 100'000);
    const auto actor = nn::make_actor(learner.spec());
    const FragmentLayout layout(env.info(), o.n_steps, o.n_envs);
    nn::AlignedVector<std::byte> memory(layout.bytes());
    Fragment fragment(layout, memory);
    std::deque<double> returns;
    double acting = 0, learning = 0;
    std::int64_t passes = 0;
    bool solved = false;
    while (!solved && learner.env_steps() < 100'000) {
      const double t0 = cpu_seconds();
      for (const auto& end : collect(env, *actor, learner.policy(), learner.iteration(), {}, fragment)) {
        returns.push_back(end.total);
        if (returns.size() > 100) returns.pop_front();
      }
      const double t1 = cpu_seconds();
      learner.update({layout, memory});
      acting += t1 - t0;
      learning += cpu_seconds() - t1;
      passes += static_cast<std::int64_t>(o.n_epochs) * o.n_steps * o.n_envs;
      solved = returns.size() == 100 && std::accumulate(returns.begin(), returns.end(), 0.0) >= 475 * 100;
    }
    const double total = cpu_seconds() - start;
    const auto [forward, both] = operations(learner.spec());
    const double steps = static_cast<double>(learner.env_steps());
    const double floor = (steps * forward + static_cast<double>(passes) * both) / rate;
    const double pass = learning / static_cast<double>(passes);
    std::printf("%-5llu %9lld %10.3f %9.3f us %9.3f us %7.2f %8.3f us %9.3f s %7.2f%s\n",
                static_cast<unsigned long long>(seed), static_cast<long long>(learner.env_steps()), total, 1e6 * pass,
                1e6 * both / rate, pass * rate / both, 1e6 * acting / steps, floor, total / floor,
                solved ? "" : "  (not solved)");
  }
  return 0;
}

}  // namespace
}  // namespace mobula::rl

int main() {
  return mobula::rl::run();
}
