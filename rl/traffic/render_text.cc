#include <fmt/format.h>
#include <mobula/rl/intersection.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "rl/traffic/drawing.h"

namespace mobula::rl {
namespace {

// The roads on a grid of 77 x 25 characters: six metres a column along the main street, twenty a row along the side
// street, where up to three cars stand side by side in one row.
constexpr int columns = 77, rows = 25;
constexpr int left = 34, across = 9, above = 10, down = 5;

class Canvas {
 public:
  Canvas() : lines_(rows, std::string(columns, ' ')) {
    for (int c = 0; c < columns; ++c) {
      if (c >= left && c < left + across) continue;
      lines_[above][c] = lines_[above + down - 1][c] = '-';
      if (c % 4 < 2) lines_[above + 2][c] = '-';
    }
    for (int r = 0; r < rows; ++r) {
      if (r >= above && r < above + down) continue;
      lines_[r][left] = lines_[r][left + across - 1] = '|';
      if (r % 2 == 0) lines_[r][left + 4] = ':';
    }
  }

  void put(int row, int column, char c) {
    if (row >= 0 && row < rows && column >= 0 && column < columns) lines_[row][column] = c;
  }

  void car(int approach, float position, char glyph) {
    const float p = position;
    const auto place = [p](int before, int inside, float metres) {
      if (p <= 0) return before + static_cast<int>(std::floor(p / metres));
      if (p < Lane::junction) return before + static_cast<int>(p * static_cast<float>(inside) / Lane::junction);
      return before + inside + static_cast<int>((p - Lane::junction) / metres);
    };
    const int column = std::min(place(left, across, 6.0f), columns - 1);
    const int row = std::min(place(above, down, 20.0f), rows - 1);
    if (approach == Intersection::west) put(above + 3, column, glyph);
    if (approach == Intersection::east) put(above + 1, columns - 1 - column, glyph);
    if (approach == Intersection::north) put_beside(row, left + 1, glyph);
    if (approach == Intersection::south) put_beside(rows - 1 - row, left + 5, glyph);
  }

  const std::vector<std::string>& lines() const { return lines_; }

 private:
  void put_beside(int row, int column, char glyph) {
    for (int c = column; c < column + 3; ++c) {
      if (row < 0 || row >= rows || lines_[row][c] != ' ') continue;
      lines_[row][c] = glyph;
      return;
    }
  }

  std::vector<std::string> lines_;
};

}  // namespace

std::string Intersection::render_text() const {
  const std::array<drawing::Light, 2> light{drawing::light(signal_, main_street), drawing::light(signal_, side_street)};
  const std::array<std::string_view, 3> light_name{"green", "yellow", "red"};
  Canvas canvas;
  const std::array<char, approaches> forward{'>', '<', 'v', '^'};
  std::string table;
  for (int a = 0; a < approaches; ++a) {
    const Lane& lane = lanes_[a];
    int waiting = lane.outside(), on_approach = 0;
    std::int32_t longest = lane.outside() > 0 ? now_ - lane.outside_arrivals().front() : 0;
    for (int i = 0; i < lane.size(); ++i) {
      const bool waits = lane.speed(i) < Lane::waiting_speed;
      canvas.car(a, lane.position(i), !waits ? forward[a] : lane.wait(i) < 60000 ? 'o' : '@');
      if (lane.position(i) > 0) continue;
      ++on_approach;
      waiting += waits ? 1 : 0;
      longest = std::max(longest, lane.wait(i));
    }
    const auto arrived = std::max<std::int64_t>(1, lane.arrived());
    table += fmt::format("  {:<6}{:>9}{:>13}{:>10}{:>11.1f} s{:>15} s\n", approach_names[a], waiting, on_approach,
                         lane.outside(), static_cast<double>(waited_[a]) / 1000.0 / static_cast<double>(arrived),
                         longest / 1000);
  }
  const std::array<char, 3> letter{'G', 'Y', 'R'};
  canvas.put(above + 4, left - 1, letter[static_cast<int>(light[main_street])]);
  canvas.put(above, left + across, letter[static_cast<int>(light[main_street])]);
  canvas.put(above - 1, left - 1, letter[static_cast<int>(light[side_street])]);
  canvas.put(above + down, left + across, letter[static_cast<int>(light[side_street])]);

  std::string text =
      fmt::format("{}   main {} ({:.0f}/h)   side {} ({:.0f}/h)   {:.0f} s so far\n", drawing::clock(now_),
                  light_name[static_cast<int>(light[main_street])], config_.main_demand,
                  light_name[static_cast<int>(light[side_street])], config_.side_demand, signal_.elapsed / 1000.0);
  for (std::string line : canvas.lines()) {
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  text += "  from    waiting  on approach   outside    mean wait     longest now\n";
  return text + table + "  o waits, @ waits for a minute or more\n";
}

}  // namespace mobula::rl
