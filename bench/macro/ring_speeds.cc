// How fast the cars of the ring drive at each of six lengths: all human, with the hand-written controllers, and with a
// trained policy. Means over episodes of the last 100 s of 300 s of control.
//
//   ring_speeds [EPISODES] [RUN STEPS_PER_DECISION]       a run directory of `mobula train examples/ring.yaml`
#include <mobula/rl/policy.h>
#include <mobula/rl/ring.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>

namespace {

using namespace mobula;
using namespace mobula::rl;

struct Speeds {
  double episode = 0, settled = 0, deviation = 0, crashes = 0;  // m/s; crashes in all
};

Speeds drive(const Ring::Config& config, int episodes,
             const std::function<Ring::Action(const Ring&, const Ring::Observation&)>& act) {
  Ring env(config);
  Speeds mean;
  for (int k = 0; k < episodes; ++k) {
    Random random(2026, Stream::evaluation, 0, static_cast<std::uint32_t>(k));
    auto observation = env.reset(random);
    for (bool end = false; !end;) {
      const auto step = env.step(act(env, observation), random);
      observation = step.observation;
      mean.crashes += step.terminated ? 1 : 0;
      end = step.terminated || step.truncated;
    }
    EpisodeReport report;
    env.report(report);
    const auto value = [&](const char* name) {
      const auto* entry = report.find(name);
      return entry ? static_cast<double>(entry->milli[0]) / 1000 / episodes : 0.0;
    };
    mean.episode += value("mean_speed");
    mean.settled += value("settled_speed");
    mean.deviation += value("settled_deviation");
  }
  return mean;
}

}  // namespace

int main(int argc, char** argv) {
  const int episodes = argc > 1 ? std::atoi(argv[1]) : 20;
  const int steps_per_decision = argc > 3 ? std::atoi(argv[3]) : 1;
  std::optional<Policy> policy;
  if (argc > 2) policy = Policy::load(argv[2]);
  std::printf("%-7s %-17s %14s %14s %14s %9s %9s\n", "length", "driver", "all 300 s", "last 100 s", "deviation",
              "of v_e", "of human");
  for (int length = 220; length <= 270; length += 10) {
    Ring::Config config;
    config.min_length = config.max_length = length;
    const double equilibrium = equilibrium_speed(config.driver, length / 22.0 - config.driver.length);
    std::printf("%4d m  %-17s %14s %10.2f m/s\n", length, "equilibrium", "", equilibrium);
    double human = 0;
    const auto row = [&](const std::string& name, const Speeds& speeds) {
      std::printf("%7s %-17s %10.2f m/s %10.2f m/s %10.2f m/s %9.3f %9.3f%s\n", "", name.c_str(), speeds.episode,
                  speeds.settled, speeds.deviation, speeds.settled / equilibrium, speeds.settled / human,
                  speeds.crashes > 0 ? "  crashed" : "");
      std::fflush(stdout);
    };
    auto humans = config;
    humans.automated = false;
    const auto all_human = drive(humans, episodes, [](const auto&, const auto&) { return Ring::Action{}; });
    human = all_human.settled;
    row("all human", all_human);
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
