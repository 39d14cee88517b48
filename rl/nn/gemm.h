// Products of small matrices that stay in the caches: C = start + A B, with an epilogue applied to each tile while it
// is still in registers.
//
// Each element of C is one chain of fused multiply-adds over k = 0, 1, ..., begun at its start value, whatever the
// number of rows or the tile it falls into. So a row's result does not depend on the batch it is computed with, which
// Eigen's and BLAS products do not promise. B and C have columns in whole vectors (padded); A has any strides.
#pragma once

#include <cstddef>
#include <utility>

#include "rl/nn/simd.h"

namespace mobula::rl::nn {

// A(m, k) = data[m * row + k * column]: a matrix or its transpose.
template <class T>
struct Strided {
  const T* data;
  std::ptrdiff_t row;
  std::ptrdiff_t column;
};

namespace gemm_detail {

// 16 or more chains hide the latency of the multiply-add: rows x vectors of C held in registers at once.
#if defined(__AVX512F__)
inline constexpr int kRows = 6, kVectors = 4;
#else
inline constexpr int kRows = 6, kVectors = 2;
#endif

template <class T, int M, int V, class Start, class Epilogue>
MOBULA_INLINE void tile(int depth, Strided<T> a, const T* b, std::ptrdiff_t ldb, T* c, std::ptrdiff_t ldc, int m0,
                        int n0, const Start& start, const Epilogue& epilogue) {
  constexpr int L = kLanes<T>;
  Vector<T> sum[M][V];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sum[m][v] = start(m0 + m, n0 + v * L);
  }
  const T* a_k = a.data + m0 * a.row;
  const T* b_k = b + n0;
  for (int k = 0; k < depth; ++k, a_k += a.column, b_k += ldb) {
    Vector<T> right[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) right[v] = load(b_k + v * L);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      const Vector<T> left = splat(a_k[m * a.row]);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sum[m][v] = fma(left, right[v], sum[m][v]);
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      store(c + (m0 + m) * ldc + n0 + v * L, epilogue(sum[m][v], m0 + m, n0 + v * L));
    }
  }
}

template <class T, int V, class Start, class Epilogue>
void columns(int rows, int depth, Strided<T> a, const T* b, std::ptrdiff_t ldb, T* c, std::ptrdiff_t ldc, int n0,
             const Start& start, const Epilogue& epilogue) {
  int m = 0;
  for (; m + kRows <= rows; m += kRows) tile<T, kRows, V>(depth, a, b, ldb, c, ldc, m, n0, start, epilogue);
  switch (rows - m) {
    case 5:
      return tile<T, 5, V>(depth, a, b, ldb, c, ldc, m, n0, start, epilogue);
    case 4:
      return tile<T, 4, V>(depth, a, b, ldb, c, ldc, m, n0, start, epilogue);
    case 3:
      return tile<T, 3, V>(depth, a, b, ldb, c, ldc, m, n0, start, epilogue);
    case 2:
      return tile<T, 2, V>(depth, a, b, ldb, c, ldc, m, n0, start, epilogue);
    case 1:
      return tile<T, 1, V>(depth, a, b, ldb, c, ldc, m, n0, start, epilogue);
    default:
      return;
  }
}

}  // namespace gemm_detail

// C (rows x width) = start(m, n) + A (rows x depth) B (depth x width), each element passed through epilogue(value, m,
// n) before it is stored. start and epilogue are given the first column of a vector. width is a multiple of the lanes.
template <class T, class Start, class Epilogue>
MOBULA_INLINE void gemm(int rows, int width, int depth, Strided<T> a, const T* b, std::ptrdiff_t ldb, T* c,
                        std::ptrdiff_t ldc, const Start& start, const Epilogue& epilogue) {
  using namespace gemm_detail;
  constexpr int L = kLanes<T>;
  int n = 0;
  for (; n + kVectors * L <= width; n += kVectors * L) {
    columns<T, kVectors>(rows, depth, a, b, ldb, c, ldc, n, start, epilogue);
  }
  if constexpr (kVectors > 2) {
    for (; n + 2 * L <= width; n += 2 * L) columns<T, 2>(rows, depth, a, b, ldb, c, ldc, n, start, epilogue);
  }
  for (; n < width; n += L) columns<T, 1>(rows, depth, a, b, ldb, c, ldc, n, start, epilogue);
}

}  // namespace mobula::rl::nn
