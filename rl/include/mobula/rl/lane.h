#pragma once

#include <mobula/rl/car_following.h>

#include <array>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

namespace mobula::rl {

// One direction of a street: 200 m towards a stop line, the junction, 100 m away from it. One lane, no overtaking.
//
// Cars are a sorted range of a structure of arrays: index 0 is the car that is farthest on, and i - 1 drives ahead of
// i. A position is that of the front bumper in metres, 0 at the stop line and negative before it. A car's number is
// the count of cars that entered before it. Cars that find no room at the entry wait outside, first come, first
// served.
//
// Times are whole milliseconds since the episode began. A car *waits* while it drives slower than 0.1 m/s (SUMO's
// definition) or stands outside; it waits a whole step or not at all.
class Lane {
 public:
  static constexpr int capacity = 64;           // cars on the road; more than fit bumper to bumper
  static constexpr float approach = 200.0f;     // m from the entry to the stop line
  static constexpr float junction = 15.0f;      // m from the stop line to the one of the opposite direction
  static constexpr float end = 115.0f;          // m behind the stop line, where cars leave the model
  static constexpr float waiting_speed = 0.1f;  // m/s

  // A car that waits at a closed stop line stands a metre before it: the line acts as a standing car whose rear is
  // this far behind the line.
  static float stop_obstacle(const Idm& driver) { return static_cast<float>(driver.standstill_gap) - 1.0f; }

  Lane() { clear(); }
  void clear();

  // Moves all cars by one step of the ballistic scheme (constant acceleration, stopping within the step if the speed
  // would change sign; Treiber and Kanagaraj 2015). If `closed`, cars before the stop line that are not committed
  // stop at it. Then waits are counted and cars past the end leave, into `trips`. `now` is the end of the step.
  void advance(const Idm& driver, int step_ms, std::int32_t now, bool closed);

  // Lets in what waits outside, then the car that arrived at `arrival` within the step that ends now.
  void admit_waiting(const Idm& driver, int step_ms, std::int32_t now);
  void arrive(const Idm& driver, int step_ms, std::int32_t now, std::int32_t arrival);

  // When the light turns yellow: every car that could stop only by braking harder than `limit` (m/s^2, positive) is
  // committed to pass; those behind the first that can stop will stop.
  void commit(const Idm& driver, double limit);

  int size() const { return size_; }
  float position(int i) const { return position_[pad + i]; }
  float speed(int i) const { return speed_[pad + i]; }
  std::int32_t wait(int i) const { return wait_[i]; }        // ms so far
  std::int32_t arrival(int i) const { return arrival_[i]; }  // ms
  std::int64_t number(int i) const { return left_ + i; }

  int first_before_line() const;                    // index; size() if none is
  bool clears(float length) const;                  // no car is in the junction or committed to enter it
  int waiting_on_road() const { return waiting_; }  // cars that waited in the last step
  int outside() const { return static_cast<int>(outside_.size()); }
  std::span<const std::int32_t> outside_arrivals() const { return outside_; }
  std::int64_t left() const { return left_; }  // cars that passed the end
  std::int64_t arrived() const { return left_ + size_ + outside(); }

  // Of each car that left, in order: its wait, and its delay (ms over an undisturbed drive).
  std::span<const std::int32_t> finished_waits() const { return finished_wait_; }
  std::span<const std::int32_t> finished_delays() const { return finished_delay_; }

  // The whole state; of the arrays only what is in use.
  template <class Archive>
  void serialize(Archive& archive) {
    archive(size_, waiting_, left_, committed_, outside_, finished_wait_, finished_delay_);
    if (size_ < 0 || size_ > capacity) throw std::length_error("lane: a snapshot holds an impossible number of cars");
    for (int i = 0; i < size_; ++i) archive(position_[pad + i], speed_[pad + i], wait_[i], arrival_[i]);
    fill_unused();
  }

 private:
  static constexpr int pad = 16;  // slot pad - 1 is a car far ahead of the first; pad keeps the first one aligned

  void fill_unused();
  void leave(const Idm& driver, std::int32_t now);
  void enter(float position, float speed, std::int32_t wait, std::int32_t arrival);
  float entry_gap(const Idm& driver, float position) const;

  alignas(64) std::array<float, pad + capacity> position_;
  alignas(64) std::array<float, pad + capacity> speed_;
  alignas(64) std::array<std::int32_t, capacity> wait_;
  alignas(64) std::array<std::int32_t, capacity> arrival_;
  std::int32_t size_ = 0;
  std::int32_t waiting_ = 0;
  std::int64_t left_ = 0;
  std::int64_t committed_ = 0;  // cars with a smaller number pass a closed line
  std::vector<std::int32_t> outside_;
  std::vector<std::int32_t> finished_wait_, finished_delay_;
};

}  // namespace mobula::rl
