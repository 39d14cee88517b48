#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace mobula::bench {

/// What a row tells, and what its ratio to the row named as floor is.
enum class Measure {
  latency,  ///< each operation is timed: p50 and p99. Ratio: p50 over the floor's, so 0.5 is twice as fast
  speed,    ///< the same, but the ratio is the floor's p50 over this one's: the part of its speed that is reached
  rate,     ///< many at a time: how many a second. Ratio: over the floor's number a second
  amount,   ///< something other than time, in `unit`
};

/// One row of a table of measurements: what is done again and again, and how it is counted.
struct Case {
  std::string name;
  std::string group;  ///< of the rows that are chosen together
  std::string about;  ///< what one call of `once` is, for people
  std::string floor;  ///< name of the row that this one is held against; empty for a floor
  Measure measure = Measure::latency;
  double operations = 1;                     ///< counted by one call of `once`
  std::chrono::nanoseconds idle{};           ///< slept before each
  std::function<void(bool)> surroundings{};  ///< called with true before a run of calls, with false after it
  /// Does it and returns the time that counts. The first call of all may prepare what the others need. Throws
  /// CannotMeasure where the machine does not allow it.
  std::function<std::chrono::nanoseconds()> once{};
  /// Of what is held against a floor that counts another thing (floating-point operations, say): so many of the floor's
  /// operations are in the latest call of `once`. The ratio is then the part of the floor's rate at which they were
  /// done, the median over all calls; of a latency its inverse, how many times as long they took.
  std::function<double()> work{};
  std::function<double()> amount{};  ///< instead of `once`, of Measure::amount
  std::string unit{};
  std::function<std::string()> note{};  ///< asked at the end: what else people should know of it
};

/// Why a row has no figures on this machine, in words for people.
class CannotMeasure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What came of a case. What does not apply, or could not be measured, is empty.
struct Figures {
  std::string name;
  std::optional<double> per_second;  ///< the mean of the trials
  std::optional<double> sd;          ///< of the trials' numbers a second (of an amount: of the amounts)
  std::optional<double> p50_us;      ///< over all operations of all trials
  std::optional<double> p99_us;
  std::string floor;
  std::optional<double> ratio;  ///< against the floor; see Measure
  std::size_t n = 0;            ///< operations that were counted
  std::optional<double> amount;
  std::string unit;
  std::string missing;  ///< why there is nothing
  std::string note;
};

struct RunOptions {
  int trials = 4;
  std::chrono::nanoseconds trial_time = std::chrono::seconds(2);  ///< of each case, at least one call
  std::chrono::nanoseconds warm_up = std::chrono::milliseconds(500);
  /// A trial goes round all cases so many times, so that a case and its floor meet the same minute of a shared machine.
  int turns = 5;
  std::function<void(int trial)> begins{};  ///< told of each trial, 0 being the warm-up
  std::function<std::chrono::steady_clock::time_point()> now = std::chrono::steady_clock::now;
  std::function<void(std::chrono::nanoseconds)> sleep{};  ///< of a case's idleness; default: nanosleep
};

/// Measures all cases, interleaved; figures in the order of the cases.
std::vector<Figures> run(std::span<const Case> cases, const RunOptions& options);

/// What `work` takes.
template <class Work>
std::chrono::nanoseconds timed(Work&& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::steady_clock::now() - begin;
}

}  // namespace mobula::bench
