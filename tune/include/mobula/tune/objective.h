#pragma once

#include <mobula/tune/space.h>

#include <cstdint>
#include <limits>
#include <string>

namespace mobula::tune {

/// A piece of work on a trial: bring it from one amount of resource to another. The resource is whatever the study's
/// scheduler counts in (environment steps, epochs); a study without a scheduler asks once, from 0 to its `max`.
///
/// An objective must be a function of its job alone: it may be asked again for the same one, in another process, after
/// a crash or a resumption, and has to answer the same.
struct Job {
  std::int64_t trial = 0;
  std::int64_t repeat = 0;  ///< 0 .. seeds_per_trial - 1
  std::uint64_t seed = 0;   ///< follows from the study's seed, the trial and the repeat; below 2^31
  Params params;
  double from = 0;    ///< where `state` stands; 0 at the beginning and for trials that cannot be resumed
  double until = 1;   ///< what to reach
  std::string state;  ///< what the report of the last job of this trial and repeat carried; any bytes
  std::int64_t slot = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(trial, repeat, seed, params, from, until, state, slot);
  }
};

/// What came of a job.
struct Report {
  double value = std::numeric_limits<double>::quiet_NaN();  ///< of the metric at `until`; NaN fails the trial
  std::string state = {};                                   ///< kept in the journal: small, or the name of a file
  std::int64_t iterations = 1;                              ///< done so far by this trial and repeat
  double seconds = 0;                                       ///< of this job; filled in by run()
  /// How well the objective knows its value, for tables: a 95 % interval and the independent units behind it. NaN and
  /// 0: it does not say. Nothing is decided by them.
  double low = std::numeric_limits<double>::quiet_NaN();
  double high = std::numeric_limits<double>::quiet_NaN();
  std::int64_t n = 0;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(value, state, iterations, seconds, low, high, n);
  }
};

}  // namespace mobula::tune
