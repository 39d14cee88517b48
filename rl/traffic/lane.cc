#include <mobula/rl/lane.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace mobula::rl {
namespace {

constexpr float far_ahead = 1e6f;
constexpr float unused_position = -1e6f;
constexpr float unused_speed = 1e3f;     // fast, so that an unused slot never counts as waiting
constexpr float hardest_braking = 9.0f;  // m/s^2, what tyres give
constexpr float conflict_end = 11.0f;    // m behind the stop line, where the paths of the other street are left

int rounded_up(int size) {
  return (size + 7) & ~7;
}

// Accelerations of cars [0, count). The car ahead of i is at i - 1, so slot -1 must hold one.
void accelerate(const IdmLaw<float>& law, float length, const float* __restrict position, const float* __restrict speed,
                float* __restrict acceleration, int count) {
  for (int i = 0; i < count; ++i) acceleration[i] = law(speed[i], speed[i - 1], position[i - 1] - position[i] - length);
}

// One ballistic step; returns how many cars waited in it. Slots from `size` on are put back to unused.
int integrate(float dt, std::int32_t step_ms, int size, float* __restrict position, float* __restrict speed,
              const float* __restrict acceleration, std::int32_t* __restrict wait, int count) {
  int waiting = 0;
  for (int i = 0; i < count; ++i) {
    const float a = std::max(acceleration[i], -hardest_braking);
    const float v = speed[i];
    const float wanted = v + a * dt;
    const float moved = 0.5f * (v + wanted) * dt;
    const float stopped = -0.5f * v * v / std::min(a, -1e-6f);
    const float new_speed = std::max(wanted, 0.0f);
    const float new_position = position[i] + (wanted >= 0.0f ? moved : stopped);
    speed[i] = i < size ? new_speed : unused_speed;
    position[i] = i < size ? new_position : unused_position;
    const int waits = i < size && new_speed < Lane::waiting_speed ? 1 : 0;
    wait[i] += waits * step_ms;
    waiting += waits;
  }
  return waiting;
}

// The highest speed from which a car can still stop behind a leader that brakes to standstill now, after a reaction
// time of one headway (Krauss 1998). `gap` is net of the standstill gap.
float safe_speed(const Idm& driver, float lead_speed, float gap) {
  const float b = static_cast<float>(driver.deceleration), tau = static_cast<float>(driver.time_headway);
  const float g = std::max(0.0f, gap);
  return -b * tau + std::sqrt(b * b * tau * tau + lead_speed * lead_speed + 2 * b * g);
}

}  // namespace

void Lane::clear() {
  size_ = waiting_ = 0;
  left_ = committed_ = 0;
  outside_.clear();
  finished_wait_.clear();
  finished_delay_.clear();
  position_.fill(unused_position);
  speed_.fill(unused_speed);
  wait_.fill(0);
  arrival_.fill(0);
  position_[pad - 1] = far_ahead;
}

void Lane::fill_unused() {
  for (int i = size_; i < capacity; ++i) {
    position_[pad + i] = unused_position;
    speed_[pad + i] = unused_speed;
    wait_[i] = arrival_[i] = 0;
  }
}

void Lane::advance(const Idm& driver, int step_ms, std::int32_t now, bool closed) {
  if (size_ == 0) {
    waiting_ = 0;
    return;
  }
  const IdmLaw<float> law(driver);
  const int count = rounded_up(size_);
  alignas(64) std::array<float, capacity> acceleration;
  accelerate(law, static_cast<float>(driver.length), &position_[pad], &speed_[pad], acceleration.data(), count);
  if (closed) {
    const int head = std::max<int>(first_before_line(), static_cast<int>(committed_ - left_));
    if (head < size_) {
      const float gap = stop_obstacle(driver) - position(head);
      acceleration[head] = std::min(acceleration[head], law(speed(head), 0.0f, gap));
    }
  }
  waiting_ = integrate(static_cast<float>(step_ms) * 1e-3f, step_ms, size_, &position_[pad], &speed_[pad],
                       acceleration.data(), wait_.data(), count);
  leave(driver, now);
}

