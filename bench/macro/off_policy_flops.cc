// What an update of DQN and of SAC costs beside the floating-point operations it needs.
//
// The floor is those operations at the rate of a 512 x 512 x 512 single-precision product on one core, measured in the
// same run. Operations: two a multiply-add of the products, for each pass that the algorithm cannot do without; drawing
// the batch, losses, clipping, Adam and the target networks are not counted. In CPU time.
#include <mobula/rl/vec_env.h>

#include <cstdio>
#include <utility>
#include <vector>

#include "bench/macro/sgemm_rate.h"
#include "rl/algos/collect.h"
#include "rl/algos/dqn/dqn.h"
#include "rl/algos/sac/sac.h"
#include "rl/envs/cartpole.h"
#include "rl/envs/pendulum.h"

namespace mobula::rl {
namespace {

// Multiply-adds of a row through a network, and those of its first layer.
std::pair<double, double> products(int inputs, const std::vector<int>& hidden, int outputs) {
  double sum = 0;
  const double first = static_cast<double>(inputs) * (hidden.empty() ? outputs : hidden[0]);
  for (const int width : hidden) {
    sum += static_cast<double>(inputs) * width;
    inputs = width;
  }
  return {sum + static_cast<double>(inputs) * outputs, first};
}

// Forward; forward and the gradient of the weights; forward and the gradient of the inputs.
struct Passes {
  explicit Passes(std::pair<double, double> p) : forward(2 * p.first), learn(2 * (3 * p.first - p.second)) {}
  double forward, learn;
};

template <class L, class E, class Options>
void measure(const char* name, Options options, double operations, double rate) {
  options.learning_starts = 0;
  options.n_envs = 1;
  options.train_freq = 1;
  options.gradient_steps = 0;
  VecEnv<E> env({}, {.count = 1, .seed = 1});
  env.reset();
  const auto fill = [&](L& learner) {
    const auto actor = nn::make_actor(learner.spec());
    const FragmentLayout layout(env.info(), 1, 1);
    nn::AlignedVector<std::byte> memory(layout.bytes());
    Fragment fragment(layout, memory);
    for (int k = 0; k < 5000; ++k) {
      collect(env, *actor, learner.policy(), learner.iteration(), {.uniform = true}, fragment);
      learner.learn({layout, memory});
    }
    return std::pair(layout, memory);
  };
  L filler(env.info(), options, 1, 1'000'000);
  const auto [layout, memory] = fill(filler);
  options.gradient_steps = 50;
  L learner(env.info(), options, 1, 1'000'000);
  auto bytes = filler.save();
  learner.load(bytes);
  learner.learn({layout, memory});
  const double seconds = bench::best_of(8, 1, [&] { learner.learn({layout, memory}); }) / options.gradient_steps;
  std::printf("%-28s %10.1f %12.2f %12.1f %8.0f %%\n", name, 1 / seconds, operations / 1e6, 1e6 * seconds,
              100 * operations / rate / seconds);
}

int run() {
  const double rate = bench::print_sgemm_rate();
  std::printf("%-28s %10s %12s %12s %10s\n", "", "updates/s", "MFLOP each", "us each", "of floor");
  for (const bool wide : {true, false}) {
    const std::vector<int> hidden = wide ? std::vector{256, 256} : std::vector{64, 64};
    const Passes q(products(4, hidden, 2));
    measure<DqnLearner, CartPole>(wide ? "dqn 256x256, batch 64" : "dqn 64x64, batch 64",
                                  DqnOptions{.batch_size = 64, .hidden = hidden}, 64 * (q.forward + q.learn), rate);
    const Passes actor(products(3, hidden, 2)), critic(products(4, hidden, 1));
    // Of the critics below the actor: a forward pass and the way back to the inputs, without weights.
    const double below = 2 * critic.forward;
    const double sac = actor.forward + actor.learn + 2 * (critic.forward + critic.learn + below);
    measure<SacLearner, Pendulum>(wide ? "sac 256x256, batch 256" : "sac 64x64, batch 256",
                                  SacOptions{.hidden = hidden}, 256 * sac, rate);
  }
  return 0;
}

}  // namespace
}  // namespace mobula::rl

int main() {
  return mobula::rl::run();
}
