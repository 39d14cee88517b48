// The floor of learning programs: the rate of a 512 x 512 x 512 single-precision product on one core.
#pragma once

#include <Eigen/Dense>
#include <algorithm>
#include <cstdio>
#include <ctime>

#if defined(MOBULA_HAVE_OPENBLAS)
#include <cblas.h>
extern "C" void openblas_set_num_threads(int);
#endif

namespace mobula::bench {

inline double cpu_seconds() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Seconds of one call, the best of several rounds.
template <class F>
double best_of(int rounds, int calls, const F& f) {
  double best = 1e30;
  for (int r = 0; r < rounds; ++r) {
    const double start = cpu_seconds();
    for (int k = 0; k < calls; ++k) f();
    best = std::min(best, (cpu_seconds() - start) / calls);
  }
  return best;
}

inline double eigen_rate(int n) {
  const Eigen::MatrixXf a = Eigen::MatrixXf::Random(n, n), b = Eigen::MatrixXf::Random(n, n);
  Eigen::MatrixXf c(n, n);
  return 2.0 * n * n * n / best_of(10, 5, [&] { c.noalias() = a * b; });
}

inline double openblas_rate([[maybe_unused]] int n) {
#if defined(MOBULA_HAVE_OPENBLAS)
  openblas_set_num_threads(1);
  const Eigen::MatrixXf a = Eigen::MatrixXf::Random(n, n), b = Eigen::MatrixXf::Random(n, n);
  Eigen::MatrixXf c(n, n);
  return 2.0 * n * n * n / best_of(10, 5, [&] {
           cblas_sgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, a.data(), n, b.data(), n, 0, c.data(), n);
         });
#else
  return 0;
#endif
}

// In FLOP/s: the faster of Eigen and OpenBLAS.
inline double print_sgemm_rate() {
  const double eigen = eigen_rate(512), openblas = openblas_rate(512);
  std::printf("SGEMM 512^3, one core: Eigen %.1f GFLOP/s, OpenBLAS %.1f GFLOP/s\n", eigen / 1e9, openblas / 1e9);
  return std::max(eigen, openblas);
}

}  // namespace mobula::bench
