#pragma once

#include <mobula/rl/intersection.h>

#include <array>
#include <cstdint>

// Fixed-time plans by F. V. Webster, "Traffic signal settings", Road Research Technical Paper 39, 1958. All times in
// seconds and flows in vehicles/h, unless said otherwise.
namespace mobula::rl::webster {

// At the start of green the first cars lose some time; at its end they still use some of the yellow (both the usual
// values of the Highway Capacity Manual).
inline constexpr double start_up_loss = 2, used_of_yellow = 2;

// Lost time of a change: start-up loss + yellow + all red - what is used of the yellow.
double lost_time(double yellow, double all_red);

// Webster's cycle C = (1.5 L + 5) / (1 - Y), L the lost time of all changes and Y < 1 the sum of the flow ratios.
double cycle(double lost, double flow_ratio_sum);

// Mean delay (s) of a car on an approach by Webster's formula with its three terms, infinite at saturation:
//   C (1 - u)^2 / (2 (1 - u x)) + x^2 / (2 q (1 - x)) - 0.65 (C / q^2)^(1/3) x^(2 + 5u)
// u effective green / cycle, x degree of saturation, q arrivals (vehicles/s).
double mean_delay(double cycle, double effective_green, double flow, double saturation_flow);

// The flow at which a queue of such drivers discharges, measured on a lane of the model as one would on a street: from
// the fourth to the twentieth car.
double saturation_flow(const Idm& driver, int step_ms);

// Displayed greens (ms) of main and side street with the smallest mean delay over all cars by Webster's formula, among
// the plans that a controller can show: each green at least the minimum, at most two minutes, and ending on the grid of
// decisions. (His cycle formula approximates this minimum for free greens; minimum and grid can move it far.) Where
// demand exceeds every plan's capacity: the plan whose busiest street is least over-saturated.
std::array<std::int32_t, 2> plan(const Intersection::Config& config, const Signal::Times& times, int step_ms,
                                 std::int32_t decision_ms);

}  // namespace mobula::rl::webster
