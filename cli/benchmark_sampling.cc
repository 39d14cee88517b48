// Rows of sampling through the runtime: rollouts of worker processes beside the same in this process, the way of the
// weights, and what a rollout worker weighs.
#include <fmt/format.h>
#include <mobula/rl/train.h>
#include <mobula/runtime.h>

#include <fstream>
#include <memory>
#include <optional>

#include "cli/benchmark_cases.h"
#include "cli/benchmark_learning.h"
#include "rl/algos/ppo/ppo.h"
#include "rl/envs/cartpole.h"
#include "rl/train/sampler.h"

namespace mobula::cli {
namespace {

using bench::Case;
using bench::Measure;
using namespace rl;

constexpr int kEnvs = 64;

nn::PolicySpec cartpole_policy() {
  return policy_spec(environment_info<CartPole>(), PpoOptions{});
}

Array<float> initial_weights() {
  const auto parameters = nn::Policy<float>(cartpole_policy()).initial_parameters(1);
  return Array<float>(std::span<const float>(parameters));
}

ActorSetup setup() {
  const EnvironmentSpec env = environment<CartPole>("cartpole");
  return {env.factory, env.config, cartpole_policy(), 1, {}};
}

/// The sampler of a training run, with `processes` worker processes (0: in this one) and as many actors, at least one.
struct Sampling {
  Sampling(int processes, int steps)
      : runtime(Runtime::start({.workers = processes})),
        sampler(environment_info<CartPole>(), {.envs = kEnvs, .steps = steps}),
        weights(runtime.put(initial_weights())) {
    sampler.spawn(runtime, processes, setup());
  }
  void round() {
    sampler.start(weights, iteration++, {});
    sampler.finish(runtime, {}, meter);
  }

  Runtime runtime;
  Sampler sampler;
  Ref<Array<float>> weights;
  CpuMeter meter;
  std::uint32_t iteration = 0;
};

Case sampling(const LearningBed& bed, std::string name, std::string group, const std::string& where, std::string floor,
              int processes) {
  const int steps = bed.quick ? 8 : 512;
  Case out =
      measured(std::move(name),
               fmt::format("a transition of CartPole, chosen by a policy of 64x64, {}, as it reaches the learner "
                           "in rollouts of {} environments x {} steps",
                           where, kEnvs, steps),
               Measure::rate, std::move(floor), static_cast<double>(kEnvs) * steps, [] {});
  out.group = std::move(group);
  const auto made = Lazily([processes, steps] { return std::make_unique<Sampling>(processes, steps); });
  out.once = [made] {
    Sampling& all = **made;
    return bench::timed([&] { all.round(); });
  };
  return out;
}

/// Where weights arrive.
struct Receiver {
  float take(const Array<float>& weights) { return weights[weights.size() - 1]; }
};

Case weights_broadcast(const LearningBed& bed) {
  struct Broadcast {
    explicit Broadcast(int workers) : runtime(Runtime::start({.workers = workers})), weights(initial_weights()) {
      for (int w = 0; w < workers; ++w) receivers.push_back(runtime.with({.resources = {.cpu = 0}}).spawn<Receiver>());
    }
    void round() {
      const auto ref = runtime.put(weights);
      std::vector<Ref<float>> answers;
      for (const auto& receiver : receivers) answers.push_back(receiver.call<&Receiver::take>(ref));
      for (const auto& answer : answers) answer.get();
    }
    Runtime runtime;
    const Array<float> weights;
    std::vector<Actor<Receiver>> receivers;
  };
  Case out =
      measured("weights_broadcast",
               fmt::format("the {} kB of both 64x64 networks from the learner to {} workers, until all have said "
                           "that they read them",
                           initial_weights().size() * sizeof(float) / 1000, bed.workers),
               Measure::latency, "", 1, [] {});
  out.group = "rl";
  const auto made = Lazily([workers = bed.workers] { return std::make_unique<Broadcast>(workers); });
  out.once = [made] {
    Broadcast& all = **made;
    return bench::timed([&] { all.round(); });
  };
  return out;
}

/// An actor that collects as those of a training run do, and says what its process holds in memory afterwards.
class WeighedRollouts {
 public:
  explicit WeighedRollouts(const ActorSetup& of) : actor_(of) {}
  double resident_mb(const Array<float>& weights, const RolloutCall& call) {
    actor_.collect(weights, call);
    std::ifstream file("/proc/self/status");
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with("VmRSS:")) return std::stod(line.substr(6)) / 1024;
    }
    throw std::runtime_error("/proc/self/status does not tell VmRSS");
  }

 private:
  RolloutActor actor_;
};

Case rollout_worker_mb() {
  Case out;
  out.name = "rollout_worker_mb";
  out.group = "rl";
  out.about = "resident memory of a worker process that has collected 8 environments x 32 steps of CartPole";
  out.measure = Measure::amount;
  out.unit = "MB";
  out.amount = [] {
    const Runtime runtime = Runtime::start({.workers = 1});
    const auto actor = runtime.spawn<WeighedRollouts>(setup());
    return actor
        .call<&WeighedRollouts::resident_mb>(runtime.put(initial_weights()), RolloutCall{.count = 8, .steps = 32})
        .get();
  };
  return out;
}

}  // namespace

void add_sampling_cases(const LearningBed& bed, std::vector<Case>& cases) {
  cases.push_back(sampling(bed, "sampling_processes", "rl", "in one worker process", "sampling_in_process", 1));
  cases.push_back(sampling(bed, "sampling_all_processes", "rl", fmt::format("in {} worker processes", bed.workers),
                           "sampling_in_process", bed.workers));
  cases.push_back(sampling(bed, "sampling_in_process", "floors", "in the learner's process", "", 0));
  cases.push_back(weights_broadcast(bed));
  cases.push_back(rollout_worker_mb());
}

}  // namespace mobula::cli
