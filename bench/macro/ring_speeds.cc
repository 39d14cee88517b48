// The table of docs/guide/ring.md: how fast the cars of the ring drive at each of six lengths, all human, with the
// hand-written controllers, and with a trained policy, with 95 % intervals of the mean over episodes. Two means of each
// episode: of all 300 s of control, and of the last 100 s, when a policy has had its time to dissolve the wave.
//
//   ring_speeds [EPISODES] [RUN STEPS_PER_DECISION]       a run directory of `mobula train examples/ring.yaml`
#include <mobula/rl/policy.h>
#include <mobula/rl/ring.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "rl/train/statistics.h"

namespace {

using namespace mobula;
using namespace mobula::rl;

struct Speeds {
  Estimate all, settled;  // m/s
  int crashes = 0;
};

Speeds drive(const Ring::Config& config, int episodes,
             const std::function<Ring::Action(const Ring&, const Ring::Observation&)>& act) {
  Ring env(config);
  std::vector<double> all, settled;
  Speeds speeds;
  for (int k = 0; k < episodes; ++k) {
    Random random(2026, Stream::evaluation, 0, static_cast<std::uint32_t>(k));
    auto observation = env.reset(random);
    for (bool end = false; !end;) {
      const auto step = env.step(act(env, observation), random);
      observation = step.observation;
      speeds.crashes += step.terminated ? 1 : 0;
      end = step.terminated || step.truncated;
    }
    EpisodeReport report;
    env.report(report);
    const auto value = [&](const char* name) {
      const auto* entry = report.find(name);
      return entry ? static_cast<double>(entry->milli[0]) / 1000 : 0.0;
    };
    all.push_back(value("mean_speed"));
    settled.push_back(value("settled_speed"));
  }
  speeds.all = mean_estimate(all);
  speeds.settled = mean_estimate(settled);
  return speeds;
}

}  // namespace

int main(int argc, char** argv) {
  const int episodes = argc > 1 ? std::atoi(argv[1]) : 20;
  const int steps_per_decision = argc > 3 ? std::atoi(argv[3]) : 1;
  std::optional<Policy> policy;
  if (argc > 2) policy = Policy::load(argv[2]);
  std::printf("n = %d episodes a row; m/s\n\n", episodes);
  std::printf("| length | driver | last 100 s | of v_e | of human | all 300 s | of v_e | of human |\n");
  std::printf("|---|---|---|---|---|---|---|---|\n");
  for (int length = 220; length <= 270; length += 10) {
    Ring::Config config;
    config.min_length = config.max_length = length;
    const double equilibrium = equilibrium_speed(config.driver, length / 22.0 - config.driver.length);
    Speeds human;
    const auto row = [&](const std::string& name, const Speeds& speeds) {
      std::printf("| %s | %s | %.2f [%.2f, %.2f] | %.3f | %.2f | %.2f [%.2f, %.2f] | %.3f | %.2f |%s\n",
                  name == "all human" ? (std::to_string(length) + " m").c_str() : "", name.c_str(),
                  speeds.settled.value, speeds.settled.low, speeds.settled.high, speeds.settled.value / equilibrium,
                  speeds.settled.value / human.settled.value, speeds.all.value, speeds.all.low, speeds.all.high,
                  speeds.all.value / equilibrium, speeds.all.value / human.all.value,
                  speeds.crashes > 0 ? "  crashed" : "");
      std::fflush(stdout);
    };
    auto humans = config;
    humans.automated = false;
    human = drive(humans, episodes, [](const auto&, const auto&) { return Ring::Action{}; });
    row("all human", human);
    for (const auto& baseline : Ring::baselines())
      row(std::string(baseline.name),
          drive(config, episodes, [&](const Ring& env, const auto&) { return baseline.act(env); }));
    config.steps_per_decision = steps_per_decision;
    if (policy)
      row("policy", drive(config, episodes, [&](const auto&, const Ring::Observation& observation) {
            return policy->act<Ring::Action>(observation);
          }));
  }
}
