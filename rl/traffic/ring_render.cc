#include <fmt/format.h>
#include <mobula/rl/ring.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numbers>
#include <string>
#include <vector>

namespace mobula::rl {
namespace {

// Angle of each car's front bumper, clockwise from the top.
std::vector<double> angles(const Ring& env) {
  std::vector<double> out;
  double position = env.odometer();
  for (const double gap : env.gaps()) {
    out.push_back(2 * std::numbers::pi * position / env.length());
    position += gap + env.config().driver.length;
  }
  return out;
}

std::string headline(const Ring& env) {
  double sum = 0;
  for (const double v : env.speeds()) sum += v;
  return fmt::format("{:.1f} s   {} m   mean speed {:.2f} m/s, in equilibrium {:.2f}",
                     env.now() * env.config().time_step, env.length(), sum / env.config().vehicles,
                     env.equilibrium_speed());
}

// Red when standing, over yellow, to green at twice the equilibrium speed and beyond.
std::string speed_colour(double share) {
  return fmt::format("hsl({:.0f} 75% 45%)", 140 * std::clamp(share / 2, 0.0, 1.0));
}

}  // namespace

std::string Ring::render_text() const {
  constexpr int columns = 61, rows = 25;
  std::vector<std::string> lines(rows, std::string(columns, ' '));
  const auto put = [&](double angle, char glyph) {
    const auto column = static_cast<std::size_t>(std::lround((columns - 1) / 2.0 * (1 + 0.98 * std::sin(angle))));
    const auto row = static_cast<std::size_t>(std::lround((rows - 1) / 2.0 * (1 - 0.98 * std::cos(angle))));
    lines[row][column] = glyph;
  };
  for (int k = 0; k < 180; ++k) put(2 * std::numbers::pi * k / 180, '.');
  const auto angle = angles(*this);
  for (std::size_t i = 1; i < angle.size(); ++i) put(angle[i], speed_[i] < 0.1 ? 'x' : 'o');
  put(angle[0], config_.automated ? 'A' : 'o');
  std::string text = headline(*this) + "\n";
  for (auto& line : lines) {
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text + "  A automated, o human, x human who stands; they drive clockwise\n";
}

std::string Ring::render_svg() const {
  constexpr double size = 640, radius = 250, middle = size / 2;
  const double metre = 2 * std::numbers::pi * radius / length_;
  std::string out = fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {0}" font-family="sans-serif">)"
      "\n"
      R"(<rect width="{0}" height="{0}" fill="#eef0ea"/><circle cx="{1}" cy="{1}" r="{2}" fill="none" stroke="#5b6068" stroke-width="22"/>)"
      "\n",
      size, middle, radius);
  const auto angle = angles(*this);
  for (std::size_t i = 0; i < angle.size(); ++i) {
    const bool own = i == 0 && config_.automated;
    fmt::format_to(std::back_inserter(out),
                   R"svg(<g transform="translate({0} {0}) rotate({1:.2f}) translate(0 -{2})">)svg"
                   R"(<rect x="-{3:.1f}" y="-6" width="{3:.1f}" height="12" rx="4" fill="{4}"{5}/></g>)"
                   "\n",
                   middle, angle[i] * 180 / std::numbers::pi, radius, config_.driver.length * metre,
                   speed_colour(speed_[i] / equilibrium_), own ? R"( stroke="#1d5bd8" stroke-width="3")" : "");
  }
  fmt::format_to(
      std::back_inserter(out),
      R"(<g fill="#3a4048" text-anchor="middle"><text x="{0}" y="{1}" font-size="22" font-weight="bold">Ring</text>)"
      R"(<text x="{0}" y="{2}" font-size="13">{3}</text>)"
      R"(<text x="{0}" y="{4}" font-size="13">red stands; the automated car has a blue edge</text></g>)"
      "\n</svg>\n",
      middle, middle - 16, middle + 10, headline(*this), middle + 30);
  return out;
}

}  // namespace mobula::rl
