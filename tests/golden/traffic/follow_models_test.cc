#include <gtest/gtest.h>
#include <mobula/rl/follow_models.h>
#include <mobula/rl/wave_control.h>

#include <cmath>

#include "tests/support/golden.h"

namespace mobula::rl {
namespace {

using golden::json;

TEST(GoldenFollowing, EveryModelEqualsTheReferenceTo1e11) {
  int undefined = 0;
  golden::for_each_case("traffic", "car_following", [&](const json&, const json& point) {
    const double v = point.at("v"), lead = point.at("v_lead"), gap = point.at("gap"), dt = 0.1;
    const auto expect = [&](const char* name, double value) {
      golden::expect_close(value, point.at(name), 1e-11, name);
    };
    expect("ovm", OptimalVelocity()(v, lead, gap));
    expect("linear_ovm", LinearOptimalVelocity()(v, lead, gap));
    expect("bando_ftl", BandoFollowTheLeader()(v, lead, gap));
    expect("cfm", LinearFollowing()(v, lead, gap));
    expect("krauss_v_safe", Krauss().safe_speed(lead, gap));
    expect("krauss", Krauss()(v, lead, gap, dt));
    expect("follower_stopper_15", FollowerStopper{.wanted_speed = 15}.command(v, lead, gap, true));
    expect("follower_stopper_4", FollowerStopper{.wanted_speed = 4}.command(v, lead, gap, true));
    expect("follower_stopper_paper_4", FollowerStopper{.wanted_speed = 4}.command(v, lead, gap));
    const double gipps = Gipps()(v, lead, gap, dt);
    if (point.at("gipps").is_null()) {
      EXPECT_TRUE(std::isnan(gipps)) << "no speed is safe";
      ++undefined;
    } else {
      golden::expect_close(gipps, point.at("gipps"), 1e-11, "gipps");
    }
  });
  EXPECT_GT(undefined, 0) << "the files have points where Gipps' formula has no value";
}

TEST(GoldenPiSaturation, FollowsTheReferenceForAHundredStepsTo1e10) {
  golden::for_each_case("traffic", "pi_saturation", [](const json&, const json& run) {
    const double dt = run.at("dt"), most = run.at("max_accel");
    PiSaturation pi(dt, run.at("window"));
    double speed = run.at("v_start"), gap = run.at("gap_start");
    for (const json& row : run.at("rows")) {
      const double lead = row.at(0);
      golden::expect_close(speed, row.at(1), 1e-10, "speed");
      golden::expect_close(gap, row.at(2), 1e-10, "gap");
      const double command = pi.observe(speed, lead, gap);
      const double acceleration = std::min((command - speed) / dt, most);
      golden::expect_close(command, row.at(3), 1e-10, "command");
      golden::expect_close(acceleration, row.at(4), 1e-10, "acceleration");
      speed = std::max(0.0, speed + acceleration * dt);
      gap += (lead - speed) * dt;
    }
  });
}

}  // namespace
}  // namespace mobula::rl
