// Rows of the learner itself: one process, one thread, in processor time.
#include <fmt/format.h>
#include <mobula/rl/vec_env.h>

#include <memory>
#include <utility>

#include "bench/micro/sgemm.h"
#include "cli/benchmark_cases.h"
#include "cli/benchmark_learning.h"
#include "rl/algos/collect.h"
#include "rl/algos/dqn/dqn.h"
#include "rl/algos/ppo/ppo.h"
#include "rl/algos/sac/sac.h"
#include "rl/envs/cartpole.h"
#include "rl/envs/pendulum.h"
#include "rl/nn/actor.h"

namespace mobula::cli {
namespace {

using bench::Case;
using bench::Measure;
using namespace rl;

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

// Forward; forward and the gradient of the weights.
struct Passes {
  explicit Passes(std::pair<double, double> p) : forward(2 * p.first), learn(2 * (3 * p.first - p.second)) {}
  double forward, learn;
};

// An environment, a learner and the memory of one rollout.
template <class E, class L, class Options>
struct Loop {
  explicit Loop(const Options& options, int envs, int steps)
      : env({}, {.count = envs, .seed = 1}),
        learner(env.info(), options, 1, std::int64_t{1} << 40),
        actor(nn::make_actor(learner.spec())),
        layout(env.info(), steps, envs),
        memory(layout.bytes()) {
    env.reset();
  }
  void collect(const nn::Exploration& exploration = {}) {
    Fragment fragment(layout, memory);
    rl::collect(env, *actor, learner.policy(), learner.iteration(), exploration, fragment);
  }
  void learn() { learner.learn({layout, memory}); }

  VecEnv<E> env;
  L learner;
  const std::unique_ptr<nn::Actor> actor;
  const FragmentLayout layout;
  nn::AlignedVector<std::byte> memory;
};

Case row(std::string name, std::string about, Measure measure, double operations) {
  Case out;
  out.name = std::move(name);
  out.group = "rl";
  out.about = std::move(about);
  out.floor = "sgemm";
  out.measure = measure;
  out.operations = operations;
  return out;
}

Case ppo_sample_pass(int threads) {
  PpoOptions o{.lr = 1e-3, .n_envs = 8, .n_steps = 32, .batch_size = 256, .n_epochs = 20, .gamma = 0.98};
  o.learner_threads = threads;
  const double passes = o.n_epochs * o.n_envs * o.n_steps;
  Case out =
      row(threads == 1 ? "ppo_sample_pass" : "ppo_sample_pass_2_threads",
          threads == 1 ? "a sample of CartPole in a minibatch of 256: forward, loss, backward, clipping, Adam; two "
                         "networks of 64x64, native learner, one core"
                       : "the same with learner_threads: 2, by the clock; its floor is by processor time",
          Measure::rate, passes);
  const auto loop =
      Lazily([o] { return std::make_unique<Loop<CartPole, PpoLearner, PpoOptions>>(o, o.n_envs, o.n_steps); });
  out.once = [loop, threads] {
    (*loop)->collect();
    const auto learn = [&] { (*loop)->learn(); };
    return threads == 1 ? bench::cpu_timed(learn) : bench::timed(learn);
  };
  if (threads > 1) {
    out.floor = "ppo_sample_pass";
    return out;
  }
  out.work = [passes] { return passes * actor_critic_operations(4, {64, 64}, 2).forward_and_back; };
  return out;
}

Case forward_b1() {
  constexpr int calls = 1000;
  Case out = row("forward_b1", "the most likely action of a 4-64-64-2 policy for one observation, as a worker does it",
                 Measure::latency, calls);
  struct Acting {
    nn::PolicySpec spec = policy_spec(environment_info<CartPole>(), PpoOptions{});
    std::unique_ptr<nn::Actor> actor = nn::make_actor(spec);
    nn::AlignedVector<float> parameters = nn::Policy<float>(spec).initial_parameters(1);
    std::array<float, 4> observation{0.1f, -0.2f, 0.05f, 0.3f};
    float action = 0;
  };
  const auto acting = Lazily([] { return std::make_unique<Acting>(); });
  out.once = [acting] {
    Acting& a = **acting;
    return bench::cpu_timed([&] {
      for (int k = 0; k < calls; ++k) {
        a.observation[0] = static_cast<float>(k) * 1e-4f;
        a.actor->mode(a.parameters, a.observation, {}, &a.action);
      }
    });
  };
  out.work = [] { return calls * 2.0 * products(4, {64, 64}, 2).first; };
  return out;
}

// Batches learned from with a filled buffer: drawing, all passes, clipping, Adam, target networks.
template <class L, class E, class Options>
Case updates(const LearningBed& bed, std::string name, std::string about, Options options, double operations) {
  const int batches = bed.quick ? 1 : 20;
  options.learning_starts = 0;
  options.n_envs = 1;
  options.train_freq = 1;
  options.buffer_size = 5000;
  options.gradient_steps = 0;
  Case out = row(std::move(name), std::move(about), Measure::rate, batches);
  const int filled = bed.quick ? 300 : 5000;
  const auto loop = Lazily([options, batches, filled]() mutable {
    Loop<E, L, Options> filler(options, 1, 1);
    for (int k = 0; k < filled; ++k) {
      filler.collect({.uniform = true});
      filler.learn();
    }
    options.gradient_steps = batches;
    auto made = std::make_unique<Loop<E, L, Options>>(options, 1, 1);
    made->learner.load(filler.learner.save());
    return made;
  });
  out.once = [loop] {
    (*loop)->collect();
    return bench::cpu_timed([&] { (*loop)->learn(); });
  };
  out.work = [operations, batches] { return operations * batches; };
  return out;
}

Case dqn(const LearningBed& bed, const std::string& name, const std::vector<int>& hidden) {
  const Passes q(products(4, hidden, 2));
  return updates<DqnLearner, CartPole>(bed, name,
                                       fmt::format("a batch of 64 of DQN on CartPole, network of {0}x{0}", hidden[0]),
                                       DqnOptions{.batch_size = 64, .hidden = hidden}, 64 * (q.forward + q.learn));
}

Case sac(const LearningBed& bed, const std::string& name, const std::vector<int>& hidden) {
  const Passes actor(products(3, hidden, 2)), critic(products(4, hidden, 1));
  // Of the critics below the actor: a forward pass and the way back to the inputs, without weights.
  const double below = 2 * critic.forward;
  const double all = actor.forward + actor.learn + 2 * (critic.forward + critic.learn + below);
  return updates<SacLearner, Pendulum>(bed, name,
                                       fmt::format("a batch of 256 of SAC on Pendulum, networks of {0}x{0}", hidden[0]),
                                       SacOptions{.hidden = hidden}, 256 * all);
}

}  // namespace

PassOperations actor_critic_operations(int observation_size, const std::vector<int>& hidden, int outputs) {
  PassOperations all;
  for (const int head : {outputs, 1}) {
    const Passes network(products(observation_size, hidden, head));
    all.forward += network.forward;
    all.forward_and_back += network.learn;
  }
  return all;
}

void add_learner_cases(const LearningBed& bed, std::vector<Case>& cases) {
  cases.push_back(ppo_sample_pass(1));
  cases.push_back(ppo_sample_pass(2));
  cases.push_back(forward_b1());
  cases.push_back(sac(bed, "sac_updates", {256, 256}));
  cases.push_back(sac(bed, "sac_updates_64", {64, 64}));
  cases.push_back(dqn(bed, "dqn_updates", {256, 256}));
  cases.push_back(dqn(bed, "dqn_updates_64", {64, 64}));
}

}  // namespace mobula::cli
