#include "rl/traffic/drawing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace mobula::rl::drawing {

Light light(const Signal& signal, int street) {
  if (signal.phase != street || signal.stage == Signal::Stage::all_red) return Light::red;
  return signal.stage == Signal::Stage::green ? Light::green : Light::yellow;
}

std::string clock(std::int32_t ms) {
  const int seconds = ms / 1000;
  return fmt::format("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

std::string wait_colour(std::int32_t wait_ms) {
  struct Stop {
    double seconds;
    std::array<double, 3> rgb;
  };
  constexpr std::array<Stop, 3> stops{{{0, {60, 190, 180}}, {30, {250, 205, 75}}, {90, {222, 60, 60}}}};
  const double seconds = std::clamp(wait_ms / 1000.0, 0.0, 90.0);
  const int k = seconds < stops[1].seconds ? 0 : 1;
  const double share = (seconds - stops[k].seconds) / (stops[k + 1].seconds - stops[k].seconds);
  std::array<int, 3> rgb;
  for (int c = 0; c < 3; ++c)
    rgb[c] = static_cast<int>(std::lround(stops[k].rgb[c] + share * (stops[k + 1].rgb[c] - stops[k].rgb[c])));
  return fmt::format("#{:02x}{:02x}{:02x}", rgb[0], rgb[1], rgb[2]);
}

}  // namespace mobula::rl::drawing
