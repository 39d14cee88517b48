// Virtual time: what happens next, and when. Events of one instant happen in the order in which they were scheduled, so
// a run is a function of its seed.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

#include "runtime/base/time.h"

namespace mobula::sim {

class EventQueue {
 public:
  Time now() const { return now_; }
  void at(Time when, std::function<void()> what) { events_.push({std::max(when, now_), ++order_, std::move(what)}); }
  void after(Duration delay, std::function<void()> what) { at(now_ + delay, std::move(what)); }

  bool empty() const { return events_.empty(); }
  Time next() const { return events_.empty() ? never : events_.top().when; }
  /// Runs the next event; false if there is none.
  bool step() {
    if (events_.empty()) return false;
    now_ = events_.top().when;
    const auto what = std::move(const_cast<Event&>(events_.top()).what);
    events_.pop();
    what();
    return true;
  }

 private:
  struct Event {
    Time when;
    std::uint64_t order;
    std::function<void()> what;
    bool operator<(const Event& other) const {
      return when != other.when ? when > other.when : order > other.order;  // the heap's top is the earliest
    }
  };
  std::priority_queue<Event> events_;
  std::uint64_t order_ = 0;
  Time now_{};
};

}  // namespace mobula::sim
