#pragma once

#include <mobula/fields.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mobula::rl {

// A number that may change while training goes on. Where options have one, a plain number does as well:
//
//   .lr = 1e-3                                              lr: 0.001
//   .lr = Schedule::linear(1e-3, 0)                         lr: {linear: [0.001, 0]}
//   .lr = Schedule::cosine(1e-3, 1e-5, 200'000)             lr: {cosine: [0.001, 0.00001, 200000]}
//   .lr = Schedule::piecewise({{0, 1e-3}, {50'000, 1e-4}})  lr: {piecewise: [[0, 0.001], [50000, 0.0001]]}
//
// Steps are those of all environments. Linear and cosine go from the first number to the second and reach it when
// training ends (stop.env_steps) or, with a third number, after so many steps; cosine along half a wave (Loshchilov,
// Hutter 2017). Piecewise joins its points by straight lines and is constant before the first and after the last.
class Schedule {
 public:
  Schedule(double value = 0) : constant_(value) {}
  static Schedule linear(double from, double to, std::int64_t steps = 0) {
    Schedule schedule;
    schedule.linear_ = ramp(from, to, steps);
    return schedule;
  }
  static Schedule cosine(double from, double to, std::int64_t steps = 0) {
    Schedule schedule;
    schedule.cosine_ = ramp(from, to, steps);
    return schedule;
  }
  static Schedule piecewise(std::vector<std::array<double, 2>> points) {
    Schedule schedule;
    schedule.piecewise_ = std::move(points);
    return schedule;
  }

  // The value when so many of `total` steps are done (total 0: it is not known when training ends, and what depends on
  // it stays at its beginning). The schedule has no problem().
  double at(std::int64_t steps, std::int64_t total) const;

  // What configuration files see (fields.h): a number, or one of three keys.
  bool is_number() const { return !linear_ && !piecewise_ && !cosine_; }
  double& number() {
    if (!is_number()) *this = Schedule();
    return constant_;
  }
  // The smallest and the largest value it takes.
  std::pair<double, double> range() const;
  void describe(Fields& f);
  std::string problem() const;

  bool operator==(const Schedule&) const = default;

 private:
  static std::vector<double> ramp(double from, double to, std::int64_t steps) {
    std::vector<double> numbers{from, to};
    if (steps > 0) numbers.push_back(static_cast<double>(steps));
    return numbers;
  }

  double constant_ = 0;
  std::optional<std::vector<double>> linear_, cosine_;
  std::optional<std::vector<std::array<double, 2>>> piecewise_;
};

}  // namespace mobula::rl
