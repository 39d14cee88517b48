// The table of docs/guide/traffic.md: what the hand-written controllers do to the cars of each street.
//   intersection_baselines [EPISODES [MAIN_DEMAND SIDE_DEMAND]]
#include <mobula/rl/intersection.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

namespace {

using namespace mobula;
using namespace mobula::rl;

double mean(const std::vector<std::int64_t>& milli) {
  const auto sum = std::accumulate(milli.begin(), milli.end(), std::int64_t{0});
  return milli.empty() ? 0 : static_cast<double>(sum) / 1000 / static_cast<double>(milli.size());
}

// The smallest value that at least 95 % do not exceed.
double p95(std::vector<std::int64_t> milli) {
  if (milli.empty()) return 0;
  const auto rank = static_cast<std::ptrdiff_t>(std::ceil(0.95 * static_cast<double>(milli.size()))) - 1;
  std::nth_element(milli.begin(), milli.begin() + rank, milli.end());
  return static_cast<double>(milli[rank]) / 1000;
}

// Half the width of the 95 % interval of a mean of independent episodes.
double half_width(const std::vector<double>& x) {
  const auto n = static_cast<double>(x.size());
  if (n < 2) return 0;
  const double m = std::accumulate(x.begin(), x.end(), 0.0) / n;
  double squares = 0;
  for (const double value : x) squares += (value - m) * (value - m);
  return 1.96 * std::sqrt(squares / (n - 1) / n);
}

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
      "| controller | street | mean wait | p95 | max | mean delay | vehicles/h |\n|---|---|---|---|---|---|---|\n");
  for (const auto& baseline : Intersection::baselines()) {
    EpisodeReport all;
    std::vector<double> means[3];
    const std::string groups[3] = {"", "main", "side"};
    for (int k = 0; k < episodes; ++k) {
      EpisodeReport one;
      Random random(1, Stream::evaluation, 0, static_cast<std::uint32_t>(k));
      env.reset(random);
      while (!env.step(baseline.act(env), random).truncated) {
      }
      env.report(one);
      env.report(all);
      for (int g = 0; g < 3; ++g) means[g].push_back(mean(one.find("wait", groups[g])->milli));
    }
    for (int g = 0; g < 3; ++g) {
      const auto& waits = all.find("wait", groups[g])->milli;
      const auto longest = waits.empty() ? 0 : *std::max_element(waits.begin(), waits.end());
      std::printf("| %s | %s | %.1f ± %.1f s | %.0f s | %.0f s | %.1f s | %.0f |\n",
                  g == 0 ? std::string(baseline.name).c_str() : "", g == 0 ? "both" : groups[g].c_str(), mean(waits),
                  half_width(means[g]), p95(waits), static_cast<double>(longest) / 1000,
                  mean(all.find("delay", groups[g])->milli),
                  static_cast<double>(all.find("throughput", groups[g])->milli[0]) / 1000 / episodes);
    }
  }
}
