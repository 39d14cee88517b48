// Large values are read where they lie, by the process that made them, by tasks and by the driver.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>

#include <mobula/codec/eigen.h>
#include <mobula/runtime.h>

namespace mobula {
namespace {

using namespace std::chrono_literals;
using Matrix = Eigen::MatrixXd;

Matrix ramp(int n) {
  Matrix m(n, n);
  for (int i = 0; i < n * n; ++i) m.data()[i] = i;
  return m;
}
double sum_in_place(MatrixView<Matrix> m) {
  return m->sum();
}
bool lies_apart_from_the_heap(MatrixView<Matrix> m) {
  // The arena is mapped far from the heap; a copy would be on it.
  const auto heap = std::make_unique<double[]>(1);
  const auto distance = reinterpret_cast<std::intptr_t>(m.data()) - reinterpret_cast<std::intptr_t>(heap.get());
  return std::abs(distance) > (std::intptr_t{1} << 30) && reinterpret_cast<std::uintptr_t>(m.data()) % 64 == 0;
}

TEST(Views, AMatrixIsReadInPlaceByTasksAndByTheDriver) {
  const Runtime rt = Runtime::start({.workers = 2});
  const Ref<Matrix> ref = rt.remote<ramp>(300);
  const double n = 300.0 * 300.0;
  EXPECT_EQ(rt.remote<sum_in_place>(ref).get(60s), n * (n - 1) / 2);
  EXPECT_TRUE(rt.remote<lies_apart_from_the_heap>(ref).get(60s));
  const auto first = view(ref), second = view(ref);
  EXPECT_EQ(first.data(), second.data()) << "one memory, no copies";
  EXPECT_EQ((*first)(299, 299), n - 1);
}

TEST(Views, AViewOutlivesItsRefAndItsRuntime) {
  std::optional<MatrixView<Matrix>> kept;
  {
    const Runtime rt = Runtime::start({.workers = 1});
    kept = view(rt.put(ramp(200)));
  }
  EXPECT_EQ((**kept)(199, 199), 200.0 * 200.0 - 1);
}

TEST(Views, SmallMatricesAndArgumentsFitToo) {
  const Runtime rt = Runtime::start({.workers = 1});
  EXPECT_EQ(view(rt.put(ramp(2)))->sum(), 6);
  EXPECT_EQ(rt.remote<sum_in_place>(rt.put(ramp(3))).get(60s), 36);
}

}  // namespace
}  // namespace mobula
