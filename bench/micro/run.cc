#include <cmath>
#include <map>
#include <numeric>
#include <thread>

#include "bench/micro/case.h"
#include "bench/micro/statistics.h"

namespace mobula::bench {

namespace {

using std::chrono::nanoseconds;

struct Series {
  std::vector<double> microseconds;  // of each call, where operations are timed one by one
  std::vector<double> trials;        // of each: operations a second, or the amount
  std::vector<double> work;          // the floor's operations a second, of each call
  std::size_t n = 0;
  double operations = 0, seconds = 0;  // of the trial that runs
  nanoseconds spent{};                 // of wall time, in the trial that runs
  nanoseconds last{};                  // wall time of the latest call
  std::string missing;
};

bool timed_one_by_one(const Case& what) {
  return what.measure == Measure::latency || what.measure == Measure::speed;
}

class Runner {
 public:
  Runner(std::span<const Case> cases, const RunOptions& options)
      : cases_(cases), options_(options), series_(cases.size()) {}

  std::vector<Figures> run() {
    trial(0, options_.warm_up, 1);
    for (Series& series : series_) series = Series{.last = series.last, .missing = series.missing};
    for (int number = 1; number <= options_.trials; ++number) {
      trial(number, options_.trial_time, options_.turns);
      for (Series& series : series_) end_trial(series);
    }
    return figures();
  }

 private:
  void trial(int number, nanoseconds time, int turns) {
    if (options_.begins) options_.begins(number);
    for (int turn = 1; turn <= turns; ++turn) {
      for (std::size_t i = 0; i < cases_.size(); ++i) {
        Series& series = series_[i];
        if (!series.missing.empty()) continue;
        try {
          take_turn(cases_[i], series, time * turn / turns, time / turns);
        } catch (const CannotMeasure& why) {
          series.missing = why.what();
        }
      }
    }
  }

  // Calls until the case has had the time that it is owed by now; at least once a trial.
  void take_turn(const Case& what, Series& series, nanoseconds owed, nanoseconds turn) {
    if (what.measure == Measure::amount) {
      if (series.spent.count() != 0) return;
      series.trials.push_back(what.amount());
      series.spent = nanoseconds(1);
      ++series.n;
      return;
    }
    if (series.spent >= owed) return;
    const Surroundings surroundings(what);
    // Others ran meanwhile: what they took (caches, leases) is taken back unseen, unless a call is long.
    if (series.last.count() != 0 && series.last < turn / 10) call(what);
    while (series.spent < owed) {
      const auto begin = options_.now();
      const nanoseconds took = call(what);
      series.last = std::max(nanoseconds(1), options_.now() - begin);
      series.spent += series.last;
      series.seconds += std::chrono::duration<double>(took).count();
      series.operations += what.operations;
      ++series.n;
      if (what.work && took.count() > 0)
        series.work.push_back(what.work() / std::chrono::duration<double>(took).count());
      if (timed_one_by_one(what)) {
        series.microseconds.push_back(std::chrono::duration<double, std::micro>(took).count() / what.operations);
      }
    }
  }

  nanoseconds call(const Case& what) const {
    if (what.idle.count() > 0) {
      options_.sleep ? options_.sleep(what.idle) : std::this_thread::sleep_for(what.idle);
    }
    return what.once();
  }

  struct Surroundings {
    explicit Surroundings(const Case& of) : of_(of) {
      if (of_.surroundings) of_.surroundings(true);
    }
    ~Surroundings() {
      if (of_.surroundings) of_.surroundings(false);
    }
    Surroundings(const Surroundings&) = delete;
    Surroundings& operator=(const Surroundings&) = delete;
    const Case& of_;
  };

  static void end_trial(Series& series) {
    if (series.seconds > 0) series.trials.push_back(series.operations / series.seconds);
    series.operations = series.seconds = 0;
    series.spent = {};
  }

  std::vector<Figures> figures() {
    std::vector<Figures> all;
    std::map<std::string, std::size_t> by_name;
    for (std::size_t i = 0; i < cases_.size(); ++i) {
      by_name[cases_[i].name] = i;
      all.push_back(summary(cases_[i], series_[i]));
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto floor = by_name.find(all[i].floor);
      if (floor == by_name.end()) continue;
      all[i].ratio = cases_[i].work ? part_of(all[floor->second], cases_[i].measure, series_[i].work)
                                    : ratio(cases_[i].measure, all[i], all[floor->second]);
    }
    return all;
  }

  static Figures summary(const Case& what, Series& series) {
    Figures row{.name = what.name,
                .per_second = {},
                .sd = {},
                .p50_us = {},
                .p99_us = {},
                .floor = what.floor,
                .ratio = {},
                .n = series.n,
                .amount = {},
                .unit = what.unit,
                .missing = series.missing,
                .note = what.note && series.missing.empty() ? what.note() : ""};
    if (series.trials.empty()) return row;
    const auto count = static_cast<double>(series.trials.size());
    const double mean = std::accumulate(series.trials.begin(), series.trials.end(), 0.0) / count;
    if (series.trials.size() > 1) {
      double squares = 0;
      for (const double trial : series.trials) squares += (trial - mean) * (trial - mean);
      row.sd = std::sqrt(squares / (count - 1));
    }
    if (what.measure == Measure::amount) {
      row.amount = percentile(series.trials, 0.5);
      return row;
    }
    row.per_second = mean;
    if (!series.microseconds.empty()) {
      row.p50_us = percentile(series.microseconds, 0.5);
      row.p99_us = percentile(series.microseconds, 0.99);
    }
    return row;
  }

  static std::optional<double> ratio(Measure measure, const Figures& row, const Figures& floor) {
    if (!row.per_second || !floor.per_second) return std::nullopt;
    if (measure == Measure::rate || !row.p50_us || !floor.p50_us) return *row.per_second / *floor.per_second;
    return measure == Measure::speed ? *floor.p50_us / *row.p50_us : *row.p50_us / *floor.p50_us;
  }

  static std::optional<double> part_of(const Figures& floor, Measure measure, std::vector<double>& work) {
    if (work.empty() || !floor.per_second) return std::nullopt;
    const double part = percentile(work, 0.5) / *floor.per_second;
    return measure == Measure::latency ? 1 / part : part;
  }

  const std::span<const Case> cases_;
  const RunOptions& options_;
  std::vector<Series> series_;
};

}  // namespace

std::vector<Figures> run(std::span<const Case> cases, const RunOptions& options) {
  return Runner(cases, options).run();
}

}  // namespace mobula::bench
