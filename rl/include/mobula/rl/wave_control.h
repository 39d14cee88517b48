#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace mobula::rl {

// The two hand-written controllers with which an automated car damped stop-and-go waves in the field (Stern et al.,
// "Dissipation of stop-and-go waves via control of autonomous vehicles", Transp. Res. C 89, 2018). Both give a speed to
// drive at (m/s); the parameters are the paper's.

// FollowerStopper: drive at `wanted_speed` unless the gap is in one of three zones, whose borders move away as the car
// closes in: stop; follow the car ahead; something in between.
struct FollowerStopper {
  double wanted_speed = 15;                                   // m/s
  double stop_zone = 4.5, follow_zone = 5.25, free_zone = 6;  // m, borders at equal speeds

  // What is mixed in, in the third zone, rises to the wanted speed in the paper. Flow's program has the difference to
  // the car's own speed there instead; `as_in_flow` repeats that.
  double command(double speed, double lead_speed, double gap, bool as_in_flow = false) const {
    const double closing = std::min(lead_speed - speed, 0.0), squared = closing * closing;
    const double first = stop_zone + squared / (2 * 1.5);
    const double second = follow_zone + squared / (2 * 1.0);
    const double third = free_zone + squared / (2 * 0.5);
    const double follow = std::min(std::max(lead_speed, 0.0), wanted_speed);
    if (gap <= first) return 0;
    if (gap <= second) return follow * (gap - first) / (second - first);
    if (gap > third) return wanted_speed;
    return follow + (wanted_speed - (as_in_flow ? speed : follow)) * (gap - second) / (third - second);
  }
};

// PI with saturation: aims at the mean of the car's own speed over 38 s, a little more if the gap is wide, and blends
// in the speed of the car ahead when it is near. Its memory makes it the same only if it sees every step.
class PiSaturation {
 public:
  PiSaturation() : PiSaturation(0.1) {}
  // `dt` in seconds; as in Flow the memory drops its oldest entry on reaching window / dt entries.
  explicit PiSaturation(double dt, double window = 38)
      : history_(static_cast<std::size_t>(std::max(2.0, window / dt)) - 1, 0.0) {}

  // Takes in one step and gives the speed to drive at from now on.
  double observe(double speed, double lead_speed, double gap) {
    if (count_ == history_.size()) {
      sum_ -= history_[next_];
    } else {
      ++count_;
    }
    history_[next_] = speed;
    sum_ += speed;
    next_ = next_ + 1 == history_.size() ? 0 : next_ + 1;
    const double target = sum_ / static_cast<double>(count_) + catch_up * std::clamp((gap - 7) / (30 - 7), 0.0, 1.0);
    const double safe_gap = std::max(2 * (lead_speed - speed), 4.0);
    const double alpha = std::clamp((gap - safe_gap) / 2, 0.0, 1.0), beta = 1 - 0.5 * alpha;
    return command_ = beta * (alpha * target + (1 - alpha) * lead_speed) + (1 - beta) * command_;
  }
  double command() const { return command_; }

  template <class Archive>
  void serialize(Archive& archive) {
    archive(history_, count_, next_, sum_, command_);
  }

 private:
  static constexpr double catch_up = 1;  // m/s

  std::vector<double> history_;
  std::size_t count_ = 0, next_ = 0;
  double sum_ = 0, command_ = 0;
};

}  // namespace mobula::rl
