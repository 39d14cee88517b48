#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "tests/unit/traffic/episodes.h"

namespace mobula::rl {
namespace {

double mean_wait(const Intersection::Config& config, const std::function<int(const Intersection&)>& act) {
  Intersection env(config);
  EpisodeReport report;
  for (std::uint32_t episode = 0; episode < 10; ++episode) {
    run_episode(env, episode_random(episode), act);
    env.report(report);
  }
  const auto& waits = report.find("wait")->milli;
  return static_cast<double>(std::accumulate(waits.begin(), waits.end(), std::int64_t{0})) / 1000 /
         static_cast<double>(waits.size());
}

TEST(Baselines, HaveTheNamesThatReportsUse) {
  std::vector<std::string_view> names;
  for (const auto& baseline : Intersection::baselines()) names.push_back(baseline.name);
  EXPECT_EQ(names, (std::vector<std::string_view>{"fixed_time", "max_pressure", "longest_queue"}));
}

TEST(Baselines, BeatAThoughtlessControllerByFar) {
  const Intersection::Config config;
  const double alternating = mean_wait(config, [](const Intersection& e) { return 1 - e.signal().next; });
  for (const auto& baseline : Intersection::baselines()) {
    const double wait = mean_wait(config, [&](const Intersection& e) { return baseline.act(e).index; });
    EXPECT_LT(wait, alternating / 4) << baseline.name;
  }
}

TEST(Baselines, FixedTimeShowsItsPlan) {
  Intersection env;
  std::array<std::vector<std::int32_t>, 2> greens;
  Signal before = env.signal();
  run_episode(env, episode_random(0), [&](const Intersection& e) {
    const int wanted = Intersection::baselines()[0].act(e).index;
    if (e.signal().stage == Signal::Stage::green && wanted != e.signal().phase)
      greens[e.signal().phase].push_back(e.signal().elapsed);
    before = e.signal();
    return wanted;
  });
  for (int street = 0; street < 2; ++street) {
    ASSERT_GT(greens[street].size(), 20u);
    for (const auto green : greens[street]) EXPECT_EQ(green, env.fixed_green()[street]);
  }
}

TEST(Baselines, NoPlanOnTheGridBeatsWebstersByMuch) {
  // The plan is a formula's; the best of its neighbours in simulation shows that the formula fits the model.
  const Intersection::Config config;
  const auto green = Intersection(config).fixed_green();
  const auto run_plan = [&](std::int32_t main, std::int32_t side) {
    return mean_wait(config, [=](const Intersection& e) {
      const auto& s = e.signal();
      const bool over = s.stage == Signal::Stage::green && s.elapsed >= (s.phase == 0 ? main : side);
      return over ? 1 - s.phase : s.next;
    });
  };
  double best = 1e9;
  for (int m = -2; m <= 2; ++m)
    for (int s = -1; s <= 1; ++s)
      if (green[1] + 5000 * s >= 5000) best = std::min(best, run_plan(green[0] + 5000 * m, green[1] + 5000 * s));
  EXPECT_LT(run_plan(green[0], green[1]), 1.25 * best);
}

TEST(Baselines, MaxPressureAndLongestQueueGoWhereTheCarsAre) {
  Intersection::Config config;
  config.main_demand = 0;
  config.side_demand = 600;
  Intersection env(config);
  Random random = episode_random(0);
  env.reset(random);
  for (int k = 0; k < 12; ++k) env.step({0}, random);
  EXPECT_EQ(Intersection::baselines()[1].act(env).index, 1);
  EXPECT_EQ(Intersection::baselines()[2].act(env).index, 1);
}

}  // namespace
}  // namespace mobula::rl
