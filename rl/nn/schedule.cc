#include <mobula/rl/schedule.h>

#include <cmath>

namespace mobula::rl {
namespace {

// 1 at the start, 0 at the end of a ramp.
double remaining(const std::vector<double>& ramp, std::int64_t steps, std::int64_t total) {
  const double length = ramp.size() > 2 ? ramp[2] : static_cast<double>(total);
  return length > 0 ? std::max(0.0, 1.0 - static_cast<double>(steps) / length) : 1.0;
}

}  // namespace

double Schedule::at(std::int64_t steps, std::int64_t total) const {
  if (linear_) {
    const std::vector<double>& ramp = *linear_;
    return ramp[1] + (ramp[0] - ramp[1]) * remaining(ramp, steps, total);
  }
  if (cosine_) {
    const std::vector<double>& ramp = *cosine_;
    const double part = 0.5 * (1.0 - std::cos(3.14159265358979323846 * remaining(ramp, steps, total)));
    return ramp[1] + (ramp[0] - ramp[1]) * part;
  }
  if (!piecewise_) return constant_;
  const auto& points = *piecewise_;
  const double now = static_cast<double>(steps);
  if (now <= points.front()[0]) return points.front()[1];
  for (std::size_t k = 1; k < points.size(); ++k) {
    const auto& [end, to] = points[k];
    if (now >= end) continue;
    const auto& [begin, from] = points[k - 1];
    return from + (to - from) * ((now - begin) / (end - begin));
  }
  return points.back()[1];
}

std::pair<double, double> Schedule::range() const {
  if (const auto& ramp = linear_ ? linear_ : cosine_) return std::minmax((*ramp)[0], (*ramp)[1]);
  if (!piecewise_) return {constant_, constant_};
  std::pair<double, double> range{piecewise_->front()[1], piecewise_->front()[1]};
  for (const auto& point : *piecewise_) {
    range.first = std::min(range.first, point[1]);
    range.second = std::max(range.second, point[1]);
  }
  return range;
}

void Schedule::describe(Fields& f) {
  f("linear", linear_, {.help = "From the first number in a straight line to the second."});
  f("piecewise", piecewise_, {.help = "Points [steps, value], joined by straight lines."});
  f("cosine", cosine_, {.help = "From the first number along half a cosine wave to the second."});
}

std::string Schedule::problem() const {
  if (linear_.has_value() + piecewise_.has_value() + cosine_.has_value() != 1) {
    return "a schedule is one of {linear: [from, to]}, {piecewise: [[steps, value], ...]} and {cosine: [from, to]}";
  }
  if (const auto& ramp = linear_ ? linear_ : cosine_) {
    if (ramp->size() < 2 || ramp->size() > 3) {
      return "found " + std::to_string(ramp->size()) +
             " numbers; expected [from, to], or [from, to, steps] to arrive before training ends";
    }
    if (ramp->size() == 3 && !((*ramp)[2] > 0))
      return "the third number is the steps that it takes, and must be above 0";
    return {};
  }
  if (piecewise_->empty()) return "piecewise needs at least one point [steps, value]";
  for (std::size_t k = 0; k < piecewise_->size(); ++k) {
    if ((*piecewise_)[k][0] < 0) return "piecewise: steps count from 0";
    if (k > 0 && (*piecewise_)[k][0] <= (*piecewise_)[k - 1][0]) {
      return "piecewise: the steps of the points must increase";
    }
  }
  return {};
}

}  // namespace mobula::rl
