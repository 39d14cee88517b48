// The floor of learning: single-precision products of 512 x 512 matrices on one core.
#pragma once

#include <chrono>

#include "bench/micro/case.h"

namespace mobula::bench {

/// Processor time that `work` takes of this process.
std::chrono::nanoseconds cpu_time();
template <class Work>
std::chrono::nanoseconds cpu_timed(Work&& work) {
  const auto begin = cpu_time();
  work();
  return cpu_time() - begin;
}

/// The row `sgemm`: floating-point operations (two a multiply-add) a second of processor time, by the faster of Eigen
/// and, where its library is installed, OpenBLAS, which is loaded at the first call. `n` is the matrices' size.
Case sgemm_case(int n = 512);

}  // namespace mobula::bench
