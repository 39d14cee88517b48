#include "bench/micro/sgemm.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <memory>

namespace mobula::bench {
namespace {

// cblas_sgemm(order, trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
using Sgemm = void (*)(int, int, int, int, int, int, float, const float*, int, const float*, int, float, float*, int);

Sgemm load_openblas() {
  // Read once, when the library is loaded; without it OpenBLAS starts a thread a core.
  ::setenv("OPENBLAS_NUM_THREADS", "1", 0);
  void* library = ::dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
  if (!library) return nullptr;
  if (auto* threads = reinterpret_cast<void (*)(int)>(::dlsym(library, "openblas_set_num_threads"))) threads(1);
  return reinterpret_cast<Sgemm>(::dlsym(library, "cblas_sgemm"));
}

struct Products {
  explicit Products(int size)
      : n(size),
        a(Eigen::MatrixXf::Random(n, n)),
        b(Eigen::MatrixXf::Random(n, n)),
        c(n, n),
        openblas(load_openblas()) {}

  std::chrono::nanoseconds faster() {
    const auto ours = cpu_timed([&] { c.noalias() = a * b; });
    eigen_best = std::min(eigen_best, ours);
    if (!openblas) return ours;
    constexpr int column_major = 102, plain = 111;
    const auto theirs =
        cpu_timed([&] { openblas(column_major, plain, plain, n, n, n, 1, a.data(), n, b.data(), n, 0, c.data(), n); });
    openblas_best = std::min(openblas_best, theirs);
    return std::min(ours, theirs);
  }
  double operations() const { return 2.0 * n * n * n; }
  std::string in_words() const {
    const auto rate = [&](std::chrono::nanoseconds best) { return operations() / static_cast<double>(best.count()); };
    return fmt::format("at best {:.0f} GFLOP/s by Eigen, {}", rate(eigen_best),
                       openblas ? fmt::format("{:.0f} by OpenBLAS", rate(openblas_best)) : "OpenBLAS is not installed");
  }

  const int n;
  const Eigen::MatrixXf a, b;
  Eigen::MatrixXf c;
  const Sgemm openblas;
  std::chrono::nanoseconds eigen_best = std::chrono::hours(1), openblas_best = std::chrono::hours(1);
};

}  // namespace

std::chrono::nanoseconds cpu_time() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

Case sgemm_case(int n) {
  auto products = std::make_shared<std::unique_ptr<Products>>();
  Case out;
  out.name = "sgemm";
  out.group = "floors";
  out.about = fmt::format("a {0} x {0} x {0} product in single precision, by the faster of Eigen and OpenBLAS", n);
  out.measure = Measure::rate;
  out.operations = 2.0 * n * n * n;
  out.once = [products, n] {
    if (!*products) *products = std::make_unique<Products>(n);
    return (*products)->faster();
  };
  out.note = [products] { return *products ? (*products)->in_words() : ""; };
  return out;
}

}  // namespace mobula::bench
