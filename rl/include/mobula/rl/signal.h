#pragma once

#include <cstdint>

namespace mobula::rl {

// A traffic light with two phases: green for the main street (0) or for the side street (1). A change runs through
// yellow for the old phase and red for all.
//
// A request for the other phase is taken only while a green that has lasted its minimum is shown; any other request is
// dropped, not remembered: whoever wants the change asks again at the next decision.
struct Signal {
  enum class Stage : std::uint8_t { green, yellow, all_red };
  struct Times {
    std::int32_t min_green = 0, yellow = 0, all_red = 0;  // ms
  };

  std::int32_t phase = 0;  // the one that has, or during a change had, green
  std::int32_t next = 0;   // the one that a change leads to; equals `phase` while green
  Stage stage = Stage::green;
  std::int32_t elapsed = 0;  // ms in this stage

  bool may_change(const Times& times) const { return stage == Stage::green && elapsed >= times.min_green; }
  bool green(int street) const { return stage == Stage::green && phase == street; }

  // True when the request begins a change (the yellow starts now).
  bool request(int wanted, const Times& times) {
    if (wanted == phase || !may_change(times)) return false;
    next = wanted;
    stage = Stage::yellow;
    elapsed = 0;
    settle(times);
    return true;
  }

  void advance(std::int32_t step_ms, const Times& times) {
    elapsed += step_ms;
    settle(times);
  }

  template <class Archive>
  void serialize(Archive& archive) {
    archive(phase, next, stage, elapsed);
  }

 private:
  void settle(const Times& times) {
    if (stage == Stage::yellow && elapsed >= times.yellow) {
      stage = Stage::all_red;
      elapsed -= times.yellow;
    }
    if (stage == Stage::all_red && elapsed >= times.all_red) {
      stage = Stage::green;
      elapsed -= times.all_red;
      phase = next;
    }
  }
};

}  // namespace mobula::rl
