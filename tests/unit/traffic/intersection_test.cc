#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mobula/fields.h>

#include <cmath>
#include <stdexcept>

#include "tests/unit/traffic/episodes.h"

namespace mobula::rl {
namespace {

static_assert(Environment<Intersection> && Annotated<Intersection> && Reporting<Intersection>);
static_assert(WithBaselines<Intersection> && Masked<Intersection>);
static_assert(TextRenderable<Intersection> && SvgRenderable<Intersection>);

// A controller without sense: random requests.
struct Fickle {
  Random random{11, Stream::user};
  int operator()(const Intersection&) { return static_cast<int>(random.below(2)); }
};

// One step of the model per decision, so that a test sees every moment.
Intersection::Config every_moment() {
  Intersection::Config config;
  config.time_step = 1;
  config.decision_period = 1;
  return config;
}

TEST(Intersection, AnEpisodeIsAnHourOfDecisionsAndThenTruncated) {
  Intersection env;
  int steps = 0;
  run_episode(env, episode_random(0), Fickle{}, [&](const Intersection& e, const auto& step) {
    ++steps;
    EXPECT_FALSE(step.terminated);
    EXPECT_EQ(step.truncated, steps == 720);
    EXPECT_EQ(e.now(), steps * 5000);
  });
  EXPECT_EQ(steps, 720);
}

TEST(Intersection, TheSameSeedGivesTheSameBytesAndAnotherSeedOthers) {
  Intersection a, b, c;
  run_episode(a, episode_random(3), Fickle{});
  run_episode(b, episode_random(3), Fickle{});
  run_episode(c, episode_random(4), Fickle{});
  EXPECT_EQ(bytes_of(a), bytes_of(b));
  EXPECT_NE(bytes_of(a), bytes_of(c));
}

TEST(Intersection, ASnapshotContinuesIdentically) {
  Intersection::Config config;
  config.side_demand = 500;  // some wait outside
  Intersection original(config);
  Random random = episode_random(1);
  original.reset(random);
  Fickle act;
  for (int k = 0; k < 400; ++k) original.step({act(original)}, random);

  const auto bytes = bytes_of(original);
  Intersection restored(config);
  Random other = episode_random(99);
  restored.reset(other);
  for (int k = 0; k < 50; ++k) restored.step({k % 2}, other);  // it holds something else before
  std::span<const std::byte> rest(bytes);
  take_snapshot(rest, restored);
  EXPECT_TRUE(rest.empty());

  Random random_too = random;
  Fickle act_too = act;
  for (int k = 0; k < 320; ++k) {
    const auto one = original.step({act(original)}, random);
    const auto two = restored.step({act_too(restored)}, random_too);
    ASSERT_EQ(one.observation, two.observation) << "step " << k;
    ASSERT_EQ(one.reward, two.reward);
    ASSERT_EQ(original.annotate().cost, restored.annotate().cost);
  }
  EXPECT_EQ(bytes_of(original), bytes_of(restored));
}

TEST(Intersection, ASnapshotIsSmall) {
  Intersection env;
  run_episode(env, episode_random(0), [](const Intersection& e) { return Intersection::baselines()[0].act(e).index; });
  EXPECT_LT(bytes_of(env).size(), 24u * 1024) << "at the end of the hour, all trips included";
}

TEST(Intersection, NoCarIsLostOrMade) {
  Intersection::Config config;
  config.main_demand = 1500;
  Intersection env(config);
  std::array<std::int64_t, 4> arrived{};
  run_episode(env, episode_random(2), Fickle{}, [&](const Intersection& e, const auto&) {
    for (int a = 0; a < 4; ++a) {
      const Lane& lane = e.lane(a);
      ASSERT_GE(lane.arrived(), arrived[a]) << "arrivals only grow";
      arrived[a] = lane.arrived();
      ASSERT_EQ(lane.finished_waits().size(), static_cast<std::size_t>(lane.left()));
      ASSERT_EQ(lane.arrived(), lane.left() + lane.size() + lane.outside());
    }
  });
  // Poisson: the mean, within four standard deviations.
  for (int a = 0; a < 4; ++a) {
    const double expected = a < 2 ? 1500 : 180;
    EXPECT_NEAR(static_cast<double>(arrived[a]), expected, 4 * std::sqrt(expected));
  }
}

TEST(Intersection, CarsNeverOverlapNeverReverseAndKeepTheirOrder) {
  for (const double demand : {180.0, 900.0, 1700.0}) {
    auto config = every_moment();
    config.main_demand = demand;
    config.side_demand = demand / 2;
    Intersection env(config);
    std::array<std::vector<float>, 4> before;
    std::array<std::int64_t, 4> first{};
    float smallest = 1e9f;
    run_episode(env, episode_random(5), Fickle{}, [&](const Intersection& e, const auto&) {
      for (int a = 0; a < 4; ++a) {
        const Lane& lane = e.lane(a);
        for (int i = 0; i < lane.size(); ++i) {
          ASSERT_GE(lane.speed(i), 0.0f);
          ASSERT_LE(lane.speed(i), 14.5f);
          if (i > 0) smallest = std::min(smallest, lane.position(i - 1) - lane.position(i) - 5.0f);
          const auto was = static_cast<std::size_t>(lane.number(i) - first[a]);
          if (was < before[a].size()) {
            ASSERT_GE(lane.position(i), before[a][was]);
          }
        }
        first[a] = lane.left();
        before[a].clear();
        for (int i = 0; i < lane.size(); ++i) before[a].push_back(lane.position(i));
      }
    });
    EXPECT_GT(smallest, 0.5f) << "bumper to bumper, at " << demand << " vehicles/h";
  }
}

TEST(Intersection, NobodyRunsARedAndTheJunctionIsNeverSharedByBothStreets) {
  for (const double demand : {300.0, 900.0}) {
    auto config = every_moment();
    config.time_step = 0.5;
    config.decision_period = 0.5;
    config.main_demand = config.side_demand = demand;
    Intersection env(config);
    std::array<std::int64_t, 4> passed{};
    Signal light = env.signal();  // as it stood before the step
    run_episode(env, episode_random(6), Fickle{}, [&](const Intersection& e, const auto&) {
      std::array<bool, 2> inside{};
      for (int a = 0; a < 4; ++a) {
        const Lane& lane = e.lane(a);
        const int street = Intersection::street_of(a);
        const std::int64_t now = lane.left() + lane.first_before_line();
        const bool red = light.phase != street || light.stage == Signal::Stage::all_red;
        if (red) {
          EXPECT_EQ(now, passed[a]) << "a car passed at red at " << e.now() << " ms";
        }
        passed[a] = now;
        // The lanes of the other street cross this one between 4 and 11 m behind the stop line.
        for (int i = 0; i < lane.size(); ++i)
          if (lane.position(i) > 4 && lane.position(i) - 5 < 11) inside[street] = true;
      }
      ASSERT_FALSE(inside[0] && inside[1]) << "at " << e.now() << " ms";
      light = e.signal();
    });
  }
}

TEST(Intersection, GreenYellowAndAllRedLastAsLongAsConfigured) {
  for (const double min_green : {5.0, 8.0, 13.5}) {
    auto config = every_moment();
    config.time_step = config.decision_period = 0.5;
    config.min_green = min_green;
    config.yellow = 3.5;
    config.all_red = 1.5;
    Intersection env(config);
    Signal before = env.signal();
    std::int32_t since = 0;
    int greens = 0;
    run_episode(env, episode_random(0), Fickle{}, [&](const Intersection& e, const auto&) {
      const Signal& now = e.signal();
      // (The request is taken at the beginning of the step whose end we see.)
      if (now.stage != before.stage) {
        const std::int32_t lasted = e.now() - now.elapsed - since;
        since = e.now() - now.elapsed;
        if (before.stage == Signal::Stage::green) {
          EXPECT_GE(lasted, 1000 * min_green);
          EXPECT_EQ(now.next, 1 - now.phase);
        } else {
          EXPECT_EQ(lasted, before.stage == Signal::Stage::yellow ? 3500 : 1500);
        }
        greens += now.stage == Signal::Stage::green ? 1 : 0;
      }
      before = now;
    });
    EXPECT_GT(greens, 100);
  }
}

TEST(Intersection, TheMaskAllowsAChangeExactlyWhenTheLightHeedsIt) {
  auto config = every_moment();
  config.min_green = 5;
  Intersection env(config);
  Random random = episode_random(0);
  env.reset(random);
  Fickle act;
  int changes = 0;
  for (int k = 0; k < 2000; ++k) {
    const auto mask = env.action_mask();
    const Signal before = env.signal();
    const int wanted = act(env);
    EXPECT_TRUE(mask[before.next]);
    env.step({wanted}, random);
    if (wanted != before.next) {
      EXPECT_EQ(env.signal().next == wanted, mask[wanted]);
      changes += mask[wanted] ? 1 : 0;
    }
  }
  EXPECT_GT(changes, 100);
}

TEST(Intersection, TheRewardIsMinusTheWaitingThatTheAnnotationSplits) {
  Intersection env;
  run_episode(env, episode_random(8), Fickle{}, [](const Intersection& e, const auto& step) {
    double waiting = 0;
    const auto note = e.annotate();
    for (int a = 0; a < 4; ++a) {
      waiting += static_cast<double>(note.cost[a]);
      ASSERT_EQ(note.group[a], a < 2 ? 0 : 1);
    }
    ASSERT_NEAR(step.reward, -waiting / 50, 1e-5);
  });
}

TEST(Intersection, ObservationsStayInTheirRanges) {
  Intersection::Config config;
  config.main_demand = 1800;
  Intersection env(config);
  run_episode(env, episode_random(8), Fickle{}, [](const Intersection&, const auto& step) {
    for (const float x : step.observation) {
      ASSERT_GE(x, 0.0f);
      ASSERT_LE(x, 2.0f);
    }
  });
}

TEST(Intersection, WithoutDemandNothingHappens) {
  Intersection::Config config;
  config.main_demand = config.side_demand = 0;
  Intersection env(config);
  double sum = 0;
  run_episode(env, episode_random(0), Fickle{}, [&](const Intersection&, const auto& step) { sum += step.reward; });
  EXPECT_EQ(sum, 0);
  EXPECT_EQ(env.vehicle_updates(), 0);
}

TEST(Intersection, RefusesAnImpossibleConfiguration) {
  Intersection::Config config;
  config.decision_period = 1;
  config.time_step = 2;
  try {
    Intersection env(config);
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("decision_period: it must be at least time_step"));
  }
}

}  // namespace
}  // namespace mobula::rl