void Lane::leave(const Idm& driver, std::int32_t now) {
  int gone = 0;
  while (gone < size_ && position(gone) > end) {
    const float behind = (position(gone) - end) / std::max(speed(gone), waiting_speed);
    const double undisturbed = static_cast<double>(approach + end) / driver.desired_speed;
    const auto delay = now - arrival_[gone] - std::lround(1e3 * (static_cast<double>(behind) + undisturbed));
    finished_wait_.push_back(wait_[gone]);
    finished_delay_.push_back(static_cast<std::int32_t>(std::max(delay, 0l)));
    ++gone;
  }
  if (gone == 0) return;
  std::copy(position_.begin() + pad + gone, position_.begin() + pad + size_, position_.begin() + pad);
  std::copy(speed_.begin() + pad + gone, speed_.begin() + pad + size_, speed_.begin() + pad);
  std::copy(wait_.begin() + gone, wait_.begin() + size_, wait_.begin());
  std::copy(arrival_.begin() + gone, arrival_.begin() + size_, arrival_.begin());
  left_ += gone;
  size_ -= gone;
  for (int i = size_; i < size_ + gone; ++i) {
    position_[pad + i] = unused_position;
    speed_[pad + i] = unused_speed;
    wait_[i] = arrival_[i] = 0;
  }
}

float Lane::entry_gap(const Idm& driver, float position) const {
  if (size_ == 0) return std::numeric_limits<float>::infinity();
  return position_[pad + size_ - 1] - static_cast<float>(driver.length) - position;
}

void Lane::enter(float position, float speed, std::int32_t wait, std::int32_t arrival) {
  position_[pad + size_] = position;
  speed_[pad + size_] = speed;
  wait_[size_] = wait;
  arrival_[size_] = arrival;
  ++size_;
}

void Lane::admit_waiting(const Idm& driver, int step_ms, std::int32_t now) {
  const auto standstill = static_cast<float>(driver.standstill_gap);
  const auto desired = static_cast<float>(driver.desired_speed);
  while (!outside_.empty() && size_ < capacity) {
    const float gap = entry_gap(driver, -approach);
    if (gap < standstill) return;
    const float lead_speed = size_ > 0 ? speed(size_ - 1) : desired;
    const std::int32_t arrival = outside_.front();
    const std::int32_t outside_since = (arrival + step_ms - 1) / step_ms * step_ms;
    enter(-approach, std::min(desired, safe_speed(driver, lead_speed, gap - standstill)), now - outside_since, arrival);
    outside_.erase(outside_.begin());
  }
}

void Lane::arrive(const Idm& driver, int step_ms, std::int32_t now, std::int32_t arrival) {
  const auto standstill = static_cast<float>(driver.standstill_gap);
  const auto desired = static_cast<float>(driver.desired_speed);
  if (outside_.empty() && size_ < capacity) {
    // Where it would be now had it driven on since it arrived, if it can keep (nearly) its speed there.
    const float position = -approach + desired * static_cast<float>(now - arrival) * 1e-3f;
    const float gap = entry_gap(driver, position);
    const float lead_speed = size_ > 0 ? speed(size_ - 1) : desired;
    const float speed = std::min(desired, safe_speed(driver, lead_speed, gap - standstill));
    if (gap >= standstill && speed >= 0.9f * desired) return enter(position, speed, 0, arrival);
  }
  outside_.push_back(arrival);
  admit_waiting(driver, step_ms, now);
}

void Lane::commit(const Idm& driver, double limit) {
  const IdmLaw<float> law(driver);
  int i = first_before_line();
  while (i < size_ && law(speed(i), 0.0f, stop_obstacle(driver) - position(i)) < -static_cast<float>(limit)) ++i;
  committed_ = left_ + i;
}

int Lane::first_before_line() const {
  int i = 0;
  while (i < size_ && position(i) > 0.0f) ++i;
  return i;
}

bool Lane::clears(float length) const {
  const int last = std::max<int>(first_before_line(), static_cast<int>(committed_ - left_)) - 1;
  return last < 0 || position(last) - length >= conflict_end;
}

}  // namespace mobula::rl
