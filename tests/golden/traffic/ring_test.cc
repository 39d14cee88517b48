#include <gtest/gtest.h>
#include <mobula/rl/ring.h>

#include <cmath>

#include "tests/support/golden.h"

namespace mobula::rl {
namespace {

using golden::json;

Idm driver(const json& parameters) {
  return {.desired_speed = parameters.at("v0"),
          .time_headway = parameters.at("T"),
          .acceleration = parameters.at("a"),
          .deceleration = parameters.at("b"),
          .standstill_gap = parameters.at("s0")};
}

TEST(GoldenRing, EquilibriumSpeedsEqualTheReferenceTo1e9) {
  golden::for_each_case("traffic", "ring_equilibrium", [](const json& document, const json& ring) {
    Idm of_ring = driver(document.at("summary").at(ring.at("parameters").get<std::string>()).at("parameters"));
    of_ring.length = ring.at("car_length");
    const double length = ring.at("L"), cars = ring.at("N");
    golden::expect_close(equilibrium_speed(of_ring, length / cars - of_ring.length), ring.at("v_e"), 1e-9, "v_e");
    golden::expect_close(equilibrium_speed(of_ring, (length - cars * of_ring.length) / (cars - 1)),
                         ring.at("v_one_car_removed"), 1e-9, "bound with one automated car");
  });
}

// SUMO averages 600 to 900 s; so does an episode here whose warm-up is 600 s.
TEST(GoldenRing, HumansDriveAsFastAndAsUnevenlyAsInSumoTo3Percent) {
  golden::for_each_case("traffic", "sumo_ring", [](const json&, const json& sumo) {
    Ring::Config config;
    config.automated = false;
    config.min_length = config.max_length = sumo.at("length");
    config.warmup = 6000;
    Ring env(config);
    Random random(sumo.at("seed").get<std::uint64_t>(), Stream::environment);
    env.reset(random);
    double sum = 0, squares = 0, fastest = 0;
    int count = 0, stopped = 0;
    for (bool end = false; !end;) {
      end = env.step({}, random).truncated;
      for (const double v : env.speeds()) {
        sum += v;
        squares += v * v;
        fastest = std::max(fastest, v);
        stopped += v < 0.1 ? 1 : 0;
        ++count;
      }
    }
    const double mean = sum / count, deviation = std::sqrt(squares / count - mean * mean);
    golden::expect_close(mean / sumo.at("mean_speed").get<double>(), 1, 0.03, "mean speed");
    golden::expect_close(deviation / sumo.at("std_speed").get<double>(), 1, 0.03, "deviation");
    golden::expect_close(fastest / sumo.at("max_speed").get<double>(), 1, 0.03, "fastest");
    EXPECT_NEAR(static_cast<double>(stopped) / count, sumo.at("share_below_0_1").get<double>(), 0.03);
  });
}

TEST(GoldenRing, ListsWhatIsNotCovered) {
  golden::list_not_covered("traffic",
                           {"car_following", "ring_equilibrium", "sumo_follow_speed", "pi_saturation", "sumo_ring"});
}

}  // namespace
}  // namespace mobula::rl
