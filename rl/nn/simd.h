// Vectors of the machine's width, and exp, log and tanh on them.
//
// Every function works lane by lane in one fixed order of operations with explicit fused multiply-adds, so a number
// does not depend on which lane, batch or caller it is computed for. (Library versions differ between their vector and
// scalar paths.) Errors below, in units in the last place (ulp), are tested; the double versions call the C library and
// serve the tests of the float ones.
#pragma once

#if defined(__AVX__)
#include <immintrin.h>
#endif

#include <cmath>
#include <cstdint>
#include <cstring>

#if !defined(__AVX512F__)
#pragma GCC diagnostic ignored "-Wpsabi"  // all functions here are inlined: nothing crosses an ABI
#endif

namespace mobula::rl::nn {

#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
inline constexpr int kVectorBytes = 32;
#else
inline constexpr int kVectorBytes = 16;
#endif

template <class T>
struct VectorOf {
  typedef T type __attribute__((vector_size(kVectorBytes)));
};
template <class T>
using Vector = typename VectorOf<T>::type;
using Floats = Vector<float>;
using Doubles = Vector<double>;
using Ints = Vector<std::int32_t>;

template <class T>
inline constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));

#define MOBULA_INLINE inline __attribute__((always_inline))

template <class T>
MOBULA_INLINE Vector<T> load(const T* p) {
  Vector<T> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class T>
MOBULA_INLINE void store(T* p, Vector<T> v) {
  std::memcpy(p, &v, sizeof v);
}
template <class T>
MOBULA_INLINE Vector<T> splat(T x) {
  return Vector<T>{} + x;
}

MOBULA_INLINE Floats fma(Floats a, Floats b, Floats c) {
#if defined(__AVX512F__)
  return (Floats)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
  return (Floats)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return a * b + c;
#endif
}
MOBULA_INLINE Doubles fma(Doubles a, Doubles b, Doubles c) {
#if defined(__AVX512F__)
  return (Doubles)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__FMA__)
  return (Doubles)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#else
  return a * b + c;
#endif
}

template <class V>
MOBULA_INLINE V minimum(V a, V b) {
  return a < b ? a : b;
}
template <class V>
MOBULA_INLINE V maximum(V a, V b) {
  return a > b ? a : b;
}

// Pairwise, in an order that depends on the width alone.
template <class T>
MOBULA_INLINE T sum_lanes(Vector<T> v) {
  T lane[kLanes<T>];
  std::memcpy(lane, &v, sizeof v);
  for (int width = kLanes<T> / 2; width >= 1; width /= 2) {
    for (int k = 0; k < width; ++k) lane[k] += lane[k + width];
  }
  return lane[0];
}

// e^x; 0 below -87.3, infinity above 88.7. Error below 1.5 ulp.
MOBULA_INLINE Floats exp(Floats x) {
  const Floats clamped = minimum(maximum(x, splat(-87.33654f)), splat(88.72283f));
  // n = round(x / ln 2): adding 1.5 * 2^23 leaves the rounded integer in the low bits.
  const Floats magic = splat(12582912.0f);
  const Floats shifted = fma(clamped, splat(1.44269504089f), magic);
  const Floats n = shifted - magic;
  Floats r = fma(n, splat(-0.693359375f), clamped);
  r = fma(n, splat(2.12194440e-4f), r);
  Floats p = splat(1.9875691500e-4f);
  p = fma(p, r, splat(1.3981999507e-3f));
  p = fma(p, r, splat(8.3334519073e-3f));
  p = fma(p, r, splat(4.1665795894e-2f));
  p = fma(p, r, splat(1.6666665459e-1f));
  p = fma(p, r, splat(5.0000001201e-1f));
  p = fma(p, r * r, r + 1.0f);
  // Times 2^n in two factors, so that n = 128 and the subnormal end do not overflow the exponent.
  const Ints whole = __builtin_convertvector(n, Ints);
  const Ints half = whole >> 1;
  const Floats scaled = p * (Floats)((half + 127) << 23) * (Floats)((whole - half + 127) << 23);
  return x < -87.33654f ? Floats{} : x > 88.72283f ? splat(__builtin_inff()) : scaled;
}

