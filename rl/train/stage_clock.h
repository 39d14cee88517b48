#pragma once

#include <mobula/rl/stage_seconds.h>

#include <chrono>

namespace mobula::rl {

/// Books wall time to stages: at each moment to the innermost one that is open, to `other` when none is.
///
///   const auto span = clock.span(Stage::update);   // until the end of the scope
///
/// Two readings of the clock a span. Of one thread.
class StageClock {
 public:
  using Clock = std::chrono::steady_clock;
  using Now = Clock::time_point (*)();
  explicit StageClock(Now now = &Clock::now) : now_(now), since_(now()) {}

  class [[nodiscard]] Span {
   public:
    Span(StageClock& clock, Stage stage) : clock_(clock), before_(clock.stage_) { clock_.turn_to(stage); }
    ~Span() { clock_.turn_to(before_); }
    Span(const Span&) = delete;
    Span& operator=(const Span&) = delete;

   private:
    StageClock& clock_;
    const Stage before_;
  };
  Span span(Stage stage) { return Span(*this, stage); }

  /// So far, the open stage included.
  StageSeconds seconds() const {
    StageSeconds all = seconds_;
    all[stage_] += std::chrono::duration<double>(now_() - since_).count();
    return all;
  }

 private:
  void turn_to(Stage stage) {
    const auto now = now_();
    seconds_[stage_] += std::chrono::duration<double>(now - since_).count();
    since_ = now;
    stage_ = stage;
  }

  const Now now_;
  StageSeconds seconds_;
  Clock::time_point since_;
  Stage stage_ = Stage::other;
};

}  // namespace mobula::rl
