#include <gtest/gtest.h>
#include <mobula/rl/car_following.h>

#include <string>

#include "tests/support/golden.h"

namespace mobula::rl {
namespace {

using golden::json;

Idm driver(double v0, double T, double a, double b, double s0) {
  return {.desired_speed = v0, .time_headway = T, .acceleration = a, .deceleration = b, .standstill_gap = s0};
}
const Idm flow = driver(30, 1, 1, 1.5, 2), sumo = driver(30, 1, 2.6, 4.5, 2.5);

Idm driver(const json& parameters) {
  return driver(parameters.at("v0"), parameters.at("T"), parameters.at("a"), parameters.at("b"), parameters.at("s0"));
}

TEST(GoldenIdm, AccelerationsEqualTheReferenceTo1e11) {
  const IdmLaw<double> flow_law(flow), sumo_law(sumo);
  golden::for_each_case("traffic", "car_following", [&](const json&, const json& point) {
    const double v = point.at("v"), lead = point.at("v_lead"), gap = point.at("gap");
    golden::expect_close(flow_law(v, lead, gap), point.at("idm_flow"), 1e-11, "Flow's parameters");
    golden::expect_close(sumo_law(v, lead, gap), point.at("idm_sumo_parameters"), 1e-11, "SUMO's parameters");
  });
}

TEST(GoldenIdm, EquilibriumGapsOnTheRingEqualTheReferenceTo1e9) {
  golden::for_each_case("traffic", "ring_equilibrium", [](const json& document, const json& ring) {
    const Idm of_ring = driver(document.at("summary").at(ring.at("parameters").get<std::string>()).at("parameters"));
    const double speed = ring.at("v_e");
    golden::expect_close(equilibrium_gap(of_ring, speed), ring.at("gap"), 1e-9, "gap");
    EXPECT_NEAR(IdmLaw<double>(of_ring)(speed, speed, ring.at("gap")), 0, 1e-9);
  });
}

TEST(GoldenIdm, CapacitiesEqualTheReferenceTo1e9) {
  golden::for_each_case("traffic", "ring_equilibrium", [](const json& document, const json&) {
    for (const auto& [name, set] : document.at("summary").items())
      golden::expect_close(capacity(driver(set.at("parameters"))), set.at("capacity_veh_per_h"), 1e-9, name);
  });
}

TEST(GoldenIdm, DrivesAsSumosIdmDoesAtATenthOfASecond) {
  const IdmLaw<double> law(flow);
  int compared = 0;
  golden::for_each_case("traffic", "sumo_follow_speed", [&](const json&, const json& point) {
    const double dt = point.at("dt"), v = point.at("v");
    if (dt != 0.1) return;  // (at 1 s SUMO iterates within the step)
    const double gap = point.at("net_gap").get<double>() + flow.standstill_gap;
    const double next = std::max(0.0, v + dt * law(v, point.at("v_lead"), gap));
    golden::expect_close(next, point.at("idm_flow"), 1e-9, "next speed");
    ++compared;
  });
  EXPECT_GT(compared, 0);
}

}  // namespace
}  // namespace mobula::rl
