#include "rl/traffic/webster.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace mobula::rl::webster {

double lost_time(double yellow, double all_red) {
  return start_up_loss + yellow + all_red - used_of_yellow;
}

double cycle(double lost, double flow_ratio_sum) {
  return (1.5 * lost + 5) / (1 - flow_ratio_sum);
}

double mean_delay(double cycle, double effective_green, double flow, double saturation_flow) {
  const double u = effective_green / cycle, q = flow / 3600;
  if (q <= 0) return 0;
  const double x = flow / (u * saturation_flow);
  if (x >= 1) return std::numeric_limits<double>::infinity();
  const double uniform = cycle * (1 - u) * (1 - u) / (2 * (1 - u * x));
  const double random = x * x / (2 * q * (1 - x));
  return uniform + random - 0.65 * std::cbrt(cycle / (q * q)) * std::pow(x, 2 + 5 * u);
}

double saturation_flow(const Idm& driver, int step_ms) {
  Lane lane;
  std::int32_t now = 0;
  const auto advance = [&](bool closed) {
    now += step_ms;
    lane.advance(driver, step_ms, now, closed);
    lane.admit_waiting(driver, step_ms, now);
  };
  for (int car = 0; car < 40; ++car) lane.arrive(driver, step_ms, now, now);
  while (now < 120000) advance(true);  // until the queue stands

  std::vector<double> passed;  // ms; each car passes the line within a step, at its speed
  while (passed.size() < 20 && now < 600000) {
    advance(false);
    for (auto n = static_cast<std::int64_t>(passed.size()); n < lane.left() + lane.first_before_line(); ++n) {
      const int i = static_cast<int>(n - lane.left());
      const float beyond = i < 0 ? 0.0f : lane.position(i) / std::max(lane.speed(i), Lane::waiting_speed);
      passed.push_back(now - 1000.0 * static_cast<double>(beyond));
    }
  }
  return passed.size() < 20 ? capacity(driver) : 3.6e6 * 16 / (passed[19] - passed[3]);
}

namespace {

// Greens that a controller can end: it decides every decision_ms, and a change takes part of that grid away.
std::vector<std::int32_t> greens(const Signal::Times& times, std::int32_t decision_ms) {
  const std::int32_t change = (times.yellow + times.all_red) % decision_ms;
  const std::int32_t longest = std::max(120000, times.min_green + decision_ms);
  std::vector<std::int32_t> all;
  for (std::int32_t green = decision_ms - change; green <= longest; green += decision_ms)
    if (green >= times.min_green) all.push_back(green);
  return all;
}

}  // namespace

std::array<std::int32_t, 2> plan(const Intersection::Config& config, const Signal::Times& times, int step_ms,
                                 std::int32_t decision_ms) {
  const double saturation = saturation_flow(config.driver, step_ms);
  const std::array<double, 2> flow{config.main_demand, config.side_demand};
  const double lost = lost_time(times.yellow * 1e-3, times.all_red * 1e-3);
  const double change = (times.yellow + times.all_red) * 1e-3;
  const auto candidates = greens(times, decision_ms);

  std::array<std::int32_t, 2> best{};
  std::pair<double, double> best_score{std::numeric_limits<double>::infinity(),
                                       std::numeric_limits<double>::infinity()};
  for (const std::int32_t main : candidates) {
    for (const std::int32_t side : candidates) {
      const double full_cycle = (main + side) * 1e-3 + 2 * change;
      double delay = 0, saturated = 0;
      for (int street = 0; street < 2; ++street) {
        const double effective = (street == 0 ? main : side) * 1e-3 + change - lost;
        delay += flow[street] * mean_delay(full_cycle, effective, flow[street], saturation);
        saturated = std::max(saturated, flow[street] / (saturation * effective / full_cycle));
      }
      const std::pair score{delay, saturated};
      if (best[0] == 0 || score < best_score) {
        best_score = score;
        best = {main, side};
      }
    }
  }
  return best;
}

}  // namespace mobula::rl::webster
