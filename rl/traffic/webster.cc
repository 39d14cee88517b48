#include "rl/traffic/webster.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mobula::rl::webster {

double lost_time(double yellow, double all_red) {
  return start_up_loss + yellow + all_red - used_of_yellow;
}

double cycle(double lost, double flow_ratio_sum) {
  if (flow_ratio_sum >= 1) return 120;
  return std::clamp((1.5 * lost + 5) / (1 - flow_ratio_sum), 20.0, 120.0);
}

double mean_delay(double cycle, double effective_green, double flow, double saturation_flow) {
  const double u = effective_green / cycle, q = flow / 3600;
  const double x = q / (u * saturation_flow / 3600);
  if (q <= 0) return 0;
  if (x >= 1) return std::numeric_limits<double>::infinity();
  const double uniform = cycle * (1 - u) * (1 - u) / (2 * (1 - u * x));
  const double random = x * x / (2 * q * (1 - x));
  return uniform + random - 0.65 * std::cbrt(cycle / (q * q)) * std::pow(x, 2 + 5 * u);
}

namespace {

// The next green that a controller can end: it decides every decision_ms, the change takes `change` of them away.
std::int32_t on_grid(double green_ms, std::int32_t change, const Signal::Times& times, std::int32_t decision, bool up) {
  const double shown = std::max<double>(green_ms, times.min_green);
  const double periods = (shown + change) / decision;
  std::int32_t green = static_cast<std::int32_t>(up ? std::ceil(periods) : std::floor(periods)) * decision - change;
  while (green < times.min_green || green <= 0) green += decision;
  return green;
}

}  // namespace

std::array<std::int32_t, 2> plan(const Intersection::Config& config, const Signal::Times& times,
                                 std::int32_t decision_ms) {
  const std::int32_t change = times.yellow + times.all_red;
  const double saturation = capacity(config.driver);
  const std::array<double, 2> flow{config.main_demand, config.side_demand};
  const std::array<double, 2> ratio{flow[0] / saturation, flow[1] / saturation};
  const double sum = ratio[0] + ratio[1];
  const double lost = 2 * lost_time(times.yellow * 1e-3, times.all_red * 1e-3);
  const double best_cycle = cycle(lost, sum);

  std::array<std::int32_t, 2> best{};
  double best_delay = std::numeric_limits<double>::infinity();
  for (const bool up0 : {false, true}) {
    for (const bool up1 : {false, true}) {
      std::array<std::int32_t, 2> green;
      for (int street = 0; street < 2; ++street) {
        const double share = sum > 0 ? ratio[street] / sum : 0.5;
        const double displayed = share * (best_cycle - lost) + start_up_loss - used_of_yellow;
        green[street] = on_grid(1000 * displayed, change, times, decision_ms, street == 0 ? up0 : up1);
      }
      const double rounded_cycle = (green[0] + green[1] + 2 * change) * 1e-3;
      double delay = 0;
      for (int street = 0; street < 2; ++street) {
        const double effective = green[street] * 1e-3 - start_up_loss + used_of_yellow;
        delay += flow[street] * mean_delay(rounded_cycle, effective, flow[street], saturation);
      }
      // (Above saturation every plan's delay is infinite: the longest greens, which waste least, are tried last.)
      if (delay <= best_delay) {
        best_delay = delay;
        best = green;
      }
    }
  }
  return best;
}

}  // namespace mobula::rl::webster
