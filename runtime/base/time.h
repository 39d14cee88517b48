// Time as the state machines see it: given to them with every input, never asked for. In production it is the steady
// clock's; the simulator counts from zero.
#pragma once

#include <chrono>

namespace mobula {

using Duration = std::chrono::nanoseconds;
using Time = std::chrono::time_point<std::chrono::steady_clock, Duration>;

/// "No timer": later than everything.
inline constexpr Time never = Time::max();

/// The production clock. Only shells call it.
inline Time steady_now() {
  return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
}

}  // namespace mobula
