#pragma once

#include <array>
#include <cstdint>

namespace mobula {

/// What a sequence of random numbers is used for. Two uses never share numbers, whatever the order of the draws.
enum class Stream : std::uint32_t { parameters, action, environment, shuffle, evaluation, bootstrap, user };

/// Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2,
/// 3", SC 2011; Random123's implementation).
///
/// The numbers are a pure function of where they are used, not of what was drawn before elsewhere:
///   key     = {seed low, seed high}
///   counter = {block, stream, index, episode}     one block gives four 32-bit words, taken in order
/// so an environment keyed by (seed, Stream::environment, its index, its episode) behaves the same on any worker.
/// Up to 2^34 words follow from one key before they repeat.
///
/// Trivially copyable: the bytes are the whole state, and a copy continues identically. Not for cryptography.
class Random {
 public:
  Random() : Random(0, Stream::user) {}
  Random(std::uint64_t seed, Stream stream, std::uint32_t index = 0, std::uint32_t episode = 0)
      : Random(seed, static_cast<std::uint32_t>(stream), index, episode) {}
  Random(std::uint64_t seed, std::uint32_t stream, std::uint32_t index = 0, std::uint32_t episode = 0)
      : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
        stream_(stream),
        index_(index),
        episode_(episode) {}

  /// 32 random bits.
  std::uint32_t bits() {
    if (position_ == buffer_.size()) refill();
    return buffer_[position_++];
  }

  /// 64 random bits.
  std::uint64_t bits64() {
    const std::uint64_t low = bits();
    return low | static_cast<std::uint64_t>(bits()) << 32;
  }

  /// A multiple of 2^-53 in [0, 1).
  double uniform() { return static_cast<double>(bits64() >> 11) * 0x1p-53; }

  /// A multiple of 2^-24 in [0, 1).
  float uniform_float() { return static_cast<float>(bits() >> 8) * 0x1p-24f; }

  /// In [low, high), up to rounding.
  double uniform(double low, double high) { return low + (high - low) * uniform(); }

  /// Each of 0 .. n-1 with exactly the same probability (Lemire 2019); n must be positive.
  std::uint32_t below(std::uint32_t n) {
    std::uint64_t product = static_cast<std::uint64_t>(bits()) * n;
    if (static_cast<std::uint32_t>(product) < n) {
      const std::uint32_t threshold = (0u - n) % n;
      while (static_cast<std::uint32_t>(product) < threshold) product = static_cast<std::uint64_t>(bits()) * n;
    }
    return static_cast<std::uint32_t>(product >> 32);
  }

  /// Standard normal by inversion of the distribution function (Wichura's AS 241, relative error about 1e-16): one
  /// uniform number a sample, no library function whose last bit depends on the machine.
  double normal();

  /// Poisson with the given mean (>= 0); the cost grows with the mean. Exact inversion in pieces of mean at most 16.
  int poisson(double mean);

 private:
  void refill();

  std::array<std::uint32_t, 2> key_{};
  std::uint32_t block_ = 0;
  std::uint32_t stream_ = 0;
  std::uint32_t index_ = 0;
  std::uint32_t episode_ = 0;
  std::array<std::uint32_t, 16> buffer_{};
  std::uint32_t position_ = 16;
};

/// The quantile of the standard normal distribution at p in (0, 1).
double normal_quantile(double p);

}  // namespace mobula
