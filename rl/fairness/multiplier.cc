#include "rl/fairness/multiplier.h"

#include <algorithm>
#include <cmath>

namespace mobula::rl {
namespace {

constexpr double kSmoothing = 0.7;   // of the violation, for the proportional and the derivative term
constexpr double kMostViolated = 2;  // an untrained policy must not wind the integral up for the whole run

}  // namespace

void Multiplier::update(double violation, const MultiplierOptions& o) {
  if (!std::isfinite(violation)) return;
  const double e = std::clamp(violation, -kMostViolated, kMostViolated);
  const double before = started_ ? smoothed_ : e;
  smoothed_ = started_ ? kSmoothing * smoothed_ + (1 - kSmoothing) * e : e;
  started_ = true;
  integral_ = std::clamp(integral_ + o.integral * e, 0.0, o.cap);
  const double wanted = o.proportional * smoothed_ + integral_ + o.derivative * std::max(0.0, smoothed_ - before);
  value_ = std::clamp(wanted, 0.0, o.cap);
  at_cap_ = value_ >= o.cap && e > 0 ? at_cap_ + 1 : 0;
}

}  // namespace mobula::rl
