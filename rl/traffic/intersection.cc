#include <mobula/rl/intersection.h>

#include <fmt/format.h>
#include <mobula/fields.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "rl/traffic/webster.h"

namespace mobula::rl {
namespace {

std::int32_t to_ms(double seconds) {
  return static_cast<std::int32_t>(std::lround(seconds * 1000));
}

std::int32_t whole_steps(double seconds, std::int32_t step_ms) {
  return static_cast<std::int32_t>(std::lround(seconds * 1000 / step_ms)) * step_ms;
}

}  // namespace

void Intersection::Config::describe(Fields& f) {
  f("main_demand", main_demand,
    {.unit = "vehicles/h", .min = 0, .max = 3600, .help = "Cars an hour on each of the two main approaches."});
  f("side_demand", side_demand,
    {.unit = "vehicles/h", .min = 0, .max = 3600, .help = "Cars an hour on each of the two side approaches."});
  f("min_green", min_green, {.unit = "s", .min = 0, .max = 120, .help = "A green lasts at least this long."});
  f("yellow", yellow, {.unit = "s", .min = 2, .max = 10, .help = "Yellow at the end of a green."});
  f("all_red", all_red, {.unit = "s", .min = 0, .max = 10, .help = "Red for everyone before the next green."});
  f("decision_period", decision_period, {.unit = "s", .min = 1, .max = 60, .help = "Time between two decisions."});
  f("episode_length", episode_length, {.unit = "s", .min = 60, .max = 14400, .help = "Time simulated in an episode."});
  f("time_step", time_step, {.unit = "s", .min = 0.1, .max = 1, .help = "Step of the car-following model."});
  f("yellow_braking", yellow_braking,
    {.unit = "m/s^2", .min = 2, .max = 8, .help = "A car that would have to brake harder at yellow passes."});
  f("driver", driver, {.help = "The car-following model (intelligent driver model)."});
}

std::span<const GroupSetView> Intersection::group_sets() {
  static constexpr std::array<int, approaches> streets{main_street, main_street, side_street, side_street};
  static constexpr std::array<int, approaches> each{west, east, north, south};
  static constexpr std::array<GroupSetView, 2> all{
      {{"street", group_names, streets}, {"approach", approach_names, each}}};
  return all;
}

// With the longest greens the changes cost the smallest share; two minutes is what plans are allowed.
std::string Intersection::Config::overload() const {
  const double flow = webster::saturation_flow(driver, to_ms(time_step));
  const double lost = 2 * webster::lost_time(yellow, all_red), cycle = 2 * 120 + 2 * (yellow + all_red);
  const double used = (main_demand + side_demand) / flow, available = 1 - lost / cycle;
  if (used < available) return {};
  return fmt::format(
      "the demand is above saturation: {:g} and {:g} vehicles/h need {:.0f} % of the time at {:.0f} vehicles/h of "
      "green, "
      "and at most {:.0f} % can be green; queues grow under any policy, so lower main_demand or side_demand",
      main_demand, side_demand, 100 * used, flow, 100 * available);
}

std::string Intersection::Config::problem() const {
  if (decision_period < time_step) return "decision_period: it must be at least time_step";
  if (episode_length < decision_period) return "episode_length: it must be at least decision_period";
  return {};
}

Intersection::Intersection(const Config& config) : config_(config) {
  if (const auto problem = config.problem(); !problem.empty())
    throw std::invalid_argument("intersection: impossible configuration: " + problem);
  step_ms_ = std::max(1, to_ms(config.time_step));
  times_ = {whole_steps(config.min_green, step_ms_), whole_steps(config.yellow, step_ms_),
            whole_steps(config.all_red, step_ms_)};
  steps_per_decision_ = std::max(1, whole_steps(config.decision_period, step_ms_) / step_ms_);
  const std::int32_t decision_ms = steps_per_decision_ * step_ms_;
  end_ms_ =
      std::max<std::int32_t>(1, static_cast<std::int32_t>(std::lround(config.episode_length * 1000 / decision_ms))) *
      decision_ms;
  fixed_green_ = webster::plan(config, times_, step_ms_, decision_ms);
  for (int a = 0; a < approaches; ++a) last_.group[a] = street_of(a);
}

double Intersection::demand(int approach) const {
  return street_of(approach) == main_street ? config_.main_demand : config_.side_demand;
}

void Intersection::draw_arrival(int approach, Random& random) {
  const double rate = demand(approach) / 3600;
  next_arrival_[approach] += rate > 0 ? -std::log1p(-random.uniform()) / rate : std::numeric_limits<double>::infinity();
}

Intersection::Observation Intersection::reset(Random& random) {
  now_ = 0;
  signal_ = {};
  waited_ = {};
  last_.cost = {};
  for (int a = 0; a < approaches; ++a) {
    lanes_[a].clear();
    next_arrival_[a] = 0;
    draw_arrival(a, random);
  }
  return observe();
}

// One step of the model under the light as it stands; then the light's clock moves on.
void Intersection::advance(Random& random) {
  const auto length = static_cast<float>(config_.driver.length);
  // A fresh green is not entered while the other street's last cars are still in the junction.
  const std::array<bool, 2> clear{lanes_[west].clears(length) && lanes_[east].clears(length),
                                  lanes_[north].clears(length) && lanes_[south].clears(length)};
  now_ += step_ms_;
  for (int a = 0; a < approaches; ++a) {
    Lane& lane = lanes_[a];
    const int street = street_of(a);
    const bool closed = !signal_.green(street) || !clear[1 - street];
    vehicle_updates_ += lane.size();
    lane.advance(config_.driver, step_ms_, now_, closed);
    waited_[a] += static_cast<std::int64_t>(lane.waiting_on_road() + lane.outside()) * step_ms_;
    lane.admit_waiting(config_.driver, step_ms_, now_);
    while (next_arrival_[a] * 1000 <= now_) {
      lane.arrive(config_.driver, step_ms_, now_, static_cast<std::int32_t>(std::ceil(next_arrival_[a] * 1000)));
      draw_arrival(a, random);
    }
  }
  signal_.advance(step_ms_, times_);
}

Step<Intersection::Observation> Intersection::step(const Action& action, Random& random) {
  const auto before = waited_;
  const int old_phase = signal_.phase;
  if (signal_.request(action.index, times_))
    for (int a = 0; a < approaches; ++a)
      if (street_of(a) == old_phase) lanes_[a].commit(config_.driver, config_.yellow_braking);
  for (int k = 0; k < steps_per_decision_; ++k) advance(random);

  Step<Observation> result;
  std::int64_t total = 0;
  for (int a = 0; a < approaches; ++a) {
    const std::int64_t waited = waited_[a] - before[a];
    last_.cost[a] = static_cast<float>(static_cast<double>(waited) / 1000);
    total += waited;
  }
  const double mean_waiting = static_cast<double>(total) / (steps_per_decision_ * step_ms_);
  result.reward = -mean_waiting / 10;
  result.truncated = now_ >= end_ms_;
  result.observation = observe();
  return result;
}

std::array<bool, 2> Intersection::action_mask() const {
  std::array<bool, 2> mask{signal_.next == 0, signal_.next == 1};
  if (signal_.may_change(times_)) mask = {true, true};
  return mask;
}

}  // namespace mobula::rl
