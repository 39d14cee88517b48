#include <mobula/rl/ring.h>

#include <mobula/fields.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace mobula::rl {
namespace {

// SUMO's passenger car without a standstill gap, as in Flow's ring.
constexpr Krauss failsafe{.standstill_gap = 0};

}  // namespace

void Ring::Config::describe(Fields& f) {
  f("vehicles", vehicles, {.min = 2, .max = 1000, .help = "Cars on the ring, the automated one included."});
  f("min_length", min_length, {.unit = "m", .min = 20, .max = 100000, .help = "Shortest ring."});
  f("max_length", max_length, {.unit = "m", .min = 20, .max = 100000, .help = "Longest ring."});
  f("automated", automated, {.help = "Whether the agent drives a car; if not, all drive as humans."});
  f("warmup", warmup, {.unit = "steps", .min = 0, .max = 100000, .help = "All drive as humans for so long at first."});
  f("horizon", horizon, {.unit = "steps", .min = 3, .max = 100000, .help = "Steps of an episode."});
  f("steps_per_decision", steps_per_decision, {.min = 1, .max = 100, .help = "Steps for which an action is held."});
  f("time_step", time_step, {.unit = "s", .min = 0.01, .max = 0.5, .help = "Step of the car-following model."});
  f("noise", noise, {.unit = "m/s^2", .min = 0, .max = 1, .help = "Deviation of a human's acceleration."});
  f("bunching", bunching, {.unit = "m", .min = 0, .max = 100000, .help = "Road that is empty at the start."});
  f("driver", driver, {.help = "The human drivers (intelligent driver model)."});
}

std::string Ring::Config::problem() const {
  if (min_length > max_length) return "min_length: it must be at most max_length";
  if (min_length - bunching < vehicles * (driver.length + 0.5))
    return "the cars do not fit: min_length less bunching must leave each its length and half a metre";
  return {};
}

Ring::Ring(const Config& config) : config_(config), law_(config.driver), pi_(config.time_step) {
  if (const auto problem = config.problem(); !problem.empty())
    throw std::invalid_argument("ring: impossible configuration: " + problem);
}

Ring::Observation Ring::reset(Random& random) {
  const auto n = static_cast<std::size_t>(config_.vehicles);
  length_ = config_.min_length +
            static_cast<int>(random.below(static_cast<std::uint32_t>(config_.max_length - config_.min_length + 1)));
  equilibrium_ =
      rl::equilibrium_speed(config_.driver, static_cast<double>(length_) / config_.vehicles - config_.driver.length);
  speed_.assign(n + 1, 0.0);
  gap_.assign(n, (length_ - config_.bunching) / config_.vehicles - config_.driver.length);
  gap_[random.below(static_cast<std::uint32_t>(n))] += config_.bunching;
  pi_ = PiSaturation(config_.time_step);
  crashed_ = false;
  now_ = 0;
  odometer_ = sum_ = settled_sum_ = settled_squares_ = 0;
  settled_steps_ = settled_stopped_ = 0;
  slowest_ = config_.driver.desired_speed;
  for (int k = 0; k < config_.warmup && !crashed_; ++k) advance(nullptr, random);
  return observe();
}

double Ring::human_acceleration() const {
  return law_(speed_[0], speed_[1], gap_[0]);
}

// One step of the model. Without a command the automated car has a human driver.
void Ring::advance(const double* command, Random& random) {
  const std::size_t n = gap_.size();
  const double dt = config_.time_step, deviation = config_.noise * std::sqrt(dt);
  double* const v = speed_.data();
  double* const gap = gap_.data();
  const double own = v[0], safe = failsafe.safe_speed(v[1], gap[0]);
  // In place: a car's leader is one further and still has its old speed; only the last car's leader is done already,
  // which is what the copy at the end is for.
  for (std::size_t i = 0; i < n; ++i) {
    const double acceleration = law_(v[i], v[i + 1], gap[i]) + (deviation > 0 ? deviation * random.normal() : 0.0);
    v[i] = std::max(0.0, v[i] + acceleration * dt);
  }
  if (command) v[0] = std::max(0.0, std::min(own + *command * dt, safe));
  v[n] = v[0];
  double least = gap[0];
  for (std::size_t i = 0; i < n; ++i) {
    gap[i] += (v[i + 1] - v[i]) * dt;
    least = std::min(least, gap[i]);
  }
  crashed_ = least <= 0;
  odometer_ += v[0] * dt;
  pi_.observe(v[0], v[1], gap[0]);
  vehicle_updates_ += static_cast<std::int64_t>(n);
}

void Ring::measure() {
  double sum = 0, squares = 0, slowest = slowest_;
  int stopped = 0;
  for (const double v : speeds()) {
    sum += v;
    squares += v * v;
    slowest = std::min(slowest, v);
    stopped += v < 0.1 ? 1 : 0;
  }
  sum_ += sum;
  if (now_ <= config_.horizon - config_.horizon / 3) return;
  settled_sum_ += sum;
  settled_squares_ += squares;
  slowest_ = slowest;
  settled_stopped_ += stopped;
  ++settled_steps_;
}

Step<Ring::Observation> Ring::step(const Action& action, Random& random) {
  const double command = static_cast<double>(action.value[0]);
  const double before = sum_;
  int steps = 0;
  do {
    advance(config_.automated ? &command : nullptr, random);
    ++steps;
    ++now_;
    measure();
  } while (steps < config_.steps_per_decision && !crashed_);
  Step<Observation> result;
  const double mean_speed = (sum_ - before) / (config_.vehicles * steps);
  result.reward = crashed_ ? 0 : 4 * mean_speed / 20 - (config_.automated ? 4 * std::abs(command) : 0);
  result.terminated = crashed_;
  result.truncated = !crashed_ && now_ >= config_.horizon;
  result.observation = observe();
  return result;
}

Ring::Observation Ring::observe() const {
  return {static_cast<float>(speed_[0] / 15), static_cast<float>((speed_[1] - speed_[0]) / 15),
          static_cast<float>((gap_[0] + config_.driver.length) / config_.max_length)};
}

void Ring::report(EpisodeReport& out) const {
  const auto total = [&](std::string_view name, double value) { out.add_total(name, {}, std::llround(1000 * value)); };
  const double cars = config_.vehicles;
  if (now_ == 0) return;
  total("mean_speed", sum_ / (cars * now_));
  if (settled_steps_ == 0) return;  // crashed before
  const double count = cars * static_cast<double>(settled_steps_), mean = settled_sum_ / count;
  total("settled_speed", mean);
  total("settled_deviation", std::sqrt(std::max(0.0, settled_squares_ / count - mean * mean)));
  total("slowest", slowest_);
  total("of_equilibrium", mean / equilibrium_);
  total("stopped", static_cast<double>(settled_stopped_) / count);
}

}  // namespace mobula::rl
