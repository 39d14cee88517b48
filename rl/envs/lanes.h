// Eight environments side by side: vectors of eight doubles, and the functions that physics needs on them.
//
// Every function is a template over the number type V, which is `double` or `Doubles`, and does the same operations in
// the same order for both, with explicit fused multiply-adds. Sources that use it are compiled with -ffp-contract=off.
// So a step has the same bits whether an environment is stepped alone or as a lane of a vector. (The C library's sin
// and cos differ between their scalar and their vector versions.)
#pragma once

#if defined(__AVX__)
#include <immintrin.h>
#endif

#include <bit>
#include <cstdint>
#include <span>
#include <type_traits>

#if !defined(__AVX512F__)
#pragma GCC diagnostic ignored "-Wpsabi"  // all functions here are inlined: nothing crosses an ABI
#endif

#define MOBULA_LANES inline __attribute__((always_inline))

namespace mobula::rl::lanes {

inline constexpr int kWidth = 8;
typedef double Doubles __attribute__((vector_size(64)));
typedef std::int64_t Longs __attribute__((vector_size(64)));
typedef float Floats __attribute__((vector_size(32)));

MOBULA_LANES double fma(double a, double b, double c) {
#if defined(__FMA__)
  return __builtin_fma(a, b, c);
#else
  return a * b + c;
#endif
}
MOBULA_LANES Doubles fma(Doubles a, Doubles b, Doubles c) {
#if defined(__AVX512F__)
  return (Doubles)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__FMA__)
  Doubles r;
  for (int k = 0; k < kWidth; ++k) r[k] = __builtin_fma(a[k], b[k], c[k]);
  return r;
#else
  return a * b + c;
#endif
}

// A constant as a number of type V.
template <class V>
MOBULA_LANES V number(double x) {
  return V{} + x;
}
template <class V>
MOBULA_LANES V fma(V a, double b, V c) {
  return fma(a, number<V>(b), c);
}
template <class V>
MOBULA_LANES V fma(V a, V b, double c) {
  return fma(a, b, number<V>(c));
}

MOBULA_LANES std::int64_t bits(double x) {
  return std::bit_cast<std::int64_t>(x);
}
MOBULA_LANES Longs bits(Doubles x) {
  return (Longs)x;
}
MOBULA_LANES double from_bits(std::int64_t x) {
  return std::bit_cast<double>(x);
}
MOBULA_LANES Doubles from_bits(Longs x) {
  return (Doubles)x;
}

// NaN stays NaN.
template <class V>
MOBULA_LANES V clip(V x, double low, double high) {
  const V above = x < low ? number<V>(low) : x;
  return above > high ? number<V>(high) : above;
}

// The nearest whole number, for |x| < 2^51; its low bits are those of the integer in bits(x + kRound).
inline constexpr double kRound = 6755399441055744.0;  // 1.5 * 2^52

template <class V>
MOBULA_LANES V round(V x) {
  return (x + kRound) - kRound;
}
template <class V>
MOBULA_LANES V floor(V x) {
  const V nearest = round(x);
  return nearest > x ? nearest - 1.0 : nearest;
}

// sin and cos together, for |x| < 10^6. Error below 2.3e-16 (tested). Reduction to [-pi/4, pi/4] by pi/2 in three parts
// of 33 bits and the polynomials of fdlibm's k_sin.c and k_cos.c (Sun Microsystems 1993).
template <class V>
MOBULA_LANES void sincos(V x, V& sine, V& cosine) {
  const V shifted = fma(x, 6.36619772367581382433e-01, number<V>(kRound));
  const V n = shifted - kRound;
  V r = fma(n, -1.57079632673412561417e+00, x);
  r = fma(n, -6.07710050630396597660e-11, r);
  r = fma(n, -2.02226624879595063154e-21, r);
  const V z = r * r;
  V p = number<V>(1.58969099521155010221e-10);
  p = fma(p, z, -2.50507602534068634195e-08);
  p = fma(p, z, 2.75573137070700676789e-06);
  p = fma(p, z, -1.98412698298579493134e-04);
  p = fma(p, z, 8.33333333332248946124e-03);
  p = fma(p, z, -1.66666666666666324348e-01);
  const V s = fma(p, z * r, r);
  V q = number<V>(-1.13596475577881948265e-11);
  q = fma(q, z, 2.08757232129817482790e-09);
  q = fma(q, z, -2.75573143513906633035e-07);
  q = fma(q, z, 2.48015872894767294178e-05);
  q = fma(q, z, -1.38888888888741095749e-03);
  q = fma(q, z, 4.16666666666666019037e-02);
  const V half = z * 0.5;
  const V w = 1.0 - half;
  const V c = w + fma(q, z * z, (1.0 - w) - half);
  const auto quadrant = bits(shifted);
  const auto swap = (quadrant & 1) != 0;
  sine = from_bits(bits(swap ? c : s) ^ ((quadrant & 2) << 62));
  cosine = from_bits(bits(swap ? s : c) ^ (((quadrant + 1) & 2) << 62));
}

// Calls block(first, n) for runs of up to eight; n is a constant for the full ones.
template <class Block>
MOBULA_LANES void for_blocks(std::size_t count, const Block& block) {
  std::size_t first = 0;
  for (; first + kWidth <= count; first += kWidth) block(first, std::integral_constant<int, kWidth>{});
  if (first < count) block(first, static_cast<int>(count - first));
}

// get(0) .. get(n - 1) in lanes; the lanes above repeat the first.
template <class N, class Get>
MOBULA_LANES Doubles gather(N n, const Get& get) {
  Doubles v;
  for (int k = 0; k < kWidth; ++k) v[k] = static_cast<double>(get(k < n ? k : 0));
  return v;
}

// The numbers of a vector as an array, rounded to float where asked for.
struct Unpacked {
  alignas(64) double value[kWidth];
  explicit MOBULA_LANES Unpacked(Doubles v) { __builtin_memcpy(value, &v, sizeof value); }
  double operator[](int k) const { return value[k]; }
};
struct UnpackedFloats {
  alignas(32) float value[kWidth];
  explicit MOBULA_LANES UnpackedFloats(Doubles v) {
    const Floats narrow = __builtin_convertvector(v, Floats);
    __builtin_memcpy(value, &narrow, sizeof value);
  }
  float operator[](int k) const { return value[k]; }
};

}  // namespace mobula::rl::lanes
