#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/micro/case.h"

namespace mobula::cli {

struct BenchmarkOptions {
  std::vector<std::string> only;  ///< names of rows or of groups (mobula, ray, floors); empty: all
  int trials = 4;
  double seconds = 2;  ///< of each row in a trial
  bool quick = false;  ///< tries everything once, with a hundredth of the things: for tests, the figures mean nothing
  int workers = 0;     ///< of the runtime; 0: one a cpu
  std::function<void(const std::string&)> tell{};  ///< what is being done, in a line; for people
};

/// What can be measured: names, groups and a sentence each, in the order of the table.
std::vector<bench::Case> benchmark_list();

/// Measures the rows chosen and the floors that they are held against, interleaved. Must be called while the process
/// has one thread: it forks. Throws UsageError for a name that is none.
std::vector<bench::Figures> benchmark_rows(const BenchmarkOptions& options);

/// Those whose name or group is among `only` (empty: all), and their floors. Throws UsageError for a name that is none.
std::vector<bench::Case> chosen_cases(std::vector<bench::Case> cases, const std::vector<std::string>& only);

/// How long and how often, as the options say; tells which trial begins.
bench::RunOptions run_options(const BenchmarkOptions& options, std::size_t cases);

/// What the project has promised itself of a row, and what Ray reaches on two cores (docs/internals/performance.md).
struct BenchmarkTarget {
  enum Figure { ratio, p99_to_floor, over_floor_us, per_second, p50_us, amount };
  std::string text;  ///< of the figure, for people
  std::string row;
  Figure figure;
  bool at_most;  ///< else at least
  double limit;
  std::string ray;  ///< what Ray 2.60 and ray-cpp do, in words; may be empty
};
const std::vector<BenchmarkTarget>& benchmark_targets();

/// The figure that a target speaks of; empty where its row was not measured.
std::optional<double> figure_of(const BenchmarkTarget& target, const std::vector<bench::Figures>& rows);

}  // namespace mobula::cli