// ln x for positive, finite, normal x. Error below 1.5 ulp.
MOBULA_INLINE Floats log(Floats x) {
  const Ints bits = (Ints)x;
  Ints exponent = ((bits >> 23) & 0xff) - 126;
  Floats m = (Floats)((bits & 0x007fffff) | 0x3f000000);  // in [0.5, 1)
  const Ints low = m < 0.707106781186547524f;
  exponent += low;  // true lanes are -1
  m = (low ? m + m : m) - 1.0f;
  const Floats e = __builtin_convertvector(exponent, Floats);
  const Floats z = m * m;
  Floats p = splat(7.0376836292e-2f);
  p = fma(p, m, splat(-1.1514610310e-1f));
  p = fma(p, m, splat(1.1676998740e-1f));
  p = fma(p, m, splat(-1.2420140846e-1f));
  p = fma(p, m, splat(1.4249322787e-1f));
  p = fma(p, m, splat(-1.6668057665e-1f));
  p = fma(p, m, splat(2.0000714765e-1f));
  p = fma(p, m, splat(-2.4999993993e-1f));
  p = fma(p, m, splat(3.3333331174e-1f));
  Floats y = p * m * z;
  y = fma(e, splat(-2.12194440e-4f), y);
  y = fma(z, splat(-0.5f), y);
  return fma(e, splat(0.693359375f), m + y);
}

// tanh x by a rational function of degree 13 over 6 (Eigen's coefficients), exactly +-1 from about 7.9 on. Error below
// 7 ulp.
MOBULA_INLINE Floats tanh(Floats value) {
  const Floats x = minimum(maximum(value, splat(-7.90531110763549805f)), splat(7.90531110763549805f));
  const Floats x2 = x * x;
  Floats p = splat(-2.76076847742355e-16f);
  p = fma(p, x2, splat(2.00018790482477e-13f));
  p = fma(p, x2, splat(-8.60467152213735e-11f));
  p = fma(p, x2, splat(5.12229709037114e-08f));
  p = fma(p, x2, splat(1.48572235717979e-05f));
  p = fma(p, x2, splat(6.37261928875436e-04f));
  p = fma(p, x2, splat(4.89352455891786e-03f));
  Floats q = splat(1.19825839466702e-06f);
  q = fma(q, x2, splat(1.18534705686654e-04f));
  q = fma(q, x2, splat(2.26843463243900e-03f));
  q = fma(q, x2, splat(4.89352518554385e-03f));
#if defined(__AVX512F__)
  // A division costs as much as all the rest: 14 bits from the table, doubled by one Newton step.
  Floats inverse = (Floats)_mm512_maskz_rcp14_ps(0xffff, (__m512)q);
  inverse = inverse * fma(-q, inverse, splat(2.0f));
  return x * p * inverse;
#else
  return x * p / q;
#endif
}

MOBULA_INLINE Doubles exp(Doubles x) {
  for (int k = 0; k < kLanes<double>; ++k) x[k] = std::exp(x[k]);
  return x;
}
MOBULA_INLINE Doubles log(Doubles x) {
  for (int k = 0; k < kLanes<double>; ++k) x[k] = std::log(x[k]);
  return x;
}
MOBULA_INLINE Doubles tanh(Doubles x) {
  for (int k = 0; k < kLanes<double>; ++k) x[k] = std::tanh(x[k]);
  return x;
}

MOBULA_INLINE Floats sqrt(Floats x) {
#if defined(__AVX512F__)
  return (Floats)_mm512_maskz_sqrt_ps(0xffff, (__m512)x);
#else
  for (int k = 0; k < kLanes<float>; ++k) x[k] = std::sqrt(x[k]);
  return x;
#endif
}
MOBULA_INLINE Doubles sqrt(Doubles x) {
  for (int k = 0; k < kLanes<double>; ++k) x[k] = std::sqrt(x[k]);
  return x;
}

}  // namespace mobula::rl::nn
