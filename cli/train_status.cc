#include "cli/train_status.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/output.h"
#include "cli/table.h"
#include "rl/train/statistics.h"

namespace mobula::cli {
namespace {

constexpr std::size_t kReturns = 100;
constexpr auto kSpeedWindow = std::chrono::seconds(10);
constexpr int kBar = 30;

std::string interval_text(const rl::Estimate& e) {
  if (std::isnan(e.low)) return short_number(e.value);
  return fmt::format("{} [{}, {}]", short_number(e.value), short_number(e.low), short_number(e.high));
}

nlohmann::ordered_json estimate_json(const rl::Estimate& e) {
  return {{"value", json_number(e.value)}, {"ci95", {json_number(e.low), json_number(e.high)}}, {"n", e.n}};
}

std::string percent(double part, double whole) {
  return fmt::format("{:.0f} %", whole > 0 ? 100 * part / whole : 0);
}

/// Of what was to be done, at most all of it: the last iteration may end beyond (whole episodes do), and so may a run
/// that is resumed with fewer steps to go.
double done_share(std::int64_t steps, std::int64_t total) {
  return total > 0 ? std::clamp(static_cast<double>(steps) / static_cast<double>(total), 0.0, 1.0) : 0;
}

}  // namespace

std::string clock_text(double seconds) {
  const auto s = static_cast<std::int64_t>(std::lround(std::max(seconds, 0.0)));
  if (s < 3600) return fmt::format("{}:{:02}", s / 60, s % 60);
  return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

std::string grouped(std::int64_t number) {
  std::string text = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > (number < 0 ? 1 : 0); at -= 3) {
    text.insert(static_cast<std::size_t>(at), ",");
  }
  return text;
}

void TrainStatus::on_start(const rl::StartEvent& event, Time now) {
  began_ = now_ = now;
  progress_ = event.progress;
  total_ = event.total_env_steps;
}

void TrainStatus::on_rollout(const rl::RolloutEvent& event, Time now) {
  now_ = now;
  progress_ = event.progress;
  // Speed is that of this process: a resumed run starts from many steps.
  samples_.push_back({now, progress_.env_steps});
  while (samples_.size() > 2 && now - samples_[1].time > kSpeedWindow) samples_.pop_front();
  for (const auto& end : event.ended) {
    returns_.push_back(end.total);
    if (returns_.size() > kReturns) returns_.pop_front();
  }
}

void TrainStatus::on_update(const rl::UpdateEvent& event, Time now) {
  now_ = now;
  progress_ = event.progress;
  stages_ = event.stages;
  constraints_.clear();
  for (const auto& c : event.constraints) {
    constraints_.push_back(
        {std::string(c.metric), std::string(c.part), c.upper, c.limit, c.value, c.bound, c.multiplier});
  }
}

void TrainStatus::on_evaluation(const rl::EvaluationEvent& event, Time now) {
  now_ = now;
  if (event.final) {
    finally_evaluated_.emplace_back(event.policy);
  } else if (const auto* total = rl::find(event.metrics, "return")) {
    evaluation_ = {event.progress.env_steps, *total};
  }
}

std::optional<double> TrainStatus::steps_per_second() const {
  if (samples_.size() < 2) return std::nullopt;
  const double seconds = std::chrono::duration<double>(samples_.back().time - samples_.front().time).count();
  if (seconds <= 0) return std::nullopt;
  return static_cast<double>(samples_.back().env_steps - samples_.front().env_steps) / seconds;
}

std::optional<double> TrainStatus::seconds_left() const {
  const auto speed = steps_per_second();
  if (!speed || *speed <= 0) return std::nullopt;
  const double since = std::chrono::duration<double>(now_ - samples_.back().time).count();
  return std::max(0.0, static_cast<double>(total_ - progress_.env_steps) / *speed - since);
}

rl::Estimate TrainStatus::training_return() const {
  return rl::mean_estimate(std::vector<double>(returns_.begin(), returns_.end()));
}

std::string TrainStatus::Constraint::text(int columns) const {
  // The verdict comes early, where no terminal cuts it off.
  std::string text = part.empty() ? metric : fmt::format("{} ({})", metric, part);
  text += std::isnan(bound) ? ": not known yet" : kept() ? ": kept" : ": not kept";
  text += fmt::format(", bound {}, {} {:g}", short_number(bound), upper ? "at most" : "at least", limit);
  if (columns >= 110) text += fmt::format(", value {}, multiplier {}", short_number(value), short_number(multiplier));
  return text;
}

std::string TrainStatus::stages_text() const {
  std::string text;
  for (std::size_t s = 0; s < rl::stage_names.size(); ++s) {
    const double seconds = stages_.seconds[s];
    if (seconds < 0.005 * stages_.total()) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : "   ", rl::stage_names[s], percent(seconds, stages_.total()));
  }
  return text;
}

