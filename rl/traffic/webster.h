#pragma once

#include <mobula/rl/intersection.h>

#include <array>
#include <cstdint>

/// Fixed-time plans by F. V. Webster, "Traffic signal settings", Road Research Technical Paper 39, 1958. All times in
/// seconds, flows in vehicles/h.
namespace mobula::rl::webster {

/// At the start of green the first cars lose some time; at its end they still use some of the yellow (both the usual
/// values of the Highway Capacity Manual).
inline constexpr double start_up_loss = 2, used_of_yellow = 2;

/// Lost time of a change: start-up loss + yellow + all red - what is used of the yellow.
double lost_time(double yellow, double all_red);

/// C = (1.5 L + 5) / (1 - Y), L the lost time of all changes and Y the sum of the streets' flow ratios; between 20 and
/// 120 s, and 120 s where Y >= 1.
double cycle(double lost, double flow_ratio_sum);

/// Mean delay (s) of a car on an approach by Webster's formula with its three terms, infinite at saturation:
///   C (1 - u)^2 / (2 (1 - u x)) + x^2 / (2 q (1 - x)) - 0.65 (C / q^2)^(1/3) x^(2 + 5u)
/// u effective green / cycle, x degree of saturation, q arrivals (vehicles/s).
double mean_delay(double cycle, double effective_green, double flow, double saturation_flow);

/// Displayed greens (ms) of main and side street: the cycle, shared in proportion to the flow ratios, each green then
/// rounded to the grid on which a controller can decide, down or up, whichever gives the smaller mean delay. The
/// saturation flow is that of the car-following model.
std::array<std::int32_t, 2> plan(const Intersection::Config& config, const Signal::Times& times,
                                 std::int32_t decision_ms);

}  // namespace mobula::rl::webster
