#pragma once

#include <optional>
#include <string>
#include <vector>

namespace mobula::cli {

/// One line of `mobula microbenchmark`. What does not apply, or could not be measured, is empty.
struct BenchmarkRow {
  std::string name;
  std::optional<double> per_second;
  std::optional<double> p50_us;
  std::optional<double> p99_us;
  std::string floor;            ///< name of the row that this one is held against; empty for a floor
  std::optional<double> ratio;  ///< against the floor; see benchmark_rows()
};

struct BenchmarkOptions {
  int rounds = 20;  ///< of everything, one after the other, so that a noisy minute hits all rows alike
  int workers = 0;  ///< of the runtime; 0: one a cpu
};

/// Measures the runtime and, in the same rounds, the floors (bench/micro/floors.h), which come last.
///
/// The ratio of a latency is its median over the floor's: 0.5 is twice as fast. That of a rate is its number a second
/// over the floor's, and that of put_100mb the part of memcpy's speed that it reaches: 1 is as fast. Must be called
/// while the process has one thread: it forks.
std::vector<BenchmarkRow> benchmark_rows(const BenchmarkOptions& options);

}  // namespace mobula::cli