std::vector<std::string> TrainStatus::lines(int columns) const {
  const double part = done_share(progress_.env_steps, total_);
  const auto filled = static_cast<std::size_t>(part * kBar);
  std::vector<std::string> text{fmt::format("[{}{}] {:.0f} %   {} of {} steps", std::string(filled, '='),
                                            std::string(kBar - filled, ' '), 100 * part, grouped(progress_.env_steps),
                                            grouped(total_))};
  const auto speed = steps_per_second();
  const auto left = seconds_left();
  text.push_back(fmt::format("iteration {}   {} steps/s   {} gone   {} left", progress_.iteration,
                             speed ? grouped(std::llround(*speed)) : "-", clock_text(seconds()),
                             left ? clock_text(*left) : "-"));
  const rl::Estimate total = training_return();
  text.push_back(total.n == 0
                     ? "return  no episode has ended yet"
                     : fmt::format("return  {}   over the last {} training episodes", interval_text(total), total.n));
  for (const auto& c : constraints_) text.push_back("limit   " + c.text(columns));
  if (stages_.total() > 0) text.push_back("time    " + stages_text());
  if (evaluation_) {
    text.push_back(fmt::format("held-out at {} steps: return {}, n = {}", grouped(evaluation_->env_steps),
                               interval_text(evaluation_->total), evaluation_->total.n));
  }
  if (!finally_evaluated_.empty()) {
    std::string names = "evaluated on held-out episodes:";
    for (std::size_t i = 0; i < finally_evaluated_.size(); ++i) names += (i > 0 ? ", " : " ") + finally_evaluated_[i];
    std::istringstream folded(wrapped(names, columns));
    for (std::string line; std::getline(folded, line);) text.push_back(line);
  } else if (part >= 1) {
    text.emplace_back("evaluating on held-out episodes ...");
  }
  return text;
}

std::string TrainStatus::line() const {
  std::string text = fmt::format("iteration {:<6} {:>10} of {} steps ({})", progress_.iteration, progress_.env_steps,
                                 total_, percent(done_share(progress_.env_steps, total_), 1));
  if (const rl::Estimate total = training_return(); total.n > 0) text += "   return " + interval_text(total);
  for (const auto& c : constraints_) {
    text += fmt::format("   {}{} {} (limit {:g})", c.metric, c.part.empty() ? "" : " " + c.part, short_number(c.bound),
                        c.limit);
  }
  if (const auto speed = steps_per_second()) text += fmt::format("   {:.0f} steps/s", *speed);
  if (const auto left = seconds_left()) text += fmt::format("   {} left", clock_text(*left));
  return text;
}

nlohmann::ordered_json TrainStatus::json() const {
  const auto known = [](const std::optional<double>& value) {
    return value ? json_number(*value) : nlohmann::ordered_json(nullptr);
  };
  nlohmann::ordered_json object{{"event", "progress"},
                                {"iteration", progress_.iteration},
                                {"env_steps", progress_.env_steps},
                                {"total_env_steps", total_},
                                {"episodes", progress_.episodes},
                                {"seconds", json_number(seconds())},
                                {"seconds_left", known(seconds_left())},
                                {"steps_per_second", known(steps_per_second())},
                                {"return", estimate_json(training_return())}};
  object["constraints"] = nlohmann::ordered_json::array();
  for (const auto& c : constraints_) {
    object["constraints"].push_back({{"metric", c.metric},
                                     {"part", c.part},
                                     {"kind", c.upper ? "at_most" : "at_least"},
                                     {"limit", json_number(c.limit)},
                                     {"value", json_number(c.value)},
                                     {"bound", json_number(c.bound)},
                                     {"multiplier", json_number(c.multiplier)}});
  }
  object["stage_seconds"] = nlohmann::ordered_json::object();
  for (std::size_t s = 0; s < rl::stage_names.size(); ++s) {
    object["stage_seconds"][std::string(rl::stage_names[s])] = json_number(stages_.seconds[s]);
  }
  return object;
}

}  // namespace mobula::cli
