// The table of docs/guide/traffic.md: what the hand-written controllers do to the cars of each street, with 95 %
// intervals over episodes.
//   intersection_baselines [EPISODES [MAIN_DEMAND SIDE_DEMAND]]
#include <mobula/rl/intersection.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "rl/train/statistics.h"

namespace {

using namespace mobula;
using namespace mobula::rl;

std::vector<EpisodeEnd> play(Intersection& env, const Baseline<Intersection>& baseline, int episodes) {
  std::vector<EpisodeEnd> ends;
  for (int k = 0; k < episodes; ++k) {
    Random random(1, Stream::evaluation, 0, static_cast<std::uint32_t>(k));
    env.reset(random);
    while (!env.step(baseline.act(env), random).truncated) {
    }
    env.report(ends.emplace_back(EpisodeEnd{.env = static_cast<std::uint32_t>(k)}).report);
  }
  return ends;
}

constexpr struct {
  const char* metric;
  int digits;
} columns[] = {{"mean_wait", 1}, {"p95_wait", 1}, {"max_wait", 0}, {"mean_delay", 1}, {"throughput", 0}};

}  // namespace

int main(int argc, char** argv) {
  const int episodes = argc > 1 ? std::atoi(argv[1]) : 50;
  Intersection::Config config;
  if (argc > 3) {
    config.main_demand = std::atof(argv[2]);
    config.side_demand = std::atof(argv[3]);
  }
  Intersection env(config);
  std::printf("%d episodes, %.0f and %.0f vehicles/h; fixed-time greens %.0f s and %.0f s.\n\n", episodes,
              config.main_demand, config.side_demand, env.fixed_green()[0] / 1000.0, env.fixed_green()[1] / 1000.0);
  std::printf(
      "| controller | street | mean wait, s | p95, s | max, s | mean delay, s | vehicles/h "
      "|\n|---|---|---|---|---|---|---|\n");
  for (const auto& baseline : Intersection::baselines()) {
    const Metrics metrics = summarise(play(env, baseline, episodes), 1);
    for (const std::string street : {"", "main", "side"}) {
      std::printf("| %s | %s |", street.empty() ? std::string(baseline.name).c_str() : "",
                  street.empty() ? "both" : street.c_str());
      for (const auto& [name, digits] : columns) {
        const Estimate* e = find(metrics, name + (street.empty() ? street : "/" + street));
        std::printf(" %.*f [%.*f, %.*f] |", digits, e->value, digits, e->low, digits, e->high);
      }
      std::printf("\n");
    }
  }
}
