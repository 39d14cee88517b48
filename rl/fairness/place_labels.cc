#include "rl/fairness/place_labels.h"

#include <algorithm>
#include <limits>

namespace mobula::rl {
namespace {

constexpr double kMarker = 6;  // half the size of a point with some air

double area(const Box& box) {
  return (box.right - box.left) * (box.bottom - box.top);
}

}  // namespace

double Box::overlap(const Box& other) const {
  const double width = std::min(right, other.right) - std::max(left, other.left);
  const double height = std::min(bottom, other.bottom) - std::max(top, other.top);
  return width > 0 && height > 0 ? width * height : 0;
}

void place_labels(std::span<Label> labels, const std::vector<Box>& taken, const Box& inside, double character,
                  double line) {
  std::vector<Box> occupied = taken;
  for (const Label& label : labels) {
    occupied.push_back({label.x - kMarker, label.y - kMarker, label.x + kMarker, label.y + kMarker});
  }
  for (Label& label : labels) {
    const double width = character * static_cast<double>(label.text.size());
    double least = std::numeric_limits<double>::infinity();
    for (const double away : {1.0, 2.5}) {
      for (const double side : {1.0, -1.0, 0.0}) {
        for (const double above : {0.0, 1.0, -1.0}) {
          if (side == 0 && above == 0) continue;
          // To a side the text begins beside the point; above or below it may also be centred on it.
          const double near = kMarker * (above == 0 || side == 0 ? away : 1.0);
          const double left = side > 0 ? label.x + near : side < 0 ? label.x - near - width : label.x - width / 2;
          const double middle = label.y - above * (kMarker * away + line / 2) * (side == 0 ? 1.0 : 0.8);
          const Box box{left, middle - line / 2, left + width, middle + line / 2};
          double cost = area(box) - box.overlap(inside);
          for (const Box& other : occupied) cost += box.overlap(other);
          if (cost >= least - 1e-9) continue;
          least = cost;
          label.box = box;
        }
      }
    }
    occupied.push_back(label.box);
  }
}

}  // namespace mobula::rl
