#pragma once

#include <mobula/rl/train.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace mobula::cli {

/// How a training run stands, gathered from its events: what people and programs are shown. Holds no clock; not
/// synchronised.
class TrainStatus {
 public:
  using Time = std::chrono::steady_clock::time_point;

  void on_start(const rl::StartEvent& event, Time now);
  void on_rollout(const rl::RolloutEvent& event, Time now);
  void on_update(const rl::UpdateEvent& event, Time now);
  void on_evaluation(const rl::EvaluationEvent& event, Time now);
  /// Time passes while nothing happens.
  void at(Time now) { now_ = now; }

  /// Four lines or more, of at most so many columns each.
  std::vector<std::string> lines(int columns) const;
  /// One line for a log: "iteration 12      3072 of 51200 steps (6 %)   return 21.3 [18, 24]   ...".
  std::string line() const;
  /// One object for programs, described in docs/guide/program.md.
  nlohmann::ordered_json json() const;

  double seconds() const { return std::chrono::duration<double>(now_ - began_).count(); }
  /// Of the last ten seconds of this process; nothing until two iterations are known.
  std::optional<double> steps_per_second() const;
  std::optional<double> seconds_left() const;

 private:
  struct Constraint {
    std::string metric, part;
    bool upper;
    double limit, value, bound, multiplier;
    bool kept() const { return upper ? bound <= limit : bound >= limit; }
    std::string text(int columns) const;
  };
  struct Evaluation {
    std::int64_t env_steps;
    rl::Estimate total;
  };
  rl::Estimate training_return() const;
  std::string stages_text() const;

  Time began_{}, now_{};
  rl::Progress progress_;
  std::int64_t total_ = 0;
  struct Sample {
    Time time;
    std::int64_t env_steps;
  };
  std::deque<Sample> samples_;
  std::deque<double> returns_;  // of the last 100 training episodes that this process saw
  std::vector<Constraint> constraints_;
  rl::StageSeconds stages_;
  std::optional<Evaluation> evaluation_;
  std::vector<std::string> finally_evaluated_;  // policies
};

/// "0:07", "12:34", "3:04:05".
std::string clock_text(double seconds);
/// "1,003,520".
std::string grouped(std::int64_t number);

}  // namespace mobula::cli
